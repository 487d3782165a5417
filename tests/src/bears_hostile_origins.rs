//! What an origin sends is as strange as what a visitor sends: it ends that exchange, and that connection, and no other.

use std::time::Duration;

use http::StatusCode;
use test_support::{
    BadOrigin, Misbehaviour, Passing, RecordRelay, Reply,
    client::{
        frames::{END_STREAM, Frame, kind},
        http as client_http,
    },
};

use crate::stack::Proxying;

/// Nothing here is about an origin that is left alone after its failures.
const PATIENT: &str = "[limits]\nbreaker_exchanges = 1000000\nresponse_header_timeout = \"20s\"";

const LONG_FIELD: &[u8] =
    b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";

/// Answers of which no visitor may get a byte.
const NO_ANSWERS: &[(&str, Misbehaviour)] = &[
    ("a head without end", Misbehaviour::Repeats(b"HTTP/1.1 200 OK\r\n", LONG_FIELD)),
    ("a line without end", Misbehaviour::Repeats(b"HTTP/1.1 200 OK\r\nx: ", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
    ("interim answers without end", Misbehaviour::Repeats(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")),
    ("two lengths", Misbehaviour::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!")),
    (
        "a length beside chunks",
        Misbehaviour::Says(
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ),
    (
        "an encoding that is not chunked",
        Misbehaviour::Says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ),
    ("a length that is no number", Misbehaviour::Says(b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello")),
    ("no version", Misbehaviour::Says(b"200 OK\r\n\r\n")),
    ("a status of two digits", Misbehaviour::Says(b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n")),
    ("NUL in a field", Misbehaviour::Says(b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n")),
    ("an upgrade that nobody asked for", Misbehaviour::Says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")),
    ("an end before the head's", Misbehaviour::Ends(b"HTTP/1.1 200 OK\r\ncontent-le")),
    ("an end after an interim answer", Misbehaviour::Ends(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    ("a reset within the head", Misbehaviour::ResetMidHeaders),
];

#[tokio::test]
async fn an_answer_that_is_none_is_answered_with_502_and_its_connection_is_not_used_again() {
    let stack = Proxying::start_with(PATIENT).await;
    for (n, (what, how)) in NO_ANSWERS.iter().enumerate() {
        let (name, bad) = (format!("bad{n}.test"), BadOrigin::start(&stack.host, *how).await);
        stack.gate.set(&name, Reply::origin(&bad.url()));
        for (requests, alpn) in ["http/1.1", "h2"].into_iter().enumerate() {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
            let response = http.get(&name, "/").await.unwrap_or_else(|error| panic!("{what} {alpn}: {error:?}"));
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{what} {alpn}");
            assert_eq!(bad.connections(), requests + 1, "{what} {alpn}");
        }
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
}

/// Answers that begin well.
const BROKEN_BODIES: &[(&str, Misbehaviour)] = &[
    ("a reset within the body", Misbehaviour::ResetMidBody),
    ("an end within the body", Misbehaviour::Ends(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123")),
    ("an end within the chunks", Misbehaviour::Ends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel")),
    (
        "an end before the last chunk",
        Misbehaviour::Ends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ),
    (
        "a chunk size that is none",
        Misbehaviour::Says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
    ),
    (
        "a chunk longer than its size",
        Misbehaviour::Says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"),
    ),
];

#[tokio::test]
async fn a_body_that_breaks_is_not_passed_off_as_whole_and_its_connection_is_not_used_again() {
    let stack = Proxying::start_with(PATIENT).await;
    for (n, (what, how)) in BROKEN_BODIES.iter().enumerate() {
        let (name, bad) = (format!("half{n}.test"), BadOrigin::start(&stack.host, *how).await);
        stack.gate.set(&name, Reply::origin(&bad.url()));
        for (requests, alpn) in ["http/1.1", "h2"].into_iter().enumerate() {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
            match http.get(&name, "/").await {
                Err(_) => {}
                // What was found before the head was passed on.
                Ok(response) => assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{what} {alpn}"),
            }
            assert_eq!(bad.connections(), requests + 1, "{what} {alpn}");
        }
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys() {
    let stack = Proxying::start_with(PATIENT).await;
    const TWO: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret";
    let bad = BadOrigin::start(&stack.host, Misbehaviour::Says(TWO)).await;
    for (requests, name) in ["one.test", "two.test"].into_iter().enumerate() {
        stack.gate.set(name, Reply::origin(&bad.url()));
        let response = stack.get(name, "/").await.unwrap();
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, &b"ok"[..]));
        assert_eq!(bad.connections(), requests + 1);
    }
}

#[tokio::test]
async fn a_few_interim_answers_are_passed_over() {
    let stack = Proxying::start_with(PATIENT).await;
    const EIGHT: &[u8] = b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\n\
        HTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 103 E\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let bad = BadOrigin::start(&stack.host, Misbehaviour::Ends(EIGHT)).await;
    stack.gate.set("hints.test", Reply::origin(&bad.url()));
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "hints.test").await.unwrap().http().await.unwrap();
        let request = http.request("GET", "hints.test", "/", client_http::no_body());
        assert_eq!(http.send(request).await.unwrap().status(), StatusCode::OK, "{alpn}");
    }
}

#[tokio::test]
async fn an_origin_whose_certificate_has_run_out_gets_no_request() {
    let mut stack = Proxying::start_with(PATIENT).await;
    let (expired, root) = BadOrigin::expired(&stack.host).await;
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), root).unwrap();
    let roots = format!("[proxy]\norigin_ca_root = {:?}", roots.path());
    stack.edge.configure(|options| *options = options.clone().set(&roots));
    stack.edge.restart().await;
    stack.gate.set("expired.test", Reply::origin(&format!("https://{}", expired.authority())));
    assert_eq!(stack.get("expired.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
    assert_eq!(stack.access_line(502).await["error"], "origin_not_trusted");
}

/// Nothing here ends because its time is up.
const NO_HURRY: &str = "[limits]\nbreaker_exchanges = 1000000\nresponse_header_timeout = \"10m\"";

#[tokio::test]
async fn an_answer_whose_records_come_in_pieces_arrives_whole() {
    let stack = Proxying::start_with(NO_HURRY).await;
    let millisecond = Duration::from_millis(1);
    for (n, (size, pause)) in [(1, Duration::ZERO), (7, Duration::ZERO), (1400, millisecond)].into_iter().enumerate() {
        let how = Passing::Pieces(size, pause);
        let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), how).await;
        let name = format!("pieces{n}.test");
        stack.gate.set(&name, Reply::origin(&relay.url()));
        for alpn in ["http/1.1", "h2"] {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
            // The connection that the first one leaves behind serves the second.
            for _ in 0..2 {
                let response = http.get(&name, "/bytes/100000").await.unwrap();
                assert_eq!(response.body().len(), 100_000, "{how:?} {alpn}");
                assert!(response.body().iter().all(|byte| *byte == b'b'), "{how:?} {alpn}");
            }
        }
    }
}

/// What is begun at once has few places: each answer waits for others and none for ever.
#[tokio::test]
async fn a_hundred_answers_at_once_whose_records_come_in_pieces_arrive_whole() {
    let stack = Proxying::start_with(NO_HURRY).await;
    let how = Passing::Pieces(3000, Duration::from_millis(1));
    let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), how).await;
    stack.gate.set("pieces.test", Reply::origin(&relay.url()));
    for window in [60_000, (1 << 31) - 1] {
        let mut frames = stack.frames("pieces.test", &[(4, window)]).await;
        let whole = u32::to_be_bytes((1 << 31) - 70_000);
        frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, whole)).await.unwrap();
        for n in 0..100 {
            frames.send(&Frame::get(2 * n + 1, "pieces.test", "/bytes/60000")).await.unwrap();
        }
        let (mut came, mut ended) = (0, 0);
        while ended < 100 {
            let data = frames.until(kind::DATA).await.unwrap();
            came += data.payload.len();
            ended += usize::from(data.flags & END_STREAM != 0);
        }
        assert_eq!(came, 100 * 60_000, "{window}");
    }
}

#[tokio::test]
async fn a_connection_on_which_a_record_has_begun_is_not_used_again() {
    let stack = Proxying::start_with(NO_HURRY).await;
    let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), Passing::AndAStart).await;
    stack.gate.set("begun.test", Reply::origin(&relay.url()));
    for _ in 0..3 {
        let response = stack.get("begun.test", "/bytes/12000").await.unwrap();
        assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 12_000));
    }
    assert_eq!(relay.connections(), 3);
}

/// The kernel has as much of it as it takes, all the time.
#[tokio::test]
async fn a_large_answer_over_tls_arrives_whole() {
    let stack = Proxying::start_with(NO_HURRY).await;
    stack.gate.set("large.test", Reply::origin(&stack.origin.tls_h1_url()));
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "large.test").await.unwrap().http().await.unwrap();
        let response = http.get("large.test", "/bytes/50000000").await.unwrap();
        assert_eq!(response.body().len(), 50_000_000, "{alpn}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_within_a_record_ends_at_once() {
    let stack = Proxying::start_with(NO_HURRY).await;
    for (n, how) in [Passing::EndsWithin, Passing::ResetsWithin].into_iter().enumerate() {
        let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), how).await;
        let name = format!("within{n}.test");
        stack.gate.set(&name, Reply::origin(&relay.url()));
        for alpn in ["http/1.1", "h2"] {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
            // Its head is in the record that does not end.
            let response = http.get(&name, "/bytes/100000").await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{how:?} {alpn}");
        }
    }
    assert_eq!(stack.get("fine.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_origin_that_sends_a_session_ticket_without_end_is_hung_up_on() {
    let mut stack = Proxying::start_with(NO_HURRY).await;
    let (endless, root) = BadOrigin::endless_ticket(&stack.host).await;
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), root).unwrap();
    let roots = format!("[proxy]\norigin_ca_root = {:?}", roots.path());
    stack.edge.configure(|options| *options = options.clone().set(&roots));
    stack.edge.restart().await;
    stack.gate.set("ticket.test", Reply::origin(&format!("https://{}", endless.authority())));
    for (requests, alpn) in ["http/1.1", "h2"].into_iter().enumerate() {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "ticket.test").await.unwrap().http().await.unwrap();
        assert_eq!(http.get("ticket.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY, "{alpn}");
        assert_eq!(stack.access_line(502).await["error"], "origin_broken");
        assert_eq!(endless.connections(), requests + 1, "{alpn}");
    }
}
