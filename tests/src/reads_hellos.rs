//! ClientHellos of every shape: refused locally, with one alert, at no cost to the gate.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::StatusCode;
use rustls::{AlertDescription, ClientConnection, HandshakeKind, ProtocolVersion};
use rustls_pki_types::ServerName;
use test_support::{
    Kind, Reply,
    client::{HelloAnswer, Sni, TlsClient, hello_bytes, send_bytes, send_hello},
    wait,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::stack::{Issuing, Proxying};

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const UNRECOGNIZED_NAME: u8 = 112;
/// Bytes of a record before its content: type, version, length (RFC 8446 section 5.1).
const RECORD_HEAD: usize = 5;

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
    let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
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

/// The handshake message of a record, in records of at most `size` bytes each.
fn in_records_of(size: usize, record: &[u8]) -> Vec<u8> {
    let pieces = record[RECORD_HEAD..].chunks(size);
    pieces.flat_map(|piece| [&[22, 3, 1], &(piece.len() as u16).to_be_bytes()[..], piece].concat()).collect()
}

/// A hello that its own kind of padding makes larger (RFC 7685).
fn padded(hello: &[u8], by: usize) -> Vec<u8> {
    let mut message = hello[RECORD_HEAD..].to_vec();
    let mut extension = vec![0, 21];
    extension.extend((by as u16).to_be_bytes());
    extension.resize(4 + by, 0);
    // In front of the extensions stand version, random, session id, four suites and the compression method.
    let extensions = 4 + 2 + 32 + 1 + 2 + 8 + 2;
    let length = u16::from_be_bytes([message[extensions], message[extensions + 1]]) as usize + extension.len();
    message.extend(extension);
    message.splice(extensions..extensions + 2, (length as u16).to_be_bytes());
    let length = (message.len() - 4) as u32;
    message.splice(1..4, length.to_be_bytes()[1..].iter().copied());
    [&[0; RECORD_HEAD][..], &message].concat()
}

#[tokio::test]
async fn a_hello_means_the_same_in_pieces_of_any_size() {
    let stack = Proxying::start().await;
    stack.gate.set("denied.test", Reply::Deny);
    let hello = |name: &str| hello_bytes(Sni::Name(name.as_bytes()));
    for size in [1, 7, 100] {
        for (name, expected) in [
            ("pieces.test", HelloAnswer::ServerHello),
            ("denied.test", HelloAnswer::Alert { level: 2, description: UNRECOGNIZED_NAME }),
        ] {
            let answer = send_bytes(stack.edge.https(), &in_records_of(size, &hello(name))).await.unwrap();
            assert_eq!(answer, expected, "{name} in records of {size}");
            // One record, which the network delivers so.
            let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
            tcp.set_nodelay(true).unwrap();
            for piece in hello(name).chunks(size) {
                tcp.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let kind = tcp.read_u8().await.unwrap();
            assert_eq!(kind == 22, expected == HelloAnswer::ServerHello, "{name} in writes of {size}");
        }
    }
    // As large as a hello with post-quantum shares and more, in one record and in several.
    for (by, size) in [(3_000, 16_384), (12_000, 16_384), (40_000, 16_384), (40_000, 500)] {
        let bytes = in_records_of(size, &padded(&hello("large.test"), by));
        assert_eq!(send_bytes(stack.edge.https(), &bytes).await.unwrap(), HelloAnswer::ServerHello, "{by} {size}");
    }
    assert_eq!(stack.gate.asked_in_all(), 3);
}

#[tokio::test]
async fn a_hello_without_end_is_cut_while_it_comes() {
    let stack = Proxying::start().await;
    // The first says how much will come: a megabyte, and 16 of them.
    for length in [[0x10, 0, 0], [0xff, 0xff, 0xff]] {
        let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
        let record = [&[22, 3, 1, 0x40, 0][..], &vec![0; 16_384]].concat();
        let mut first = record.clone();
        first[RECORD_HEAD] = 1;
        first[RECORD_HEAD + 1..RECORD_HEAD + 4].copy_from_slice(&length);
        // What the edge does not read stays in buffers of the kernel, which are smaller than this.
        let mut sent = tcp.write_all(&first).await;
        for _ in 0..16_384 {
            sent = sent.and(tcp.write_all(&record).await);
            if sent.is_err() {
                break;
            }
        }
        assert!(sent.is_err(), "256 MiB of a hello were taken");
    }
    stack.edge.until_metric("namegate_edge_connection_ends_total{reason=\"hello_not_tls\"}", 2.0).await;
    assert_eq!(stack.gate.asked_in_all(), 0);
}

#[tokio::test]
async fn protocols_and_suites_of_the_past_are_refused() {
    let stack = Proxying::start().await;
    let with = |old: &[u8], new: &[u8]| {
        let mut hello = hello_bytes(Sni::Name(b"old.test"));
        let at = hello.windows(old.len()).position(|bytes| bytes == old).unwrap();
        hello[at..at + new.len()].copy_from_slice(new);
        hello
    };
    // TLS 1.1 and 1.0; RSA key exchange with AES, 3DES and RC4.
    let versions = with(&[0, 43, 0, 5, 4, 3, 4, 3, 3], &[0, 43, 0, 5, 4, 3, 2, 3, 1]);
    let suites = with(&[0x13, 1, 0x13, 2, 0xc0, 0x2b, 0xc0, 0x2f], &[0, 0x2f, 0, 0x35, 0, 0x0a, 0, 5]);
    for (hello, description) in [(versions, PROTOCOL_VERSION), (suites, HANDSHAKE_FAILURE)] {
        let answer = send_bytes(stack.edge.https(), &hello).await.unwrap();
        assert_eq!(answer, HelloAnswer::Alert { level: 2, description });
    }
}

/// What this client says first.
fn first_flight(client: &TlsClient, name: &'static str) -> Vec<u8> {
    let mut session = ClientConnection::new(client.config(), ServerName::try_from(name).unwrap()).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    hello
}

/// Sends a hello, takes the answer and says nothing more; ends when the edge has had enough.
async fn stall(edge: SocketAddr, hello: &[u8]) {
    let mut tcp = TcpStream::connect(edge).await.unwrap();
    tcp.write_all(hello).await.unwrap();
    assert_eq!(tcp.read_u8().await.unwrap(), 22, "the edge goes on with the handshake");
    let mut rest = Vec::new();
    // A reset ends it as well.
    let ended = tokio::time::timeout(wait::LIMIT, tcp.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the handshake still stands");
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_at_its_limit_a_validation_too() {
    let short = "[limits]\nhandshake_timeout = \"500ms\"";
    let stack = Issuing::start_with(short, Default::default()).await;
    assert_eq!(stack.get("stalls.test", "/").await.unwrap().status(), StatusCode::OK);
    stall(stack.edge.https(), &first_flight(&stack.client(), "stalls.test")).await;
    let timeouts = "namegate_edge_connection_ends_total{reason=\"handshake_timeout\"}";
    stack.edge.until_metric(timeouts, 1.0).await;
    // A CA's connection, in the middle of an order.
    stack.proxy.hold(Kind::Challenge);
    let (client, edge) = (stack.client(), stack.edge.https());
    let waiting = tokio::spawn(async move { client.get(edge, "probed.test", "/").await });
    stack.proxy.reached(Kind::Challenge).await;
    stall(stack.edge.https(), &first_flight(&TlsClient::probing(), "probed.test")).await;
    stack.edge.until_metric(timeouts, 2.0).await;
    stack.proxy.release();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A client sends early data when its session allows some (RFC 8446 section 4.2.10), and none does.
#[tokio::test]
async fn no_session_allows_early_data() {
    let stack = Proxying::start().await;
    let mut config = (*stack.client().only_tls13().config()).clone();
    config.enable_early_data = true;
    let (config, name) = (Arc::new(config), ServerName::try_from("early.test").unwrap());
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
        let mut tls = TlsConnector::from(config.clone()).connect(name.clone(), tcp).await.unwrap();
        // The session comes with the answer.
        tls.write_all(b"GET / HTTP/1.1\r\nHost: early.test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(tls.get_ref().1.handshake_kind(), Some(kind));
    }
    let mut offering = ClientConnection::new(config, name).unwrap();
    assert!(offering.early_data().is_none(), "the session that is offered allows early data");
}
