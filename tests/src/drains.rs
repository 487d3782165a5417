//! A stop loses no request that was on its way: what was accepted is served, and every end is announced.

use http::{StatusCode, Version, header};
use test_support::{client::http::Http, wait};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stack::Proxying;

/// A stop that gives connections all the time that a test may need.
const PATIENT: &str = "[limits]\ndrain_wait = \"60s\"\ngraceful_stop = \"120s\"\nhello_timeout = \"60s\"\nrequest_header_timeout = \"60s\"";

/// A drain that is under way: nothing is accepted any more.
async fn stopping(stack: &Proxying) {
    stack.edge.signal("TERM");
    stack.edge.logs("draining").await;
    let address = stack.edge.https();
    wait::until("nothing is accepted any more", async || TcpStream::connect(address).await.is_err().then_some(()))
        .await;
}

async fn ends_well(stack: &Proxying) {
    assert!(wait::until("the edge ends", async || stack.edge.exited()).await.success());
}

async fn open(stack: &Proxying, alpn: &str, name: &str) -> Http {
    stack.client().alpn(&[alpn]).visit(stack.edge.https(), name).await.unwrap().http().await.unwrap()
}

#[tokio::test]
async fn a_fresh_connection_gets_its_first_request_answered() {
    for alpn in ["http/1.1", "h2"] {
        let stack = Proxying::start_with(PATIENT).await;
        let mut http = open(&stack, alpn, "fresh.test").await;
        stopping(&stack).await;
        let response = http.get("fresh.test", "/").await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{alpn}");
        if response.version() == Version::HTTP_11 {
            assert_eq!(response.headers()[header::CONNECTION], "close");
        } else {
            // GOAWAY waits for the first request, but that has come: nothing else keeps the connection.
            drop(http);
        }
        ends_well(&stack).await;
    }
}

#[tokio::test]
async fn a_handshake_that_has_not_begun_is_finished_and_served() {
    let stack = Proxying::start_with(PATIENT).await;
    assert_eq!(stack.get("late.test", "/").await.unwrap().status(), StatusCode::OK);
    let tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
    let accepted = || stack.edge.metric("namegate_edge_connections_accepted_total");
    wait::until("the connection is accepted", async || (accepted().await >= 2.0).then_some(())).await;
    stopping(&stack).await;
    let mut http = stack.client().handshake(tcp, "late.test").await.unwrap().http().await.unwrap();
    let response = http.get("late.test", "/").await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[header::CONNECTION]),
        (StatusCode::OK, &"close".parse().unwrap())
    );
    ends_well(&stack).await;
}

#[tokio::test]
async fn connections_in_the_kernels_queue_are_served() {
    let stack = Proxying::start_with(PATIENT).await;
    assert_eq!(stack.get("queue.test", "/").await.unwrap().status(), StatusCode::OK);
    // While the process stands still, the kernel takes connections for it.
    stack.edge.signal("STOP");
    let mut queued = Vec::new();
    for _ in 0..50 {
        queued.push(TcpStream::connect(stack.edge.https()).await.unwrap());
    }
    let plain = Http::connect(stack.edge.http()).await;
    stack.edge.signal("TERM");
    stack.edge.signal("CONT");
    let client = stack.client();
    for tcp in queued {
        let mut http = client.handshake(tcp, "queue.test").await.unwrap().http().await.unwrap();
        assert_eq!(http.get("queue.test", "/").await.unwrap().status(), StatusCode::OK);
    }
    let redirect = plain.unwrap().get("queue.test", "/").await.unwrap();
    assert_eq!(redirect.status(), StatusCode::PERMANENT_REDIRECT);
    ends_well(&stack).await;
}

#[tokio::test]
async fn a_kept_connection_is_told_to_close_by_its_next_answer() {
    let stack = Proxying::start_with(PATIENT).await;
    let mut http = open(&stack, "http/1.1", "kept.test").await;
    assert_eq!(http.get("kept.test", "/").await.unwrap().headers()[header::CONNECTION], "keep-alive");
    stopping(&stack).await;
    assert_eq!(http.get("kept.test", "/").await.unwrap().headers()[header::CONNECTION], "close");
    ends_well(&stack).await;
}

#[tokio::test]
async fn an_answer_that_was_owed_when_the_stop_came_says_close() {
    let stack = Proxying::start_with(PATIENT).await;
    stack.origin.hold();
    let mut http = open(&stack, "http/1.1", "owed.test").await;
    let request = tokio::spawn(async move { http.get("owed.test", "/hold").await });
    stack.origin.reached(1).await;
    stopping(&stack).await;
    stack.origin.release();
    assert_eq!(request.await.unwrap().unwrap().headers()[header::CONNECTION], "close");
    ends_well(&stack).await;
}

/// Sends one request over HTTP/1.1 and reads until the edge closes, which it must do by close_notify.
async fn read_to_the_end(stack: &Proxying, connection: &str) -> String {
    let mut stream = stack.client().visit(stack.edge.https(), "end.test").await.unwrap().stream;
    let request = format!("GET / HTTP/1.1\r\nHost: end.test\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.expect("the end must be announced by close_notify");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn every_end_of_a_connection_is_announced() {
    let stack = Proxying::start_with("[limits]\nkeepalive_timeout = \"1s\"\ndrain_wait = \"10ms\"").await;
    assert!(read_to_the_end(&stack, "close").await.starts_with("HTTP/1.1 200"));
    assert!(
        read_to_the_end(&stack, "keep-alive").await.starts_with("HTTP/1.1 200"),
        "closed when it was idle too long"
    );
    let mut fresh = stack.client().visit(stack.edge.https(), "end.test").await.unwrap().stream;
    let mut h2 = stack.client().alpn(&["h2"]).visit(stack.edge.https(), "end.test").await.unwrap().stream;
    stack.edge.signal("TERM");
    assert_eq!(fresh.read(&mut [0; 16]).await.expect("announced by close_notify"), 0);
    // An HTTP/2 peer that never says a word gets SETTINGS and GOAWAY and, when it leaves, a clean end.
    let mut head = [0; 9];
    h2.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first (RFC 9113 section 3.4)");
    drop(h2);
    ends_well(&stack).await;
}
