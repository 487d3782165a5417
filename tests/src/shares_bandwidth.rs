//! A hostname has so much bandwidth and no more: its visitors wait for each other, nobody is cut, others do not notice.

use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::StatusCode;
use http_body_util::{BodyExt, channel::Channel};
use test_support::{
    BadOrigin, Misbehaviour, Reply,
    client::{
        TlsClient,
        frames::{END_STREAM, Frame, kind},
        http as client_http,
    },
};
use tokio::task::JoinSet;

use crate::stack::Proxying;

/// Bytes of each body: more than two seconds' worth, so that each of several has to wait more often than once.
const BODY: usize = 36_000;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Sends one request and reads its answer: the bytes of the answer, or of the request where it has more.
async fn exchange(stack: &Proxying, alpn: &'static str, name: &'static str, path: &'static str) -> usize {
    let client: TlsClient = stack.client().alpn(&[alpn]);
    let mut http = client.visit(stack.edge.https(), name).await.unwrap().http().await.unwrap();
    let upload = path == "/sink" || path == "/grpc";
    let body = if upload { client_http::body(vec![7; BODY]) } else { client_http::no_body() };
    let request = http.request(if upload { "POST" } else { "GET" }, name, path, body);
    let response = http.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    match path {
        "/sink" => {
            serde_json::from_slice::<serde_json::Value>(response.body()).unwrap()["bytes"].as_u64().unwrap() as usize
        }
        _ => response.body().len(),
    }
}

#[tokio::test]
async fn who_waits_for_bandwidth_is_not_silent_and_everything_arrives_whole() {
    // A turn comes once in several seconds, which is longer than anybody may be silent.
    let limits = "[limits]\nhostname_bandwidth = \"32KiB\"\nread_timeout = \"1s\"\nwrite_timeout = \"1s\"\n\
                  response_header_timeout = \"1s\"";
    let stack = Arc::new(Proxying::start_with(limits).await);
    stack.gate.set("tls.test", Reply::origin(&stack.origin.tls_h1_url()));
    let mut exchanges = JoinSet::new();
    for name in ["plain.test", "tls.test"] {
        for alpn in ["http/1.1", "h2"] {
            for path in ["/bytes/36000", "/bytes/36000", "/sink", "/grpc"] {
                let stack = stack.clone();
                exchanges.spawn(async move { exchange(&stack, alpn, name, path).await });
            }
        }
    }
    assert_eq!(exchanges.join_all().await, [BODY; 16]);
    for line in stack.edge.log().lines().filter(|line| line.contains("http.log.access")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line.get("error").is_none_or(serde_json::Value::is_null), "{line}");
    }
    // All but what may be saved up, and the last piece of each that was in time.
    let held = stack.edge.metric("namegate_edge_bandwidth_held_bytes_total").await;
    assert!(held > (16 * BODY) as f64 / 2.0, "{held}");
    assert!(stack.edge.metric("namegate_edge_bandwidth_held_seconds_total").await > 10.0);
}

/// Takes answers on one connection, a piece at a time, and makes room for the next one.
async fn take_streams(stack: &Proxying, name: &str, window: u32, streams: usize, path: &str) -> Vec<usize> {
    let mut frames = stack.frames(name, &[(INITIAL_WINDOW_SIZE, window)]).await;
    for n in 0..streams as u32 {
        frames.send(&Frame::get(2 * n + 1, name, path)).await.unwrap();
    }
    let (mut came, mut open) = (vec![0; streams], streams);
    while open > 0 {
        let frame = frames.next().await.expect("nobody is cut");
        assert!(!matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY), "{frame:?}");
        if frame.kind == kind::DATA {
            came[frame.stream as usize / 2] += frame.payload.len();
            open -= usize::from(frame.flags & END_STREAM != 0);
            let more = (frame.payload.len() as u32).to_be_bytes();
            for stream in [0, frame.stream].into_iter().filter(|_| !frame.payload.is_empty()) {
                frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, stream, more)).await.unwrap();
            }
        }
    }
    came
}

#[tokio::test]
async fn streams_of_a_connection_wait_for_their_hostname_and_are_not_cut_for_their_window_or_their_seat() {
    // A turn of a piece is longer than an answer may be left untaken.
    let limits = "[limits]\nhostname_bandwidth = \"8KiB\"\nwrite_timeout = \"700ms\"";
    let stack = Proxying::start_with(limits).await;
    stack.gate.set("tls.test", Reply::origin(&stack.origin.tls_h1_url()));
    let (window, seat) = tokio::join!(
        // The first pieces of some of them have all of the connection's window.
        take_streams(&stack, "window.test", 65_535, 40, "/bytes/4000"),
        // Each leaves a part of a record behind, and four of a connection may do that.
        take_streams(&stack, "tls.test", 8192, 8, "/bytes/12000"),
    );
    assert_eq!((window, seat), (vec![4000; 40], vec![12_000; 8]));
}

