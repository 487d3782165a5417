//! No request that two programs could read in two ways is accepted, and nothing of it reaches an origin.

use http::StatusCode;
use test_support::{Reply, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stack::Proxying;

/// What is hostile about it, the request, and the status that it gets. `\r\n` ends every line unless the row is about
/// line ends.
type Shape = (&'static str, &'static str, u16);

const LENGTHS: &[Shape] = &[
    (
        "length and encoding",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        400,
    ),
    (
        "encoding and length",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nG",
        400,
    ),
    (
        "two lengths that agree",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        400,
    ),
    (
        "two lengths that differ",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nok",
        400,
    ),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2, 2\r\n\r\nok", 400),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +2\r\n\r\nok", 400),
    ("a negative length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -2\r\n\r\nok", 400),
    ("a hexadecimal length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x2\r\n\r\nok", 400),
    (
        "a length that overflows",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 18446744073709551618\r\n\r\nok",
        400,
    ),
    ("an empty length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \r\n\r\nok", 400),
    ("a length of two words", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2 2\r\n\r\nok", 400),
    ("a length with an exponent", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2e0\r\n\r\nok", 400),
    ("a length with a fraction", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2.0\r\n\r\nok", 400),
    ("a space before the colon of a length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 2\r\n\r\nok", 400),
    ("a length behind a vertical tab", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \x0b2\r\n\r\nok", 400),
    ("a length with an underscore", "POST / HTTP/1.1\r\nHost: a.test\r\nContent_Length: 2\r\n\r\nok", 400),
];

const ENCODINGS: &[Shape] = &[
    ("an unknown coding", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    (
        "a space before the colon",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("a vertical tab", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("a form feed after it", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", 400),
    (
        "twice",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("twice in a line", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("gzip before it", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    (
        "identity after it",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "identity in a line of its own",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("identity", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n", 400),
    ("on HTTP/1.0", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("with a parameter", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400),
    ("in quotes", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("empty", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    ("folded", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ("with an underscore", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("with a NUL in its name", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n", 400),
];

const LINES: &[Shape] = &[
    ("a line folded with a space", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n", 400),
    ("a line folded with a tab", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\r\n\tb\r\n\r\n", 400),
    ("a first line that is folded", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", 400),
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: a.test\n\n", 400),
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: a.test\r\n\r\n", 400),
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n", 400),
    ("bare LF at the end of the head", "GET / HTTP/1.1\r\nHost: a.test\r\n\n", 400),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rY: b\r\n\r\n", 400),
    ("bare CR after a field", "GET / HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n", 400),
    ("two CR", "GET / HTTP/1.1\r\nHost: a.test\r\r\n\r\n", 400),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n", 400),
    ("NUL in a name", "GET / HTTP/1.1\r\nHost: a.test\r\nX\0: a\r\n\r\n", 400),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\x7fb\r\n\r\n", 400),
    ("an escape in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\x1b[2J\r\n\r\n", 400),
    ("an empty name", "GET / HTTP/1.1\r\nHost: a.test\r\n: x\r\n\r\n", 400),
    ("a line without a colon", "GET / HTTP/1.1\r\nHost: a.test\r\nnocolon\r\n\r\n", 400),
    ("a space in a name", "GET / HTTP/1.1\r\nHost: a.test\r\nX Y: z\r\n\r\n", 400),
    ("a bracket in a name", "GET / HTTP/1.1\r\nHost: a.test\r\nX[0]: z\r\n\r\n", 400),
    ("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
];

const CHUNKS: &[Shape] = &[
    (
        "LF after the size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "LF after the data",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n",
        400,
    ),
    (
        "LF in an extension",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "CR in an extension",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2;\rxx\r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "LF after the last size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\n\r\n",
        400,
    ),
    (
        "LF for the last line",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\n",
        400,
    ),
    (
        "a size with 0x",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "a size and a space",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "a space and a size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "a negative size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
        400,
    ),
    (
        "a size that overflows",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
        400,
    ),
    ("no size", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n", 400),
    (
        "more data than its size",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        400,
    ),
    (
        "a trailer that frames",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
        400,
    ),
    (
        "a trailer that routes",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b.test\r\n\r\n",
        400,
    ),
    ("LF in trailers", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400),
];

const TARGETS: &[Shape] = &[
    ("another authority", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("an authority with a user", "GET http://a.test@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("no authority", "GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("another scheme", "GET ftp://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("an authority alone", "GET a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a space", "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("two spaces before it", "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("two spaces after it", "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("tabs for spaces", "GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a control byte", "GET /\x01 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a NUL", "GET /\0 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("bytes that are not ASCII", "GET /\u{fc} HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("an asterisk of GET", "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("no path", "GET ?a HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", 405),
    ("a method that is no token", "GE(T / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("no version", "GET /\r\n\r\n", 400),
    ("a version in small letters", "GET / http/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a version of the future", "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n", 505),
    ("a version in other digits", "GET / HTTP/1.01\r\nHost: a.test\r\n\r\n", 400),
    ("something after the version", "GET / HTTP/1.1 x\r\nHost: a.test\r\n\r\n", 400),
    ("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
];

const HOSTS: &[Shape] = &[
    ("none", "GET / HTTP/1.1\r\n\r\n", 400),
    ("none on HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 400),
    ("two", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400),
    ("two that differ", "GET / HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n", 400),
    ("empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("a list", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", 400),
    ("two words", "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", 400),
    ("a user", "GET / HTTP/1.1\r\nHost: b.test@a.test\r\n\r\n", 400),
    ("a path", "GET / HTTP/1.1\r\nHost: a.test/b\r\n\r\n", 400),
    ("a port that is none", "GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n", 400),
    ("an address", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    ("bytes that are not ASCII", "GET / HTTP/1.1\r\nHost: \u{fc}.test\r\n\r\n", 400),
    ("another site", "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n", 421),
    ("behind a space before the colon", "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", 400),
];

const OTHERS: &[Shape] = &[
    ("an unknown expectation", "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\nok", 417),
    (
        "an expectation and more",
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue, x\r\nContent-Length: 2\r\n\r\nok",
        417,
    ),
    (
        "an expectation behind a tab and a letter",
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: y\t100-continue\r\nContent-Length: 2\r\n\r\nok",
        417,
    ),
    (
        "two expectations",
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        417,
    ),
    (
        "a WebSocket with a body",
        "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 2\r\n\r\nok",
        400,
    ),
];

#[tokio::test]
async fn no_hostile_shape_is_accepted_and_nothing_of_it_reaches_the_origin() {
    let stack = Proxying::start().await;
    let mut failed = Vec::new();
    let groups =
        [("length", LENGTHS), ("encoding", ENCODINGS), ("line", LINES), ("chunk", CHUNKS), ("target", TARGETS)];
    let groups = groups.into_iter().chain([("host", HOSTS), ("other", OTHERS)]);
    let mut count = 0;
    for (group, (what, request, status)) in groups.flat_map(|(group, shapes)| shapes.iter().map(move |s| (group, s))) {
        count += 1;
        let answer = answer_to(&stack, request.as_bytes()).await;
        let seen = (stack.origin.connections(), stack.origin.requests());
        if answer != Some(*status) || seen != (0, 0) {
            failed.push(format!("{group}: {what}: {answer:?} instead of {status}, the origin saw {seen:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {count} shapes:\n{}", failed.len(), failed.join("\n"));
    assert!(count >= 57, "{count}");
}

/// The status of the only answer, after which the connection has to close.
async fn answer_to(stack: &Proxying, request: &[u8]) -> Option<u16> {
    let mut raw = stack.raw("a.test").await;
    // The edge may have had enough before it has everything.
    let _ = raw.send(request).await;
    let response = raw.response().await?;
    // A request whose framing is good keeps its connection, whatever name it is for.
    if response.status != 421 && !response.head.contains("keep-alive") {
        assert_eq!(String::from_utf8_lossy(&raw.rest().await), "", "one answer, then the end");
    }
    Some(response.status)
}

#[tokio::test]
async fn what_is_too_large_is_told_which_part_is() {
    // Fewer fields than origins take, so that it is the edge that speaks.
    let stack = Proxying::start_with("[limits]\nrequest_fields = 50").await;
    let field = |length| format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(length));
    let target = |length| format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "x".repeat(length));
    let fields = |count| format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: y\r\n".repeat(count));
    let extension = |length| {
        let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}2;{}\r\nok\r\n0\r\n\r\n", "e".repeat(length))
    };
    let cases = [
        (field(64 * 1024), 431),
        (field(200 * 1024), 431),
        (target(16 * 1024), 414),
        (target(8 * 1024), 414),
        (fields(50), 431),
        (extension(10_000), 400),
    ];
    for (request, status) in cases {
        let answer = answer_to(&stack, request.as_bytes()).await;
        assert_eq!(answer, Some(status), "{} bytes: {}", request.len(), &request[..40]);
    }
    assert_eq!((stack.origin.connections(), stack.origin.requests()), (0, 0));
    // And right below each limit nothing is wrong.
    for request in [field(32 * 1024 - 100), target(8 * 1024 - 2), fields(49), extension(1000)] {
        let mut raw = stack.raw("a.test").await;
        raw.send(&request).await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, 200, "{}", &request[..40]);
    }
}

#[tokio::test]
async fn a_refusal_is_counted_by_its_reason_and_says_that_the_connection_closes() {
    let stack = Proxying::start().await;
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let response = raw.response().await.unwrap();
    assert!(response.head.contains("connection: close\r\n"), "{}", response.head);
    assert!(String::from_utf8_lossy(&response.body).contains("400 Bad Request"));
    stack.edge.until_metric("namegate_edge_connections_cut_total{reason=\"bad_target\"}", 1.0).await;
}

#[tokio::test]
async fn a_refused_head_has_its_line_and_an_answer_in_the_form_that_it_asked_for() {
    let stack = Proxying::start().await;
    let head =
        "GET /a?b HTTP/1.1\r\nHost: a.test\r\nUser-Agent: probe/1\r\nCookie: secret\r\nAccept: application/json\r\n";
    // At once, and in two pieces: the first is read before the second is sent, as its answer shows nothing.
    for pieces in [
        vec![format!("{head}Content-Length: 1, 1\r\n\r\n")],
        vec![head.to_owned(), "Content-Length: 2, 2\r\n\r\n".to_owned()],
    ] {
        let mut raw = stack.raw("a.test").await;
        for piece in &pieces {
            raw.send(piece).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let response = raw.response().await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 400);
        assert_eq!(
            body,
            serde_json::json!({"status": 400, "error": {"code": "bad_request", "message": "The request could not be understood."}})
        );
        let line = stack.access_line(400).await;
        assert_eq!(line["error"], "bad_content_length", "{line}");
        assert_eq!(line["size"], response.body.len(), "{line}");
        let request = &line["request"];
        let told = ["method", "host", "uri", "remote_ip"].map(|field| request[field].as_str().unwrap());
        assert_eq!(told, ["GET", "a.test", "/a?b", "127.0.0.1"], "{line}");
        assert_eq!(request["headers"], serde_json::json!({"User-Agent": ["probe/1"]}), "{line}");
        assert_eq!(request["tls"]["server_name"], "a.test", "{line}");
        assert!(!line.to_string().contains("secret"));
    }
    // What is no HTTP at all is told of too, without any of its bytes.
    let mut raw = stack.raw("a.test").await;
    raw.send(b"\x1b[2J \x00 HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(raw.response().await.unwrap().body.starts_with(b"<!doctype"));
    wait::until("its line is written", async || {
        stack
            .edge
            .log()
            .lines()
            .any(|line| line.contains("\"error\":\"bad_method\"") && line.contains("\"uri\":\"\""))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_body_that_turns_bad_ends_both_connections() {
    let stack = Proxying::start().await;
    let head = "POST /sink HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    for (round, bad) in ["2\nok\r\n", "zz\r\n", "2\r\nok+", "0\r\nHost: b.test\r\n\r\n"].into_iter().enumerate() {
        let mut raw = stack.raw("a.test").await;
        raw.send(head).await.unwrap();
        wait::until("the origin has the head", async || (stack.origin.requests() > 2 * round).then_some(())).await;
        // What would be a second request, if somebody took the bad end for a good one.
        raw.send(format!("{bad}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")).await.unwrap();
        let response = raw.response().await.unwrap();
        assert_eq!(response.status, 400, "{bad:?}");
        assert_eq!(String::from_utf8_lossy(&raw.rest().await), "", "{bad:?}");
        // The next request goes over another connection: the one with half a request on it was not kept.
        let mut raw = stack.raw("a.test").await;
        raw.send("GET /bytes/2 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, 200);
        let seen = (stack.origin.connections(), stack.origin.requests());
        // Each round: one connection that broke, and one that the next round may use again.
        assert_eq!(seen.1, 2 * (round + 1), "nothing was smuggled after {bad:?}");
        assert!(seen.0 >= round + 2, "a broken connection was used again after {bad:?}: {seen:?}");
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_one_by_one() {
    let stack = Proxying::start().await;
    let mut raw = stack.raw("a.test").await;
    let body = "POST /sink HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST /sink HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n2\r\ncd\r\n0\r\nTrail: er\r\n\r\n";
    let get = "GET /bytes/7 HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let batch = format!("{get}{body}\r\n{chunked}{get}GET /x#y HTTP/1.1\r\nHost: a.test\r\n\r\n{get}");
    raw.send(&batch).await.unwrap();
    let mut answers = Vec::new();
    while let Some(response) = raw.response().await {
        answers.push((response.status, response.body.len()));
    }
    let sink = raw_sink_length();
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 200, 200, 400]);
    assert_eq!((answers[0].1, answers[3].1), (7, 7));
    assert_eq!((answers[1].1, answers[2].1), (sink, sink), "each body reached the origin whole");
    assert_eq!(stack.origin.requests(), 4, "nothing after the refused request was looked at");
}

/// Length of `/sink`'s answer for a body of one digit's length.
fn raw_sink_length() -> usize {
    let sha256 = "0".repeat(64);
    serde_json::json!({"bytes": 3, "sha256": sha256}).to_string().len()
}

#[tokio::test]
async fn a_request_behind_one_that_is_being_answered_waits_for_its_turn() {
    let stack = Proxying::start().await;
    stack.origin.hold();
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    stack.origin.reached(1).await;
    raw.send("GET /bytes/5 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /bytes/6").await.unwrap();
    raw.send(" HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    stack.origin.release();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let response = raw.response().await.unwrap();
        assert_eq!(response.status, 200);
        lengths.push(response.body.len());
    }
    assert_eq!(lengths[1..], [5, 6]);
}

#[tokio::test]
async fn an_early_answer_never_turns_a_body_into_a_request() {
    let stack = Proxying::start_with("[limits]\nread_timeout = \"1s\"").await;
    stack.gate.set("old.test", Reply::Allow(serde_json::json!({"redirect": "https://new.test"})));
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: old.test\r\n\r\n";
    for host in ["old.test", "a.test"] {
        let mut raw = stack.raw(host).await;
        let path = if host == "a.test" { "/refuse-body" } else { "/" };
        let length = hidden.len() + 1;
        raw.send(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")).await.unwrap();
        let answer = raw.response().await.unwrap();
        assert!(matches!(answer.status, 308 | 413), "{answer:?}");
        // The body comes late, and looks like a request.
        let _ = raw.send(hidden).await;
        assert_eq!(String::from_utf8_lossy(&raw.rest().await), "", "{host}");
    }
    assert_eq!(stack.origin.requests(), 1, "only the request that the origin refused");
}

#[tokio::test]
async fn bytes_behind_an_upgrade_reach_only_an_origin_that_upgraded() {
    let stack = Proxying::start().await;
    let upgrade = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    // A text frame with "hi", masked with zeros.
    let hi = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let mut raw = stack.raw("a.test").await;
    raw.send([upgrade("/ws").as_bytes(), &hi].concat()).await.unwrap();
    assert_eq!(raw.response().await.unwrap().status, 101);
    assert_eq!(raw.bytes(4).await.unwrap(), [0x81, 2, b'h', b'i'], "a frame that came early is not lost");
    raw.send(hi).await.unwrap();
    assert_eq!(raw.bytes(4).await.unwrap(), [0x81, 2, b'h', b'i']);

    // An origin that does not upgrade answers the request, and what follows is the next request, or refused.
    let mut raw = stack.raw("a.test").await;
    raw.send(format!("{}GET /bytes/4 HTTP/1.1\r\nHost: a.test\r\n\r\n", upgrade("/bytes/3"))).await.unwrap();
    let lengths = [raw.response().await.unwrap().body.len(), raw.response().await.unwrap().body.len()];
    assert_eq!(lengths, [3, 4]);
    let mut raw = stack.raw("a.test").await;
    raw.send([upgrade("/bytes/3").as_bytes(), &hi].concat()).await.unwrap();
    assert_eq!(raw.response().await.unwrap().status, 200);
    assert_eq!(raw.response().await.unwrap().status, 400);
}

/// A server that answers its first request with these bytes; what came after that request.
async fn upgrades_as(stack: &Proxying, answer: &'static str) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = tokio::net::TcpListener::bind(stack.host.at(0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut came = Vec::new();
        while !came.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            assert_ne!(tcp.read_buf(&mut came).await.unwrap(), 0);
        }
        tcp.write_all(answer.as_bytes()).await.unwrap();
        let head = came.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        // A reset ends it as well.
        let _ = tcp.read_to_end(&mut came).await;
        came.split_off(head)
    });
    (url, behind)
}

#[tokio::test]
async fn bytes_behind_an_upgrade_reach_no_origin_that_does_not_prove_that_it_understood() {
    let stack = Proxying::start().await;
    let hash = |value: &str| format!("Sec-WebSocket-Accept: {value}\r\n");
    let switching = |fields: &str| format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{fields}\r\n");
    let answers = [
        ("none", switching("Upgrade: websocket\r\n")),
        ("another key's", switching(&format!("Upgrade: websocket\r\n{}", hash("HSmrc0sMlYUkAGmm5OPpG2HaGWk=")))),
        ("the key itself", switching(&format!("Upgrade: websocket\r\n{}", hash("dGhlIHNhbXBsZSBub25jZQ==")))),
    ];
    for (n, (what, answer)) in answers.into_iter().enumerate() {
        let (url, behind) = upgrades_as(&stack, answer.leak()).await;
        let name = format!("upgrade{n}.test");
        stack.gate.set(&name, Reply::origin(&url));
        let mut raw = stack.raw(&name).await;
        raw.send(format!(
            "GET /ws HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        ))
        .await
        .unwrap();
        assert_eq!(raw.response().await.unwrap().status, 502, "{what}");
        assert_eq!(String::from_utf8_lossy(&behind.await.unwrap()), "", "{what}: the origin got bytes behind it");
    }
}

#[tokio::test]
async fn a_connection_option_takes_no_field_away_from_the_origin() {
    let stack = Proxying::start().await;
    for option in ["Host", "X-Forwarded-For", "Content-Length", "Forwarded"] {
        let mut raw = stack.raw("a.test").await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, {option}\r\n\r\n")).await.unwrap();
        let response = raw.response().await.unwrap();
        assert!(response.status == 400 || response.status == 200, "{option}: {response:?}");
        if response.status == 200 {
            let echo = test_support::Echo::parse(&response.body);
            let told =
                (echo.header("host").is_some(), echo.header("x-forwarded-for"), echo.header("forwarded").is_some());
            assert_eq!(told, (true, Some("127.0.0.1"), true), "{option}");
        }
    }
}

#[tokio::test]
async fn only_a_websocket_upgrade_is_passed_on() {
    let stack = Proxying::start().await;
    let cases = [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
    ];
    for case in cases {
        let mut raw = stack.raw("a.test").await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{case}\r\n")).await.unwrap();
        let response = raw.response().await.unwrap();
        assert_eq!(response.status, 200, "{case:?}");
        let echo = test_support::Echo::parse(&response.body);
        for name in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(echo.header(name), None, "{case:?}");
        }
    }
}

#[tokio::test]
async fn plain_text_listeners_are_as_strict() {
    let stack = Proxying::start().await;
    let cases = [
        ("GET /x#y HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a.test\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400),
        ("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n", 405),
    ];
    for (request, status) in cases {
        let tcp = tokio::net::TcpStream::connect(stack.edge.http()).await.unwrap();
        let mut raw = test_support::client::Raw::over(tcp);
        // Behind a good request, so that the order of the answers is seen.
        raw.send(format!("GET /good HTTP/1.1\r\nHost: a.test\r\n\r\n{request}")).await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, StatusCode::PERMANENT_REDIRECT, "{request:?}");
        assert_eq!(raw.response().await.unwrap().status, status, "{request:?}");
        assert_eq!(raw.rest().await, b"", "{request:?}");
    }
}
