//! Requests and responses pass through unchanged, streaming, over every pair of protocols.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use test_support::{
    Echo, EdgeOptions, EdgeProcess, FakeGate, Loopback, Origin, Reply,
    client::{Curl, TlsClient, http as client_http},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stack::Proxying;

/// The four ways from a visitor to an origin.
const PATHS: [(&[&str], bool); 4] = [(&["http/1.1"], false), (&["h2"], false), (&["http/1.1"], true), (&["h2"], true)];

fn origin_url(stack: &Proxying, tls: bool) -> String {
    if tls { stack.origin.tls_url() } else { stack.origin.url() }
}

#[tokio::test]
async fn every_pair_of_protocols_carries_a_request_with_its_body() {
    let stack = Proxying::start().await;
    for (index, (alpn, tls)) in PATHS.into_iter().enumerate() {
        let name = format!("pair{index}.test");
        stack.gate.set(&name, Reply::origin(&origin_url(&stack, tls)));
        let mut http = stack.client().alpn(alpn).visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
        assert_eq!(http.is_h2(), alpn == ["h2"]);
        let request = http.request("POST", &name, "/echo?q=%2F..%2f", client_http::body("x".repeat(100_000)));
        let echo = Echo::parse(http.send(request).await.unwrap().body());
        assert_eq!((echo.method.as_str(), echo.body_bytes, echo.tls), ("POST", 100_000, tls), "{alpn:?} {tls}");
        assert!(echo.target.ends_with("/echo?q=%2F..%2f"), "the target is passed on as it came: {}", echo.target);
        // HTTP/2 is for what needs it, even where the origin offers it.
        assert_eq!(echo.version, "HTTP/1.1");
    }
}

#[tokio::test]
async fn large_responses_stream_without_being_kept_whole() {
    let stack = Proxying::start().await;
    let before = stack.edge.peak_kib();
    for alpn in ["http/1.1", "h2"] {
        let mut http =
            stack.client().alpn(&[alpn]).visit(stack.edge.https(), "big.test").await.unwrap().http().await.unwrap();
        let request = http.request("GET", "big.test", "/bytes/100000000", client_http::no_body());
        let mut body = http.stream(request).await.unwrap().into_body();
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            total += frame.unwrap().into_data().map_or(0, |data| data.len());
        }
        assert_eq!(total, 100_000_000, "{alpn}");
    }
    let grown = stack.edge.peak_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "the edge grew by {grown} KiB over responses of 100 MB");
}

#[tokio::test]
async fn large_uploads_stream_without_being_kept_whole() {
    const SIZE: usize = 100_000_000;
    let stack = Proxying::start().await;
    let upload = Bytes::from(vec![b'u'; SIZE]);
    let before = stack.edge.peak_kib();
    for (index, (alpn, tls)) in PATHS.into_iter().enumerate() {
        let name = format!("up{index}.test");
        stack.gate.set(&name, Reply::origin(&origin_url(&stack, tls)));
        let mut http = stack.client().alpn(alpn).visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
        let request = http.request("POST", &name, "/sink", client_http::body(upload.clone()));
        let taken: serde_json::Value = serde_json::from_slice(http.send(request).await.unwrap().body()).unwrap();
        assert_eq!(taken["bytes"], SIZE, "{alpn:?} {tls}");
    }
    let grown = stack.edge.peak_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "the edge grew by {grown} KiB over uploads of 100 MB");
}

#[tokio::test]
async fn a_response_reaches_the_visitor_piece_by_piece() {
    let stack = Proxying::start().await;
    let mut http = stack.client().visit(stack.edge.https(), "drip.test").await.unwrap().http().await.unwrap();
    let request = http.request("GET", "drip.test", "/drip/1000000/20", client_http::no_body());
    let mut body = http.stream(request).await.unwrap().into_body();
    // The response never ends, so a piece that arrives was not held back for the rest.
    let first = tokio::time::timeout(Duration::from_secs(30), body.frame()).await.unwrap().unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"0000000\n"));
}

