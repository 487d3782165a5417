//! Stopping and upgrading without a failed request.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{StatusCode, header::CONNECTION};
use test_support::{
    Kind,
    client::{
        TlsClient,
        http::{self as client_http, Http, HttpError},
    },
    wait,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stack::{Issuing, Proxying};

#[tokio::test]
async fn a_graceful_stop_lets_requests_in_flight_end() {
    let mut stack = Proxying::start().await;
    stack.origin.hold();
    let mut slow = stack.client().visit(stack.edge.https(), "slow.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { slow.get("slow.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    stack.edge.logs("draining").await;
    let address = stack.edge.https();
    wait::until("nothing is accepted any more", async || {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    let ended = wait::until("the edge ends", async || stack.edge.exited()).await;
    assert!(ended.success());
    stack.edge.restart().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_stop() {
    let mut stack = Proxying::start_with("[limits]\ngraceful_stop = \"60s\"").await;
    let client = stack.client();
    let mut h1 = client.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h1.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let h2 = client.alpn(&["h2"]);
    let mut h2 = h2.visit(stack.edge.https(), "idle.test").await.unwrap().http().await.unwrap();
    assert_eq!(h2.get("idle.test", "/").await.unwrap().status(), StatusCode::OK);
    let stopped = tokio::time::timeout(Duration::from_secs(50), stack.edge.terminate()).await;
    assert!(stopped.expect("idle connections are closed at once").success());
}

#[tokio::test]
async fn upgrades_under_load_fail_no_request() {
    let mut stack = Proxying::start().await;
    assert_eq!(stack.get("up.test", "/").await.unwrap().status(), StatusCode::OK);
    let load = Load::on(&stack);
    for _ in 0..3 {
        let before = load.answered();
        let old = stack.edge.upgrade().await;
        let ended = wait::until("the old process ends", async || old.exited()).await;
        assert!(ended.success());
        load.until_answered(before + 300).await;
    }
    assert!(load.stop().await >= 900);
}

/// Visitors of every kind, each sending one request after the other.
struct Load {
    answered: Arc<AtomicUsize>,
    stop: CancellationToken,
    visitors: JoinSet<()>,
}

#[derive(Clone, Copy)]
enum Habit {
    /// A connection for each request.
    Fresh,
    /// Connections are kept until the edge says that they end.
    Kept,
}

impl Load {
    fn on(stack: &Proxying) -> Self {
        let load = Self { answered: Arc::default(), stop: CancellationToken::new(), visitors: JoinSet::new() };
        let kinds = [("http/1.1", Habit::Fresh), ("h2", Habit::Fresh), ("http/1.1", Habit::Kept), ("h2", Habit::Kept)];
        let Self { answered, stop, mut visitors } = load;
        for (alpn, habit) in kinds.into_iter().cycle().take(8) {
            let visitor = Visitor { client: stack.client().alpn(&[alpn]), edge: stack.edge.https(), habit };
            visitors.spawn(visitor.visit_until(stop.clone(), answered.clone()));
        }
        Self { answered, stop, visitors }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    async fn until_answered(&self, count: usize) {
        wait::until(&format!("{count} requests are answered"), async || (self.answered() >= count).then_some(())).await;
    }

    /// Ends the load; any request that failed fails here.
    async fn stop(self) -> usize {
        self.stop.cancel();
        self.visitors.join_all().await;
        self.answered.load(Ordering::Relaxed)
    }
}

struct Visitor {
    client: TlsClient,
    edge: SocketAddr,
    habit: Habit,
}

impl Visitor {
    async fn visit_until(self, stop: CancellationToken, answered: Arc<AtomicUsize>) {
        let mut kept = None;
        while !stop.is_cancelled() {
            let mut http = match kept.take() {
                Some(http) => http,
                None => self.connect().await,
            };
            let response = match http.get("up.test", "/").await {
                Ok(response) => response,
                // HTTP/2's GOAWAY came before the request was sent (RFC 9113 section 6.8): no request failed.
                Err(HttpError::Http(error)) if http.is_h2() && (error.is_canceled() || error.is_closed()) => continue,
                Err(error) => panic!("a request failed: {error:?}"),
            };
            assert_eq!(response.status(), StatusCode::OK);
            answered.fetch_add(1, Ordering::Relaxed);
            let last = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
            kept = matches!(self.habit, Habit::Kept).then_some(http).filter(|_| !last);
        }
    }

    async fn connect(&self) -> Http {
        let visit = self.client.visit(self.edge, "up.test").await.expect("no handshake fails");
        visit.http().await.expect("no connection fails")
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_to_start_leaves_the_old_process_serving() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"2s\"").await;
    let good = std::fs::read_to_string(stack.edge.config_path()).unwrap();
    std::fs::write(stack.edge.config_path(), "nonsense").unwrap();
    stack.edge.signal("QUIT");
    assert_eq!(stack.edge.command(&["run", "--upgrade"]).await.code, 1);
    stack.edge.logs("no new process took over").await;
    std::fs::write(stack.edge.config_path(), good).unwrap();
    assert_eq!(stack.get("still.test", "/").await.unwrap().status(), StatusCode::OK);
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn a_stop_is_heard_while_sockets_are_offered() {
    let mut stack = Proxying::start_with("[limits]\nupgrade_wait = \"1h\"").await;
    stack.edge.signal("QUIT");
    stack.edge.logs("offering the listening sockets").await;
    assert!(stack.edge.terminate().await.success());
}

#[tokio::test]
async fn readiness_goes_before_the_listeners_do() {
    let stack = Issuing::start().await;
    stack.origin.hold();
    let mut slow = stack.client();
    slow = slow.alpn(&["http/1.1"]);
    let mut http = slow.visit(stack.edge.https(), "drain.test").await.unwrap().http().await.unwrap();
    let request = tokio::spawn(async move { http.get("drain.test", "/hold").await });
    stack.origin.reached(1).await;
    stack.edge.signal("TERM");
    let ready = format!("http://{}/readyz", stack.edge.admin());
    wait::until("readiness is gone while the drain goes on", async || {
        client_http::get(&ready).await.is_ok_and(|response| response.status() == 503).then_some(())
    })
    .await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(stack.proxy.accepted(Kind::NewOrder), 1);
}
