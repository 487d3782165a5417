//! A visitor that has gone, or half gone, with something still to be read or sent, costs no processor time: a loop that
//! is woken by the same end again and again takes a core for as long as the connection stands.

use std::time::Duration;

use test_support::{
    Passing, RecordRelay, Reply,
    client::{
        Raw, Visit,
        frames::{Frame, Frames, request},
    },
    wait,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::stack::Proxying;

/// Nothing here ends because its time is up: what spins would spin for as long.
const PATIENT: &str = "[limits]\nread_timeout = \"10m\"\nwrite_timeout = \"10m\"\nkeepalive_timeout = \"10m\"\n\
    response_header_timeout = \"10m\"\nrequest_header_timeout = \"2m\"";
/// Connections of each kind.
const EACH: usize = 4;
/// Over how long processor time is counted.
const SPAN: Duration = Duration::from_secs(1);
/// What an edge with nothing to do may use of a second, in a debug build: its own looks at memory and clocks.
const REST: Duration = Duration::from_millis(50);

/// How a visitor goes.
#[derive(Debug, Clone, Copy)]
enum Goes {
    /// By close_notify, and its socket stays open (RFC 8446 section 6.1).
    Notify,
    /// Its half of the TCP connection ends without a word.
    Fin,
    /// Both, as programs do it that close in order and wait for the other side.
    Both,
}

const WAYS: [Goes; 3] = [Goes::Notify, Goes::Fin, Goes::Both];

/// Sends this and goes; what is returned keeps the socket open, and reads nothing.
async fn send_and_go(mut visit: Visit, bytes: &[u8], goes: Goes) -> Visit {
    visit.stream.write_all(bytes).await.unwrap();
    visit.stream.flush().await.unwrap();
    go(visit, goes).await
}

async fn go(mut visit: Visit, goes: Goes) -> Visit {
    if !matches!(goes, Goes::Fin) {
        visit.stream.get_mut().1.send_close_notify();
        visit.stream.flush().await.unwrap();
    }
    if !matches!(goes, Goes::Notify) {
        visit.stream.get_mut().0.shutdown().await.unwrap();
    }
    visit
}

async fn visit(stack: &Proxying, alpn: &str) -> Visit {
    stack.client().alpn(&[alpn]).visit(stack.edge.https(), "gone.test").await.unwrap()
}

/// Waits for a second in which the edge does next to nothing. One that spins has none.
async fn until_at_rest(stack: &Proxying, what: &str) {
    wait::until(&format!("the edge is at rest: {what}"), async || {
        let (begun, before) = (Instant::now(), stack.edge.cpu_time());
        tokio::time::sleep(SPAN).await;
        // A machine that has no time for this test has as little for the edge: so much of what passed.
        let most = REST.mul_f64(begun.elapsed().as_secs_f64() / SPAN.as_secs_f64());
        (stack.edge.cpu_time() - before <= most).then_some(())
    })
    .await;
}

/// A request that is cut off in its body is over, and its connection with it.
#[tokio::test]
async fn a_visitor_that_goes_within_its_body_ends_the_connection() {
    let stack = Proxying::start_with(PATIENT).await;
    let half = b"POST /sink HTTP/1.1\r\nHost: gone.test\r\nContent-Length: 10\r\n\r\nabc";
    for goes in WAYS {
        let visit = send_and_go(visit(&stack, "http/1.1").await, half, goes).await;
        visit.raw().rest().await;
    }
    let mut plain = TcpStream::connect(stack.edge.http()).await.unwrap();
    plain.write_all(&half[..]).await.unwrap();
    plain.shutdown().await.unwrap();
    Raw::over(plain).rest().await;
    until_at_rest(&stack, "requests that were cut off").await;
}

#[tokio::test]
async fn answers_that_nobody_takes_any_more_cost_no_processor_time() {
    let stack = Proxying::start_with(PATIENT).await;
    let get = b"GET /bytes/100000000 HTTP/1.1\r\nHost: gone.test\r\n\r\n";
    let mut kept = Vec::new();
    for goes in [WAYS; EACH].concat() {
        let mut visit = visit(&stack, "http/1.1").await;
        visit.stream.write_all(get).await.unwrap();
        visit.stream.flush().await.unwrap();
        // A visitor that has gone before is not asked for at all.
        wait::until("the origin has it", async || (stack.origin.requests() > kept.len()).then_some(())).await;
        kept.push(go(visit, goes).await);
    }
    until_at_rest(&stack, "answers that wait").await;
    assert_eq!(stack.get("other.test", "/bytes/3").await.unwrap().body().len(), 3);
}

#[tokio::test]
async fn requests_that_wait_behind_one_of_a_visitor_that_went_cost_no_processor_time() {
    let stack = Proxying::start_with(PATIENT).await;
    stack.origin.hold();
    let get = b"GET /hold HTTP/1.1\r\nHost: gone.test\r\n\r\n";
    let mut kept = Vec::new();
    for goes in [WAYS; EACH].concat() {
        let mut visit = visit(&stack, "http/1.1").await;
        // The second is read and held back until the first is answered.
        visit.stream.write_all(&get.repeat(2)).await.unwrap();
        visit.stream.flush().await.unwrap();
        wait::until("the origin has it", async || (stack.origin.requests() > kept.len()).then_some(())).await;
        kept.push(go(visit, goes).await);
    }
    until_at_rest(&stack, "requests that wait").await;
    stack.origin.release();
    until_at_rest(&stack, "requests that were answered").await;
    assert_eq!(stack.get("other.test", "/bytes/3").await.unwrap().body().len(), 3);
}

/// Preface, settings that take nothing, and these requests.
fn http2(paths: &[&str]) -> Vec<u8> {
    let settings = Frame::new(4, 0, 0, [0, 4, 0, 0, 0, 0]);
    let requests = (0..).zip(paths).map(|(n, path)| Frame::get(2 * n + 1, "gone.test", path));
    let frames: Vec<u8> = std::iter::once(settings).chain(requests).flat_map(|frame| frame.encode()).collect();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frames].concat()
}