#[tokio::test]
async fn requests_that_come_byte_by_byte_follow_each_other_on_one_connection() {
    let stack = Proxying::start().await;
    let mut stream = stack.client().visit(stack.edge.https(), "slow.test").await.unwrap().stream;
    for _ in 0..3 {
        for byte in b"HEAD / HTTP/1.1\r\nHost: slow.test\r\n\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    }
    assert_eq!(stack.origin.connections(), 1);
}

#[tokio::test]
async fn one_thread_serves_others_while_an_origin_is_slow() {
    let stack = Proxying::start_with("[limits]\nthreads = 1").await;
    stack.origin.hold();
    let client = stack.client();
    let mut http = client.visit(stack.edge.https(), "held.test").await.unwrap().http().await.unwrap();
    let held = tokio::spawn(async move { http.get("held.test", "/hold").await });
    stack.origin.reached(1).await;
    for name in ["first.test", "second.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    }
    stack.origin.release();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_websocket_passes_both_ways() {
    let stack = Proxying::start().await;
    for tls in [false, true] {
        let name = if tls { "ws-tls.test" } else { "ws.test" };
        stack.gate.set(name, Reply::origin(&origin_url(&stack, tls)));
        let visit = stack.client().visit(stack.edge.https(), name).await.unwrap();
        let mut socket = visit.websocket(name, "/ws").await.unwrap();
        for text in ["hello", "again"] {
            socket.send(text.to_owned().into()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), text);
        }
        socket.close(None).await.unwrap();
    }
}

#[tokio::test]
async fn grpc_keeps_its_trailers_and_streams_both_ways() {
    let stack = Proxying::start().await;
    stack.gate.set("grpc.test", Reply::origin(&stack.origin.tls_url()));
    let mut http =
        stack.client().alpn(&["h2"]).visit(stack.edge.https(), "grpc.test").await.unwrap().http().await.unwrap();
    let mut request = http.request("POST", "grpc.test", "/grpc", client_http::body("ping"));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    let response = http.stream(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let collected = response.into_body().collect().await.unwrap();
    let trailers: HeaderMap = collected.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers.get("grpc-status"), Some(&HeaderValue::from_static("0")));
    assert_eq!(collected.to_bytes(), Bytes::from_static(b"ping"));
}

/// Not even where the origin could take them. Asked without an edge between, it says that they came.
#[tokio::test]
async fn trailers_of_a_request_are_passed_on_to_no_origin() {
    let stack = Proxying::start().await;
    stack.gate.set("grpc.test", Reply::origin(&stack.origin.tls_url()));
    let origin = stack.origin.tls_url().trim_start_matches("https://").parse().unwrap();
    let peers = [(TlsClient::trusting_anyone(), origin, "1"), (stack.client(), stack.edge.https(), "0")];
    for (client, address, count) in peers {
        let mut http = client.alpn(&["h2"]).visit(address, "grpc.test").await.unwrap().http().await.unwrap();
        let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("x"))]);
        let body = client_http::body("ping").with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync();
        let mut request = http.request("POST", "grpc.test", "/grpc", body);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let answer = http.stream(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap().get("x-trailers").unwrap(), count, "{address}");
    }
}

#[tokio::test]
async fn expect_100_continue_is_answered_by_the_origin() {
    let stack = Proxying::start().await;
    let root = stack.edge.storage().join("pki/namegate/root.crt");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'z'; 2_000_000]).unwrap();
    let upload = format!("@{}", file.path().display());
    let curl = |path: &'static str| {
        let curl = Curl::new().cacert(&root).resolve("expect.test", stack.edge.https());
        let curl = curl.args(&["--http1.1", "-sv", "-H", "Expect: 100-continue", "--expect100-timeout", "20"]);
        curl.args(&["--data-binary", &upload]).get(path)
    };
    let taken = curl("https://expect.test:8443/sink").await;
    assert!(taken.stdout.contains("2000000"), "{}{}", taken.stdout, taken.stderr);
    assert!(taken.stderr.contains("100 Continue"), "{}", taken.stderr);
    let refused = curl("https://expect.test:8443/refuse-body").await;
    assert!(refused.stderr.contains(" 413"), "{}", refused.stderr);
}

#[tokio::test]
async fn expect_100_continue_is_no_hindrance_over_http_2() {
    let stack = Proxying::start().await;
    for tls in [false, true] {
        let name = if tls { "expect-tls.test" } else { "expect-plain.test" };
        stack.gate.set(name, Reply::origin(&origin_url(&stack, tls)));
        let client = stack.client().alpn(&["h2"]);
        let mut http = client.visit(stack.edge.https(), name).await.unwrap().http().await.unwrap();
        for (path, status) in [("/sink", StatusCode::OK), ("/refuse-body", StatusCode::PAYLOAD_TOO_LARGE)] {
            let mut request = http.request("POST", name, path, client_http::body("x".repeat(500_000)));
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
            let response = http.send(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}, TLS to the origin: {tls}");
            let whole = String::from_utf8_lossy(response.body()).contains("500000");
            assert_eq!(whole, status == StatusCode::OK, "{path}, TLS to the origin: {tls}");
        }
    }
}