#[tokio::test]
async fn who_waits_for_an_answer_that_is_held_back_is_not_silent_and_neither_is_its_origin() {
    // Each message has two turns of a second, and until then both sides have nothing to say.
    let limits = "[limits]\nhostname_bandwidth = \"8KiB\"\nread_timeout = \"700ms\"\n\
                  response_header_timeout = \"700ms\"";
    let stack = Proxying::start_with(limits).await;
    let visit = stack.client().alpn(&["h2"]).visit(stack.edge.https(), "a.test").await.unwrap();
    let mut http = visit.http().await.unwrap();
    let (mut messages, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = http.request("POST", "a.test", "/grpc", body.boxed_unsync());
    messages.send_data(Bytes::from(vec![7; 8192])).await.unwrap();
    let mut echo = http.stream(request).await.unwrap().into_body();
    for message in 1..=4 {
        let mut came = 0;
        while came < 8192 {
            came += echo.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        if message < 4 {
            messages.send_data(Bytes::from(vec![7; 8192])).await.unwrap();
        }
    }
    drop(messages);
    assert!(echo.collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn an_answer_that_ends_before_its_request_does_is_whole() {
    let limits = "[limits]\nhostname_bandwidth = \"100KiB\"\norigin_pool = 0";
    let stack = Proxying::start_with(limits).await;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{}", "a".repeat(60_000));
    let eager = BadOrigin::start(&stack.host, Misbehaviour::Says(answer.leak().as_bytes())).await;
    stack.gate.set("a.test", Reply::origin(&eager.url()));
    for alpn in ["http/1.1", "h2"] {
        let visit = stack.client().alpn(&[alpn]).visit(stack.edge.https(), "a.test").await.unwrap();
        let mut http = visit.http().await.unwrap();
        // Longer than the answer, so that a piece of it always waits too.
        let request = http.request("POST", "a.test", "/", client_http::body(vec![7; 1_000_000]));
        let response = http.stream(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 60_000, "{alpn}");
    }
}

/// Measured with nothing beside it.
mod alone {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::{Duration, Instant},
    };

    use test_support::{client::http::Http, wait};

    use super::*;

    const BANDWIDTH: usize = 2 * 1024 * 1024;
    /// How long is measured: long beside what sockets hold on the way.
    const WINDOW: Duration = Duration::from_secs(8);
    /// Bytes that each hostname has passed before: what is saved up, and what the sockets of senders hold.
    const SETTLED: usize = 6 * BANDWIDTH;
    /// The bytes of one message.
    const MESSAGE: usize = 8 * 1024;

    /// Counts an answer's bytes as they come.
    async fn take(http: &mut Http, name: &str, visitors: &mut JoinSet<()>, passed: &Arc<AtomicUsize>) {
        let request = http.request("GET", name, "/bytes/1000000000", client_http::no_body());
        let (mut body, passed) = (http.stream(request).await.unwrap().into_body(), passed.clone());
        visitors.spawn(async move {
            while let Some(frame) = body.frame().await {
                let bytes = frame.expect("nobody is cut").into_data().map_or(0, |data: Bytes| data.len());
                passed.fetch_add(bytes, Ordering::Relaxed);
            }
        });
    }

    /// Sends messages that come back, and counts them both ways: what is sent waits in full sockets until it is read.
    async fn talk(stack: &Proxying, name: &str, visitors: &mut JoinSet<()>, passed: &Arc<AtomicUsize>) {
        let visit = stack.client().alpn(&["http/1.1"]).visit(stack.edge.https(), name).await.unwrap();
        let (mut out, mut incoming) = visit.websocket(name, "/ws").await.unwrap().split();
        let (sent, came) = (passed.clone(), passed.clone());
        visitors.spawn(async move {
            while out.send(vec![7; MESSAGE].into()).await.is_ok() {
                sent.fetch_add(MESSAGE, Ordering::Relaxed);
            }
        });
        visitors.spawn(async move {
            while let Some(message) = incoming.next().await {
                came.fetch_add(message.expect("nobody is cut").len(), Ordering::Relaxed);
            }
        });
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_hostname_gets_its_bandwidth_however_many_visitors_of_another_want_more() {
        let stack = Proxying::start_with(&format!("[limits]\nhostname_bandwidth = {BANDWIDTH}")).await;
        let (mut visitors, mut kept) = (JoinSet::new(), Vec::new());
        let (crowd, single) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for (alpn, streams) in [("http/1.1", 1), ("http/1.1", 1), ("h2", 6), ("h2", 2)] {
            let visit = stack.client().alpn(&[alpn]).visit(stack.edge.https(), "crowd.test").await.unwrap();
            let mut http = visit.http().await.unwrap();
            for _ in 0..streams {
                take(&mut http, "crowd.test", &mut visitors, &crowd).await;
            }
            kept.push(http);
        }
        for _ in 0..2 {
            talk(&stack, "crowd.test", &mut visitors, &crowd).await;
        }
        let mut http = stack.client().visit(stack.edge.https(), "single.test").await.unwrap().http().await.unwrap();
        take(&mut http, "single.test", &mut visitors, &single).await;
        let passed = [&crowd, &single];
        wait::until("sockets are full and buckets empty", async || {
            passed.iter().all(|bytes| bytes.load(Ordering::Relaxed) > SETTLED).then_some(())
        })
        .await;
        let (before, begun) = (passed.map(|bytes| bytes.load(Ordering::Relaxed)), Instant::now());
        tokio::time::sleep(WINDOW).await;
        let took = begun.elapsed().as_secs_f64();
        let paces = [0, 1].map(|n| (passed[n].load(Ordering::Relaxed) - before[n]) as f64 / took / BANDWIDTH as f64);
        eprintln!("of its bandwidth: the crowd {:.3}, the single visitor {:.3}", paces[0], paces[1]);
        for pace in paces {
            assert!((0.85..=1.15).contains(&pace), "{paces:?}");
        }
        visitors.abort_all();
    }
}