#[tokio::test]
async fn streams_of_a_visitor_that_went_cost_no_processor_time() {
    let stack = Proxying::start_with(PATIENT).await;
    stack.origin.hold();
    let bytes = http2(&["/bytes/10000000", "/hang", "/hold", "/bytes/10000000"]);
    let mut kept = Vec::new();
    for goes in WAYS {
        for _ in 0..EACH {
            kept.push(send_and_go(visit(&stack, "h2").await, &bytes, goes).await);
        }
    }
    until_at_rest(&stack, "streams that wait").await;
    stack.origin.release();
    until_at_rest(&stack, "streams that were answered").await;
    assert_eq!(stack.get("other.test", "/bytes/3").await.unwrap().body().len(), 3);
}

#[tokio::test]
async fn a_half_closed_tunnel_and_a_stalled_upload_cost_no_processor_time() {
    let stack = Proxying::start_with(PATIENT).await;
    let upgrade = b"GET /ws HTTP/1.1\r\nHost: gone.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut kept = Vec::new();
    for goes in WAYS {
        for _ in 0..EACH {
            kept.push(send_and_go(visit(&stack, "http/1.1").await, upgrade, goes).await);
        }
    }
    // An upload over HTTP/2 that its visitor forgot, and one that the origin never reads.
    let mut uploads: Vec<Frames> = Vec::new();
    for path in ["/sink", "/hang"] {
        let mut frames = stack.frames("gone.test", &[]).await;
        frames.send(&Frame::headers(1, 0, &request("POST", "gone.test", path))).await.unwrap();
        frames.send(&Frame::new(0, 0, 1, vec![7; 16_384])).await.unwrap();
        uploads.push(frames);
    }
    until_at_rest(&stack, "tunnels and uploads").await;
    assert_eq!(stack.get("other.test", "/bytes/3").await.unwrap().body().len(), 3);
}

/// What was sent of a record would make an edge that waits for the rest look again and again.
#[tokio::test]
async fn records_that_origins_never_end_cost_no_processor_time() {
    let stack = Proxying::start_with(PATIENT).await;
    let mut kept = Vec::new();
    for (name, how) in [("begun.test", Passing::AllButTheEnd(0)), ("ended.test", Passing::EndsWithin)] {
        let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), how).await;
        stack.gate.set(name, Reply::origin(&relay.url()));
        let mut visitors = Vec::new();
        for _ in 0..EACH {
            let (mut frames, mut raw) = (stack.frames(name, &[]).await, stack.raw(name).await);
            frames.send(&Frame::get(1, name, "/bytes/100000")).await.unwrap();
            raw.send(format!("GET /bytes/100000 HTTP/1.1\r\nHost: {name}\r\n\r\n")).await.unwrap();
            visitors.push((frames, raw));
        }
        let all = 2 * EACH;
        wait::until("every answer is begun", async || (relay.broken() >= all).then_some(())).await;
        kept.push((relay, visitors));
    }
    until_at_rest(&stack, "answers that are begun").await;
    assert_eq!(stack.get("other.test", "/bytes/3").await.unwrap().body().len(), 3);
}