#[tokio::test]
async fn a_visitor_that_closes_costs_the_origin_no_connection() {
    let stack = Proxying::start().await;
    let client = stack.client();
    for served in 1..=10 {
        let mut http = client.visit(stack.edge.https(), "pool.test").await.unwrap().http().await.unwrap();
        let mut request = http.request("GET", "pool.test", "/echo", client_http::no_body());
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        let echo = Echo::parse(http.send(request).await.unwrap().body());
        assert_eq!(echo.all("connection"), Vec::<&str>::new(), "hop-by-hop fields stay on their hop");
        // The visitor has the last byte before the origin's connection is back in the pool, and counted after that.
        stack.edge.until_metric("namegate_edge_http_requests_total{code=\"2xx\"}", f64::from(served)).await;
    }
    assert_eq!(stack.origin.connections(), 1, "the connection to the origin is used again");
}

#[tokio::test]
async fn ipv6_is_served_on_both_sides() {
    let host = Loopback::take();
    let gate = FakeGate::start(&host).await;
    let origin = Origin::start(&host).await;
    gate.set_default(Reply::origin(&origin.url()));
    // Port 0 on ::1, since that is the only IPv6 loopback address; the log tells which port it became.
    let listen = format!("[acme]\nissuer = \"internal\"\n[listen]\nhttps = [\"[::1]:0\", \"{}\"]", host.at(8443));
    let edge = EdgeProcess::start(EdgeOptions::on(&host).gate(&gate).set(&listen)).await;
    edge.logs("\"address\":\"[::1]:").await;
    let address = listening(&edge.log(), "[::1]:");
    let root = std::fs::read_to_string(edge.storage().join("pki/namegate/root.crt")).unwrap();
    let client = TlsClient::trusting(&root);
    let mut http = client.visit(address, "six.test").await.unwrap().http().await.unwrap();
    let echo = Echo::parse(http.get("six.test", "/").await.unwrap().body());
    assert_eq!(echo.header("x-forwarded-for"), Some("::1"));
    assert_eq!(echo.header("forwarded"), Some("for=\"[::1]\";host=six.test;proto=https"));

    // And an origin on ::1, over IPv4 on this side.
    let six = Origin::start_ipv6().await;
    gate.set("to-six.test", Reply::origin(&six.url()));
    let response = edge.get(&client, "to-six.test", "/").await.unwrap();
    assert_eq!(Echo::parse(response.body()).header("host"), Some(six.authority().as_str()));
    // Over TLS with a certificate that nobody here vouches for, no request reaches it.
    gate.set("to-strange-six.test", Reply::origin(&six.tls_url()));
    let response = edge.get(&client, "to-strange-six.test", "/").await.unwrap();
    assert_eq!((response.status(), six.requests()), (StatusCode::BAD_GATEWAY, 1));
}

fn listening(log: &str, start: &str) -> std::net::SocketAddr {
    let at = log.find(&format!("\"address\":\"{start}")).expect("the log announces every listener");
    let text = &log[at + "\"address\":\"".len()..];
    text[..text.find('"').unwrap()].parse().unwrap()
}

#[tokio::test]
async fn a_redirecting_connection_answers_with_308_and_keeps_the_path() {
    let stack = Proxying::start().await;
    stack.gate.set("old.test", Reply::Allow(serde_json::json!({"redirect": "https://www.new.test"})));
    let response = stack.get("old.test", "/a/b?c=d").await.unwrap();
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()[header::LOCATION], "https://www.new.test/a/b?c=d");
}

#[tokio::test]
async fn requests_on_one_connection_follow_one_another() {
    let stack = Proxying::start().await;
    let mut http = stack.client().visit(stack.edge.https(), "keep.test").await.unwrap().http().await.unwrap();
    for n in 0..50 {
        let response = http.get("keep.test", &format!("/n/{n}")).await.unwrap();
        assert_eq!(Echo::parse(response.body()).target, format!("/n/{n}"));
    }
    let head: Request<test_support::Body> = http.request("HEAD", "keep.test", "/bytes/1000", client_http::no_body());
    let response = http.send(head).await.unwrap();
    assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
    assert_eq!(http.get("keep.test", "/bytes/10").await.unwrap().body().len(), 10);
}
