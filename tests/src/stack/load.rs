//! Visitors who never stop asking.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{StatusCode, header::CONNECTION};
use test_support::{
    client::{
        TlsClient,
        http::{Http, HttpError},
    },
    wait,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Proxying;

/// Visitors of every kind, each sending one request after the other.
pub(crate) struct Load {
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
    pub(crate) fn on(stack: &Proxying, name: &'static str) -> Self {
        let load = Self { answered: Arc::default(), stop: CancellationToken::new(), visitors: JoinSet::new() };
        let fresh = [("http/1.1", Habit::Fresh), ("h2", Habit::Fresh)];
        let kept = [("http/1.1", Habit::Kept), ("h2", Habit::Kept)];
        let kinds = [fresh, kept, kept, kept].concat();
        let Self { answered, stop, mut visitors } = load;
        for (alpn, habit) in kinds {
            let visitor = Visitor { client: stack.client().alpn(&[alpn]), edge: stack.edge.https(), name, habit };
            visitors.spawn(visitor.visit_until(stop.clone(), answered.clone()));
        }
        Self { answered, stop, visitors }
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) async fn until_answered(&self, count: usize) {
        wait::until(&format!("{count} requests are answered"), async || (self.answered() >= count).then_some(())).await;
    }

    /// Ends the load; any request that failed fails here.
    pub(crate) async fn stop(self) -> usize {
        self.stop.cancel();
        self.visitors.join_all().await;
        self.answered.load(Ordering::Relaxed)
    }
}

struct Visitor {
    client: TlsClient,
    edge: SocketAddr,
    name: &'static str,
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
            let response = match http.get(self.name, "/").await {
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
        let visit = self.client.visit(self.edge, self.name).await.expect("no handshake fails");
        visit.http().await.expect("no connection fails")
    }
}
