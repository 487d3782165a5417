//! ClientHellos of every shape: refused locally, with one alert, at no cost to the gate.

use std::time::Duration;

use http::StatusCode;
use rustls::{AlertDescription, HandshakeKind, ProtocolVersion};
use test_support::{
    Kind, Reply,
    client::{HelloAnswer, Sni, TlsClient, send_bytes, send_hello},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stack::{Issuing, Proxying};

const UNRECOGNIZED_NAME: u8 = 112;

#[tokio::test]
async fn names_that_cannot_be_hostnames_are_refused_and_the_gate_is_not_asked() {
    let stack = Proxying::start().await;
    let long = format!("{}.test", ["a".repeat(62).as_str(); 4].join("."));
    assert!(long.len() > 253);
    let names: [&[u8]; 9] = [
        b"127.0.0.1",
        b"localhost",
        b"under_score.test",
        b"*.wild.test",
        b"a..b.test",
        b"-a.test",
        long.as_bytes(),
        b"nul\0.test",
        "b\u{fc}cher.test".as_bytes(),
    ];
    for name in names {
        let answer = send_hello(stack.edge.https(), Sni::Name(name)).await.unwrap();
        let shown = String::from_utf8_lossy(name);
        assert!(matches!(answer, HelloAnswer::Alert { level: 2, .. }), "{shown}: {answer:?}");
    }
    let answer = send_hello(stack.edge.https(), Sni::Absent).await.unwrap();
    assert_eq!(answer, HelloAnswer::Alert { level: 2, description: UNRECOGNIZED_NAME });
    assert_eq!(stack.gate.asked_in_all(), 0);
    // Each has its counter and its line.
    stack.edge.until_metric("namegate_edge_connection_ends_total{reason=\"hello_no_name\"}", 1.0).await;
    stack.edge.until_metric("namegate_edge_connection_ends_total", names.len() as f64 + 1.0).await;
    stack.edge.logs("\"reason\":\"hello_no_name\"").await;
    assert_eq!(stack.edge.metric("namegate_edge_connection_ends_total{reason=\"served\"}").await, 0.0);
}

#[tokio::test]
async fn every_spelling_of_a_name_is_one_name() {
    let stack = Proxying::start().await;
    for name in [&b"Shop.Customer.TEST"[..], b"shop.customer.test", b"shop.customer.test."] {
        let answer = send_hello(stack.edge.https(), Sni::Name(name)).await.unwrap();
        let shown = String::from_utf8_lossy(name);
        // A trailing dot is not allowed in SNI (RFC 6066 section 3); a server may take it or refuse it.
        let fine = matches!(answer, HelloAnswer::ServerHello) || name.ends_with(b".");
        assert!(fine, "{shown}: {answer:?}");
    }
    assert_eq!(stack.gate.asked("shop.customer.test"), 1);
    assert_eq!(stack.gate.asked_in_all(), 1);
}

#[tokio::test]
async fn what_is_not_tls_ends_with_an_alert_or_a_close_and_stops_nothing() {
    let stack = Proxying::start().await;
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", &[0; 64], b"\x80\x2e\x01\x03\x01"]
    {
        let answer = send_bytes(stack.edge.https(), bytes);
        let answer = tokio::time::timeout(Duration::from_secs(30), answer).await.unwrap().unwrap();
        assert!(!matches!(answer, HelloAnswer::ServerHello), "{bytes:?}");
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_silent_hello_is_cut_at_its_limit() {
    let stack = Proxying::start_with("[limits]\nhello_timeout = \"1s\"").await;
    let mut tcp = tokio::net::TcpStream::connect(stack.edge.https()).await.unwrap();
    // The first bytes of a hello, and then nothing.
    tcp.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), tcp.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection still stands");
    stack.edge.until_metric("namegate_edge_connection_ends_total{reason=\"hello_timeout\"}", 1.0).await;
}

#[tokio::test]
async fn a_probe_for_a_name_without_an_order_costs_no_question_and_no_order() {
    let stack = Issuing::start().await;
    let probe = TlsClient::trusting_anyone().alpn(&["acme-tls/1"]);
    for n in 0..50 {
        let refused = probe.visit(stack.edge.https(), &format!("n{n}.test")).await.unwrap_err();
        assert_eq!(refused.alert(), Some(AlertDescription::UnrecognisedName));
    }
    assert_eq!(stack.gate.asked_in_all(), 0);
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0);
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_sessions_are_resumed() {
    let stack = Proxying::start().await;
    let client = stack.client();
    for (client, version) in [
        (client.clone().only_tls12(), ProtocolVersion::TLSv1_2),
        (client.clone().only_tls13(), ProtocolVersion::TLSv1_3),
    ] {
        let first = client.visit(stack.edge.https(), "a.test").await.unwrap();
        assert_eq!((first.version, first.kind), (version, HandshakeKind::Full));
        // Tickets of TLS 1.3 come with the first bytes of the connection.
        assert_eq!(first.http().await.unwrap().get("a.test", "/").await.unwrap().status(), StatusCode::OK);
        let second = client.visit(stack.edge.https(), "a.test").await.unwrap();
        assert_eq!(second.kind, HandshakeKind::Resumed, "{version:?}");
        let other = client.visit(stack.edge.https(), "b.test").await.unwrap();
        assert_eq!(other.kind, HandshakeKind::Full, "a session belongs to its name");
    }
}

#[tokio::test]
async fn no_name_is_ever_served_with_the_certificate_of_another() {
    let stack = Proxying::start().await;
    stack.gate.set("refused.test", Reply::Deny);
    assert_eq!(stack.get("one.test", "/").await.unwrap().status(), StatusCode::OK);
    let anyone = TlsClient::trusting_anyone();
    assert!(anyone.visit(stack.edge.https(), "refused.test").await.is_err());
    // A client that verifies names sees each name under its own certificate.
    for name in ["one.test", "two.test", "three.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_name_too_long_for_the_store_is_refused_before_an_order() {
    let stack = Issuing::start().await;
    let name = |len: usize| {
        let tail = format!(".{}.{}.{}.test", "b".repeat(60), "c".repeat(60), "d".repeat(60));
        format!("{}{tail}", "a".repeat(len - tail.len()))
    };
    let refused = stack.get(&name(251), "/").await.unwrap_err();
    assert_eq!(refused.alert(), Some(AlertDescription::InternalError));
    assert_eq!(stack.proxy.count(Kind::NewOrder), 0);
    stack.edge.logs("too long for the store").await;
}
