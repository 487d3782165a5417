//! HTTP/2 floods, bombs and stalls end soon, pin little, and leave others alone.

use std::time::Duration;

use test_support::{
    BadOrigin, Misbehaviour, Passing, RecordRelay, Reply,
    client::{
        frames::{ACK, END_HEADERS, END_STREAM, Ended, Frame, Frames, PADDED, block, kind, request},
        http as client_http,
    },
    wait,
};
use tokio_util::task::AbortOnDropHandle;

use crate::stack::Proxying;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a hostile connection may make the edge keep.
const PINNED_KIB: u64 = 2 * 1024;
/// Hostile connections at once, so that what one of them pins stands out from what a process allocates anyway.
const HOSTILE: u64 = 4;
/// How long the allocator may take to return what nobody uses; shorter than an idle connection lives.
const SETTLE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn floods_of_frames_are_cut_and_others_are_served() {
    let stack = Proxying::start().await;
    let window = |stream: u32, by: u32| Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes()).encode();
    let floods: [(&str, Vec<u8>); 8] = [
        ("PING", Frame::new(kind::PING, 0, 0, [0; 8]).encode()),
        ("PING that acknowledges", Frame::new(kind::PING, ACK, 0, [0; 8]).encode()),
        ("SETTINGS", Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 1, 0, 0]).encode()),
        ("empty SETTINGS", Frame::new(kind::SETTINGS, 0, 0, []).encode()),
        ("PRIORITY", Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 0, 16]).encode()),
        ("WINDOW_UPDATE", window(0, 1)),
        ("unknown frames", Frame::new(0xfa, 0, 0, []).encode()),
        ("PRIORITY_UPDATE", Frame::new(0x10, 0, 0, [0, 0, 0, 1, b'u', b'=', b'1']).encode()),
    ];
    for (what, frame) in floods {
        let mut frames = stack.frames("a.test", &[]).await;
        let flooded = frames.flood(&frame, 1_000_000).await;
        assert!(flooded.ended, "{what} were all taken");
    }
    let reason = "namegate_edge_connections_cut_total{reason=\"frame_flood\"}";
    stack.edge.until_metric(reason, 6.0).await;
    assert_eq!(stack.get("b.test", "/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn requests_that_are_taken_back_end_the_connection() {
    let stack = Proxying::start().await;
    let reset = |stream: u32| Frame::new(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes()).encode();
    // CVE-2023-44487: opened and reset by the visitor.
    let rapid = |stream: u32| [Frame::get(stream, "a.test", "/hang").encode(), reset(stream)].concat();
    // CVE-2025-8671: opened by the visitor, which makes the edge reset it.
    let made = |stream: u32| {
        let update = Frame::new(kind::WINDOW_UPDATE, 0, stream, [0; 4]).encode();
        [Frame::headers(stream, 0, &request("POST", "a.test", "/hang")).encode(), update].concat()
    };
    for (what, frames) in [("rapid reset", &rapid as &dyn Fn(u32) -> Vec<u8>), ("made you reset", &made)] {
        let all: Vec<u8> = (0..20_000).flat_map(|n| frames(2 * n + 1)).collect();
        let mut connection = stack.frames("a.test", &[]).await;
        let flooded = connection.flood(&all, 1).await;
        assert!(flooded.ended, "{what}");
    }
    // What reached the origin is bounded by what a connection may take back, not by what it sent.
    assert!(stack.origin.requests() < 1000, "{}", stack.origin.requests());
    assert_eq!(stack.get("b.test", "/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let stack = Proxying::start().await;
    let cases: [(&str, Vec<u8>); 3] = [
        ("empty CONTINUATION", Frame::new(kind::CONTINUATION, 0, 1, []).encode()),
        ("CONTINUATION", Frame::new(kind::CONTINUATION, 0, 1, block(&[("x", "y")])).encode()),
        ("large CONTINUATION", Frame::new(kind::CONTINUATION, 0, 1, block(&[("x", &"y".repeat(16_000))])).encode()),
    ];
    for (what, continuation) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        let open = Frame::new(kind::HEADERS, END_STREAM, 1, block(&request("GET", "a.test", "/")));
        frames.send(&open).await.unwrap();
        assert!(frames.flood(&continuation, 100_000).await.ended, "{what}");
    }
    assert_eq!(stack.origin.requests(), 0);
}

#[tokio::test]
async fn data_without_content_is_cut() {
    let stack = Proxying::start().await;
    let cases: [(&str, Vec<u8>); 2] = [
        ("empty DATA", Frame::new(kind::DATA, 0, 1, []).encode()),
        ("DATA of padding", Frame::new(kind::DATA, PADDED, 1, [7, 0, 0, 0, 0, 0, 0, 0]).encode()),
    ];
    for (what, data) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        frames.send(&Frame::headers(1, 0, &request("POST", "a.test", "/hang"))).await.unwrap();
        assert!(frames.flood(&data, 1_000_000).await.ended, "{what}");
    }
}

/// A block that names one field of `size` bytes and repeats it by its index (RFC 7541 section 6.1).
fn bomb(size: usize, times: usize) -> Vec<u8> {
    let mut bytes = block(&request("GET", "a.test", "/hold"));
    bytes.extend([0x40, 1, b'a']);
    let value = block(&[("", &"x".repeat(size))]);
    bytes.extend(&value[2..]);
    bytes.extend(std::iter::repeat_n(0x80 | 62, times));
    bytes
}

#[tokio::test]
async fn bombs_are_answered_with_431_and_pin_little() {
    let stack = Proxying::start().await;
    stack.origin.hold();
    let crumbs: Vec<(&str, &str)> = std::iter::repeat_n(("cookie", "a"), 380).collect();
    let crumbs = block(&[request("GET", "a.test", "/hold"), crumbs].concat());
    let bombs = [("many small", bomb(1, 1900)), ("large", bomb(3900, 1900)), ("crumbs", crumbs)];
    for (what, block) in bombs {
        warm_up(&stack).await;
        let before = stack.resident_kib();
        let mut hostile = Vec::new();
        for _ in 0..HOSTILE {
            let mut frames = stack.frames("a.test", &[]).await;
            for n in 0..100 {
                let head = Frame::new(kind::HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, block.clone());
                if frames.send(&head).await.is_err() {
                    break;
                }
            }
            let outcome = frames.outcome(1).await;
            assert!(matches!(outcome, Ended::Status(431) | Ended::GoAway(ENHANCE_YOUR_CALM)), "{what}: {outcome:?}");
            hostile.push(frames);
        }
        // The connections still stand: what they hold is what is left once the allocator has given back the rest.
        let pinned = || stack.resident_kib().saturating_sub(before) / HOSTILE;
        let little = wait::within(SETTLE, async || {
            // It looks for what to give back when it is asked for more.
            stack.edge.metric("process_resident_memory_bytes").await;
            (pinned() <= PINNED_KIB).then_some(())
        });
        let little = little.await;
        assert!(little.is_some(), "{what}: {} KiB for each connection", pinned());
        drop(hostile);
    }
    assert_eq!(stack.origin.requests() as u64, 3 * HOSTILE * WARM, "no bomb reached the origin");
}

/// How an origin is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Plain,
    Tls,
    Grpc,
}

/// What a visitor says that it takes of each stream, and whether it reads what comes.
const NOTHING: u32 = 0;
const LITTLE: u32 = 20_000;
const ALL: u32 = (1 << 31) - 1;
/// Answers over TLS that are begun for a connection before it takes anything of them.
const SEATS: usize = 4;

#[tokio::test]
async fn answers_that_nobody_takes_pin_little() {
    answers_pin_little(Spoken::Plain, &[NOTHING, ALL]).await;
}

#[tokio::test]
async fn answers_over_tls_that_nobody_takes_pin_little() {
    answers_pin_little(Spoken::Tls, &[NOTHING, LITTLE, ALL]).await;
}

#[tokio::test]
async fn answers_of_grpc_that_nobody_takes_pin_little() {
    answers_pin_little(Spoken::Grpc, &[NOTHING, ALL]).await;
}

/// So many that what a process keeps for itself, between what comes and goes, does not count for much.
const UNTAKEN: u64 = 16;

async fn answers_pin_little(how: Spoken, windows: &[u32]) {
    for &window in windows {
        let stack = Proxying::start_with("[limits]\nwrite_timeout = \"10m\"").await;
        let plain = how == Spoken::Plain;
        stack.gate.set_default(Reply::origin(&if plain { stack.origin.url() } else { stack.origin.tls_url() }));
        warm_up(&stack).await;
        let (before, asked) = (stack.resident_kib(), stack.origin.requests());
        let mut hostile = Vec::new();
        for _ in 0..UNTAKEN {
            hostile.push(ask_without_taking(&stack, how, window).await);
        }
        let all = asked + 100 * UNTAKEN as usize;
        wait::until("the origin has every request", async || (stack.origin.requests() >= all).then_some(())).await;
        let pinned = pins(&stack, before, UNTAKEN).await;
        assert!(pinned <= PINNED_KIB, "{how:?}, a window of {window}: {pinned} KiB for each connection");
        let share = if window == NOTHING { "head_seat" } else { "body_seat" };
        assert!(how != Spoken::Tls || window == ALL || waited(&stack, share).await > 0, "{share}");
        drop(hostile);
    }
}

/// What each of `many` connections makes the edge keep that kept `before`, in KiB, once that is little or has had its time.
async fn pins(stack: &Proxying, before: u64, many: u64) -> u64 {
    // What origins have sent has come to the edge long before these are answered.
    for _ in 0..20 {
        assert_eq!(stack.get("b.test", "/bytes/20000").await.unwrap().body().len(), 20_000);
    }
    let pinned = || stack.resident_kib().saturating_sub(before) / many;
    let little = wait::within(SETTLE, async || {
        // It looks for what to give back when it is asked for more, on each of its threads.
        stack.get("b.test", "/").await.unwrap();
        stack.edge.metric("process_resident_memory_bytes").await;
        (pinned() <= PINNED_KIB).then(&pinned)
    });
    little.await.unwrap_or_else(pinned)
}

/// Settings with which nothing ends by itself.
const ENDLESS: &str = "[limits]\nread_timeout = \"10m\"\nwrite_timeout = \"10m\"\nresponse_header_timeout = \"10m\"\n\
    keepalive_timeout = \"10m\"\nconnect_timeout = \"2m\"";

/// The visitor takes all that comes, and has room for more: what is kept is the origins' doing.
#[tokio::test]
async fn records_that_a_hundred_origins_begin_and_do_not_end_pin_little() {
    for whole in [0, 1] {
        let stack = Proxying::start_with(ENDLESS).await;
        let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), Passing::AllButTheEnd(whole)).await;
        stack.gate.set("a.test", Reply::origin(&stack.origin.tls_h1_url()));
        warm_up(&stack).await;
        stack.gate.set("begun.test", Reply::origin(&relay.url()));
        let pinned = begun_pin(&stack, || relay.broken()).await;
        assert!(pinned <= PINNED_KIB, "behind {whole} records: {pinned} KiB for each connection");
        // A head has one of its own, of which there are fewer.
        let share = if whole == 0 { "head_seat" } else { "record" };
        assert!(waited(&stack, share).await > 0, "{share}");
    }
}

/// Records of one connection's origins that are read beyond their start at once.
const RECORDS: u32 = 16;

/// Exchanges that have waited for this share of their connection.
async fn waited(stack: &Proxying, share: &str) -> u64 {
    stack.edge.metric(&format!("namegate_edge_http2_waits_total{{share=\"{share}\"}}")).await as u64
}

#[tokio::test]
async fn records_on_connections_that_were_used_before_count_for_who_uses_them_now() {
    let stack = Proxying::start_with(ENDLESS).await;
    let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), Passing::AllButTheEnd(1)).await;
    stack.gate.set("begun.test", Reply::origin(&relay.url()));
    let (many, mut before) = (RECORDS + 4, Vec::new());
    for _ in 0..many {
        let mut raw = stack.raw("begun.test").await;
        raw.send("POST /sink HTTP/1.1\r\nHost: begun.test\r\nContent-Length: 8\r\n\r\nhalf").await.unwrap();
        before.push(raw);
    }
    wait::until("each has its own", async || (relay.connections() == many as usize).then_some(())).await;
    for raw in &mut before {
        raw.send("half").await.unwrap();
        assert_eq!(raw.response().await.unwrap().status, 200);
    }
    let _visitor = ask_and_take(&stack, "begun.test", many).await;
    wait::until("all are begun", async || (relay.broken() == many as usize).then_some(())).await;
    wait::until("a few wait", async || (waited(&stack, "record").await == 4).then_some(())).await;
    assert_eq!(relay.connections(), many as usize);
}

/// A handshake of a length that the TLS library would wait for.
#[tokio::test]
async fn handshakes_that_a_hundred_origins_begin_and_do_not_end_pin_little() {
    let stack = Proxying::start_with(ENDLESS).await;
    let record = [&[22, 3, 3, 62, 128][..], &[0; 16_000]].concat();
    let mut hello = record.repeat(3);
    hello.splice(5..9, [2, 0, 0xea, 0x60]);
    let origin = BadOrigin::start(&stack.host, Misbehaviour::Says(hello.leak())).await;
    warm_up(&stack).await;
    stack.gate.set("begun.test", Reply::origin(&format!("https://{}", origin.authority())));
    let pinned = begun_pin(&stack, || origin.connections()).await;
    assert!(pinned <= PINNED_KIB, "{pinned} KiB for each connection");
    for share in ["handshake", "long_handshake"] {
        assert!(waited(&stack, share).await > 0, "{share}");
    }
}

/// What each connection pins, in KiB, when all that it asked for at `begun.test` is `begun`.
async fn begun_pin(stack: &Proxying, begun: impl Fn() -> usize) -> u64 {
    let (before, mut hostile) = (stack.resident_kib(), Vec::new());
    for _ in 0..UNTAKEN {
        hostile.push(ask_and_take(stack, "begun.test", 100).await);
    }
    let all = 100 * UNTAKEN as usize;
    wait::until("all are begun", async || (begun() >= all).then_some(())).await;
    pins(stack, before, UNTAKEN).await
}

#[tokio::test]
async fn answers_without_room_whose_origins_stall_keep_no_other_of_their_connection_from_being_read() {
    let stack = Proxying::start_with(ENDLESS).await;
    let relay = RecordRelay::start(&stack.host, &stack.origin.tls_h1_url(), Passing::AllButTheEnd(1)).await;
    stack.gate.set("begun.test", Reply::origin(&relay.url()));
    // Each has room for its first record alone.
    let mut frames = stack.frames("begun.test", &[(INITIAL_WINDOW_SIZE, LITTLE)]).await;
    frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, (ALL - 70_000).to_be_bytes())).await.unwrap();
    let stalled = 40;
    for n in 0..stalled {
        frames.send(&Frame::get(2 * n + 1, "begun.test", "/bytes/100000")).await.unwrap();
    }
    let mut came = 0;
    while came < stalled as usize * 16_000 {
        came += frames.until(kind::DATA).await.unwrap().payload.len();
    }
    wait::until("all are begun", async || (relay.broken() >= stalled as usize).then_some(())).await;
    let (good, mut came) = (2 * stalled + 1, 0);
    frames.send(&Frame::get(good, "begun.test", "/bytes/12000")).await.unwrap();
    assert_eq!(frames.outcome(good).await, Ended::Status(200));
    while came < 12_000 {
        let data = frames.until(kind::DATA).await.unwrap();
        came += if data.stream == good { data.payload.len() } else { 0 };
    }
}

/// A connection that asks for so many answers, with room for all of them, and takes what comes.
async fn ask_and_take(stack: &Proxying, name: &str, many: u32) -> AbortOnDropHandle<()> {
    let mut frames = stack.frames(name, &[(INITIAL_WINDOW_SIZE, ALL)]).await;
    frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, (ALL - 70_000).to_be_bytes())).await.unwrap();
    for n in 0..many {
        frames.send(&Frame::get(2 * n + 1, name, "/bytes/100000")).await.unwrap();
    }
    AbortOnDropHandle::new(tokio::spawn(async move { while frames.next().await.is_some() {} }))
}

/// A connection that asks for a hundred answers: each more than a visitor takes, and together more than a socket, but not so
/// large that what the kernel keeps of them all would be too much for a machine. Where it has no room for them it reads all that comes; otherwise
/// nothing.
async fn ask_without_taking(stack: &Proxying, how: Spoken, window: u32) -> Frames {
    let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, window)]).await;
    if window >= LITTLE {
        frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, (ALL - 70_000).to_be_bytes())).await.unwrap();
    }
    let content = if how == Spoken::Grpc { "application/grpc" } else { "text/plain" };
    let asked = [request("GET", "a.test", "/bytes/100000"), vec![("content-type", content)]].concat();
    for n in 0..100 {
        frames.send(&Frame::headers(2 * n + 1, END_STREAM, &asked)).await.unwrap();
    }
    match window {
        // Whoever opens no window to speak of is not told what everybody has answered.
        NOTHING | 1 => {
            for _ in 0..if how == Spoken::Tls { SEATS } else { 100 } {
                frames.until(kind::HEADERS).await.unwrap();
            }
        }
        LITTLE => {
            let mut came = 0;
            while came < 100 * 15 * 1024 {
                came += frames.until(kind::DATA).await.unwrap().payload.len();
            }
        }
        _ => {}
    }
    frames
}

/// Requests on each connection that warms up.
const WARM: u64 = 20;

/// Some connections come and go, so that what a process allocates once is there.
async fn warm_up(stack: &Proxying) {
    for _ in 0..HOSTILE {
        let mut frames = stack.frames("a.test", &[]).await;
        for n in 0..WARM as u32 {
            frames.send(&Frame::get(2 * n + 1, "a.test", "/bytes/100")).await.unwrap();
            assert_eq!(frames.outcome(2 * n + 1).await, Ended::Status(200));
        }
    }
}

#[tokio::test]
async fn a_visitor_that_takes_nothing_is_given_up() {
    let stack = Proxying::start_with("[limits]\nwrite_timeout = \"1s\"\nkeepalive_timeout = \"1s\"").await;
    // No window: each stream is given up, then the connection without streams.
    let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for n in 0..10 {
        frames.send(&Frame::get(2 * n + 1, "a.test", "/bytes/10000000")).await.unwrap();
    }
    let mut resets = 0;
    while let Some(frame) = frames.next().await {
        resets += usize::from(frame.kind == kind::RST_STREAM);
    }
    assert_eq!(resets, 10, "every stream that made no progress is reset, and the connection ends");
    // Windows as large as can be, and nobody reads the socket.
    let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, (1 << 31) - 1)]).await;
    frames.send(&Frame::new(kind::WINDOW_UPDATE, 0, 0, ((1_u32 << 31) - 70_000).to_be_bytes())).await.unwrap();
    for n in 0..10 {
        frames.send(&Frame::get(2 * n + 1, "a.test", "/bytes/100000000")).await.unwrap();
    }
    let reason = "namegate_edge_connections_cut_total{reason=\"write_timeout\"}";
    stack.edge.until_metric(reason, 1.0).await;
}

#[tokio::test]
async fn a_connection_that_owes_a_preface_or_a_head_is_closed_in_time() {
    let stack = Proxying::start_with("[limits]\nrequest_header_timeout = \"300ms\"").await;
    let mut silent = stack.client().alpn(&["h2"]).visit(stack.edge.https(), "a.test").await.unwrap().silent_frames();
    while silent.next().await.is_some() {}
    let mut frames = stack.frames("a.test", &[]).await;
    let open = Frame::new(kind::HEADERS, END_STREAM, 1, block(&request("GET", "a.test", "/")));
    frames.send(&open).await.unwrap();
    while frames.next().await.is_some() {}
    stack.edge.until_metric("namegate_edge_connections_cut_total{reason=\"head_timeout\"}", 2.0).await;
}

/// Requests that HTTP/1 would read in another way (RFC 9113 sections 8.2 and 8.3), with what may come of them.
#[tokio::test]
async fn a_request_that_would_change_on_its_way_to_http1_reaches_no_origin() {
    let stack = Proxying::start().await;
    let get = || request("GET", "a.test", "/");
    let with = |name, value| [get(), vec![(name, value)]].concat();
    let path = |path| request("GET", "a.test", path);
    let authority = |authority| request("GET", authority, "/");
    let heads: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("transfer-encoding", with("transfer-encoding", "chunked")),
        ("connection", with("connection", "close")),
        ("keep-alive", with("keep-alive", "timeout=5")),
        ("proxy-connection", with("proxy-connection", "keep-alive")),
        ("upgrade", with("upgrade", "websocket")),
        ("te other than trailers", with("te", "gzip")),
        ("a name in upper case", with("X-Upper", "y")),
        ("a space in a name", with("x y", "z")),
        ("a colon in a name", with("x:y", "z")),
        ("CRLF in a name", with("x\r\ny", "z")),
        ("an empty name", with("", "z")),
        ("CRLF in a value", with("x", "y\r\nz: 1")),
        ("LF in a value", with("x", "y\nz: 1")),
        ("NUL in a value", with("x", "y\0z")),
        ("another host", with("host", "b.test")),
        ("a length that is none", with("content-length", "1x")),
        ("two lengths", [get(), vec![("content-length", "1"), ("content-length", "2")]].concat()),
        ("a length without a body", with("content-length", "5")),
        ("a length with an underscore", with("content_length", "5")),
        ("an encoding with an underscore", with("transfer_encoding", "chunked")),
        ("an unknown expectation", with("expect", "200-ok")),
        ("a space in the path", path("/a b")),
        ("CRLF in the path", path("/ HTTP/1.1\r\nx: y\r\n\r\n")),
        ("no path", path("")),
        ("an absolute path", path("https://b.test/")),
        ("a relative path", path("a")),
        ("an asterisk", path("*")),
        ("another authority", authority("b.test")),
        ("a user", authority("u@a.test")),
        ("two authorities", authority("a.test,b.test")),
        ("an empty authority", authority("")),
        ("no authority", vec![(":method", "GET"), (":scheme", "https"), (":path", "/")]),
        ("no method", vec![(":scheme", "https"), (":authority", "a.test"), (":path", "/")]),
        ("no scheme", vec![(":method", "GET"), (":authority", "a.test"), (":path", "/")]),
        ("no path field", vec![(":method", "GET"), (":scheme", "https"), (":authority", "a.test")]),
        (
            "a method with a space",
            vec![(":method", "GET /x"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")],
        ),
        ("a pseudo-field twice", with(":path", "/b")),
        ("an unknown pseudo-field", with(":unknown", "/b")),
        ("a pseudo-field of responses", with(":status", "200")),
        ("a pseudo-field after a field", [vec![("x", "y")], get()].concat()),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "a.test:443")]),
        (
            "extended CONNECT",
            vec![
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "https"),
                (":authority", "a.test"),
                (":path", "/"),
            ],
        ),
    ];
    let mut failed = Vec::new();
    for (what, head) in heads {
        let mut frames = stack.frames("a.test", &[]).await;
        frames.send(&Frame::headers(1, END_STREAM, &head)).await.unwrap();
        let outcome = frames.outcome(1).await;
        let refused = match outcome {
            Ended::Status(status) => (400..600).contains(&status),
            Ended::Reset(_) | Ended::GoAway(_) | Ended::Closed => true,
        };
        if !refused || stack.origin.requests() != 0 {
            failed.push(format!("{what}: {outcome:?}, the origin saw {}", stack.origin.requests()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The library drops a fragment before anybody sees it; it is not passed on.
#[tokio::test]
async fn a_fragment_is_not_passed_on() {
    let stack = Proxying::start().await;
    let mut frames = stack.frames("a.test", &[]).await;
    frames.send(&Frame::get(1, "a.test", "/a#b")).await.unwrap();
    frames.until(kind::HEADERS).await.unwrap();
    let body = frames.until(kind::DATA).await.unwrap().payload;
    assert_eq!(test_support::Echo::parse(&body).target, "/a");
}

#[tokio::test]
async fn a_body_of_another_length_than_it_says_is_no_request() {
    let stack = Proxying::start().await;
    for (length, data) in [("5", "toolong"), ("5", "four"), ("0", "x")] {
        let mut frames = stack.frames("a.test", &[]).await;
        let head = [request("POST", "a.test", "/sink"), vec![("content-length", length)]].concat();
        frames.send(&Frame::headers(1, 0, &head)).await.unwrap();
        frames.send(&Frame::new(kind::DATA, END_STREAM, 1, data)).await.unwrap();
        assert_eq!(frames.outcome(1).await, Ended::Reset(PROTOCOL_ERROR), "{length} {data}");
    }
    // The connections to the origin that had half a request on them are not used again.
    let response = stack.get("a.test", "/bytes/3").await.unwrap();
    assert_eq!(response.body().len(), 3);
}

/// The cases of h2spec that concern a server's safety: frames in the wrong place, of the wrong size, for the wrong
/// stream. The numbers are sections of RFC 9113.
#[tokio::test]
async fn frames_that_break_the_protocol_end_the_connection_or_the_stream() {
    let stack = Proxying::start().await;
    let head = |stream, flags| Frame::headers(stream, flags, &request("POST", "a.test", "/hang"));
    let whole = |stream| head(stream, END_STREAM);
    let go = |code| vec![Ended::GoAway(code)];
    let either = |code| vec![Ended::Reset(code), Ended::GoAway(code)];
    let cases: Vec<(&str, Vec<Frame>, Vec<Ended>)> = vec![
        (
            "4.2 DATA larger than allowed",
            vec![head(1, 0), Frame::new(kind::DATA, 0, 1, vec![0; 16_385])],
            either(FRAME_SIZE_ERROR),
        ),
        (
            "4.2 HEADERS larger than allowed",
            vec![Frame::new(kind::HEADERS, 5, 1, vec![0; 16_385])],
            go(FRAME_SIZE_ERROR),
        ),
        (
            "4.3 a block that is no HPACK",
            vec![Frame::new(kind::HEADERS, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
            go(COMPRESSION_ERROR),
        ),
        (
            "4.3 another frame within a block",
            vec![
                Frame::new(kind::HEADERS, 1, 1, block(&request("GET", "a.test", "/"))),
                Frame::new(kind::PRIORITY, 0, 1, [0, 0, 0, 0, 1]),
            ],
            go(PROTOCOL_ERROR),
        ),
        (
            "4.3 another stream within a block",
            vec![Frame::new(kind::HEADERS, 1, 1, block(&request("GET", "a.test", "/"))), whole(3)],
            go(PROTOCOL_ERROR),
        ),
        ("5.1 DATA on an idle stream", vec![Frame::new(kind::DATA, 1, 1, "x")], go(PROTOCOL_ERROR)),
        (
            "5.1 RST_STREAM on an idle stream",
            vec![Frame::new(kind::RST_STREAM, 0, 1, [0, 0, 0, 8])],
            go(PROTOCOL_ERROR),
        ),
        (
            "5.1 WINDOW_UPDATE on an idle stream",
            vec![Frame::new(kind::WINDOW_UPDATE, 0, 1, [0, 0, 0, 1])],
            go(PROTOCOL_ERROR),
        ),
        ("5.1 CONTINUATION on an idle stream", vec![Frame::new(kind::CONTINUATION, 4, 1, [])], go(PROTOCOL_ERROR)),
        ("5.1 DATA after END_STREAM", vec![whole(1), Frame::new(kind::DATA, 1, 1, "x")], either(STREAM_CLOSED)),
        ("5.1 HEADERS after END_STREAM", vec![whole(1), whole(1)], either(STREAM_CLOSED)),
        ("5.1.1 an even stream", vec![whole(2)], go(PROTOCOL_ERROR)),
        ("5.1.1 a stream number that is lower", vec![whole(5), whole(3)], go(STREAM_CLOSED)),
        (
            "5.3.1 HEADERS that depend on themselves",
            vec![Frame::new(
                kind::HEADERS,
                0x25,
                1,
                [vec![0, 0, 0, 1, 16], block(&request("GET", "a.test", "/"))].concat(),
            )],
            either(PROTOCOL_ERROR),
        ),
        ("6.1 DATA on stream 0", vec![Frame::new(kind::DATA, 0, 0, "x")], go(PROTOCOL_ERROR)),
        (
            "6.1 DATA with too much padding",
            vec![head(1, 0), Frame::new(kind::DATA, PADDED, 1, [5, 0, 0])],
            go(PROTOCOL_ERROR),
        ),
        (
            "6.2 HEADERS on stream 0",
            vec![Frame::new(kind::HEADERS, 5, 0, block(&request("GET", "a.test", "/")))],
            go(PROTOCOL_ERROR),
        ),
        (
            "6.2 HEADERS with too much padding",
            vec![Frame::new(kind::HEADERS, 5 | PADDED, 1, [200, 0x82])],
            go(PROTOCOL_ERROR),
        ),
        ("6.3 PRIORITY on stream 0", vec![Frame::new(kind::PRIORITY, 0, 0, [0, 0, 0, 1, 1])], go(PROTOCOL_ERROR)),
        (
            "6.3 PRIORITY of another size",
            vec![head(1, 0), Frame::new(kind::PRIORITY, 0, 1, [0; 4])],
            either(FRAME_SIZE_ERROR),
        ),
        ("6.4 RST_STREAM on stream 0", vec![Frame::new(kind::RST_STREAM, 0, 0, [0, 0, 0, 8])], go(PROTOCOL_ERROR)),
        (
            "6.4 RST_STREAM of another size",
            vec![head(1, 0), Frame::new(kind::RST_STREAM, 0, 1, [0; 3])],
            go(FRAME_SIZE_ERROR),
        ),
        ("6.5 SETTINGS on a stream", vec![Frame::new(kind::SETTINGS, 0, 1, [])], go(PROTOCOL_ERROR)),
        ("6.5 SETTINGS of another size", vec![Frame::new(kind::SETTINGS, 0, 0, [0; 5])], go(FRAME_SIZE_ERROR)),
        ("6.5 an acknowledgement with content", vec![Frame::new(kind::SETTINGS, ACK, 0, [0; 6])], go(FRAME_SIZE_ERROR)),
        (
            "6.5.2 ENABLE_PUSH that is no flag",
            vec![Frame::new(kind::SETTINGS, 0, 0, [0, 2, 0, 0, 0, 2])],
            go(PROTOCOL_ERROR),
        ),
        (
            "6.5.2 a window that is too large",
            vec![Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0x80, 0, 0, 0])],
            go(FLOW_CONTROL_ERROR),
        ),
        (
            "6.5.2 a frame size that is too small",
            vec![Frame::new(kind::SETTINGS, 0, 0, [0, 5, 0, 0, 0, 1])],
            go(PROTOCOL_ERROR),
        ),
        (
            "6.6 PUSH_PROMISE from a visitor",
            vec![head(1, 0), Frame::new(kind::PUSH_PROMISE, 4, 1, [0, 0, 0, 2])],
            go(PROTOCOL_ERROR),
        ),
        ("6.7 PING on a stream", vec![Frame::new(kind::PING, 0, 1, [0; 8])], go(PROTOCOL_ERROR)),
        ("6.7 PING of another size", vec![Frame::new(kind::PING, 0, 0, [0; 7])], go(FRAME_SIZE_ERROR)),
        ("6.8 GOAWAY on a stream", vec![Frame::new(kind::GOAWAY, 0, 1, [0; 8])], go(PROTOCOL_ERROR)),
        ("6.9 a window that grows by nothing", vec![Frame::new(kind::WINDOW_UPDATE, 0, 0, [0; 4])], go(PROTOCOL_ERROR)),
        (
            "6.9 a stream's window that grows by nothing",
            vec![head(1, 0), Frame::new(kind::WINDOW_UPDATE, 0, 1, [0; 4])],
            either(PROTOCOL_ERROR),
        ),
        (
            "6.9 WINDOW_UPDATE of another size",
            vec![Frame::new(kind::WINDOW_UPDATE, 0, 0, [0; 3])],
            go(FRAME_SIZE_ERROR),
        ),
        (
            "6.9.1 a window that overflows",
            vec![
                Frame::new(kind::WINDOW_UPDATE, 0, 0, [0x7f, 0xff, 0xff, 0xff]),
                Frame::new(kind::WINDOW_UPDATE, 0, 0, [0x7f, 0xff, 0xff, 0xff]),
            ],
            go(FLOW_CONTROL_ERROR),
        ),
        (
            "6.9.1 a stream's window that overflows",
            vec![
                head(1, 0),
                Frame::new(kind::WINDOW_UPDATE, 0, 1, [0x7f, 0xff, 0xff, 0xff]),
                Frame::new(kind::WINDOW_UPDATE, 0, 1, [0x7f, 0xff, 0xff, 0xff]),
            ],
            either(FLOW_CONTROL_ERROR),
        ),
        (
            "6.10 CONTINUATION after a whole block",
            vec![whole(1), Frame::new(kind::CONTINUATION, 4, 1, [])],
            go(PROTOCOL_ERROR),
        ),
        (
            "6.10 CONTINUATION on stream 0",
            vec![
                Frame::new(kind::HEADERS, 1, 1, block(&request("GET", "a.test", "/"))),
                Frame::new(kind::CONTINUATION, 4, 0, []),
            ],
            go(PROTOCOL_ERROR),
        ),
        ("8.1 a second head without an end", vec![head(1, 0), head(1, 0)], either(PROTOCOL_ERROR)),
    ];
    let mut failed = Vec::new();
    for (what, sent, allowed) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        for frame in &sent {
            // An edge that closed already has made its point.
            let _ = frames.send(frame).await;
        }
        let outcome = frames.outcome(1).await;
        // A connection may close instead of saying why, or say it in general (RFC 9113 sections 5.4.1 and 7).
        let general = [Ended::Closed, Ended::GoAway(PROTOCOL_ERROR)].contains(&outcome);
        if !general && !allowed.contains(&outcome) {
            failed.push(format!("{what}: {outcome:?} instead of {allowed:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn what_has_to_be_ignored_is_ignored() {
    let stack = Proxying::start().await;
    let mut frames = stack.frames("a.test", &[(0xfafa, 7)]).await;
    let ignored = [
        Frame::new(0xfa, 0xff, 0, [0; 8]),
        Frame::new(kind::PRIORITY, 0, 7, [0, 0, 0, 0, 1]),
        Frame::new(kind::PING, ACK, 0, [0; 8]),
    ];
    for frame in &ignored {
        frames.send(frame).await.unwrap();
    }
    frames.send(&Frame::new(kind::PING, 0, 0, *b"question")).await.unwrap();
    let answer = frames.until(kind::PING).await.unwrap();
    assert_eq!((answer.flags, answer.payload.as_slice()), (ACK, &b"question"[..]));
    // A head in three pieces, with padding, and a priority of the old kind.
    let fields = block(&request("GET", "a.test", "/bytes/3"));
    let (first, rest) = fields.split_at(10);
    let padded = [&[4, 0, 0, 0, 0, 16], first, &[0; 4]].concat();
    frames.send(&Frame::new(kind::HEADERS, END_STREAM | PADDED | 0x20, 9, padded)).await.unwrap();
    frames.send(&Frame::new(kind::CONTINUATION, 0, 9, &rest[..5])).await.unwrap();
    frames.send(&Frame::new(kind::CONTINUATION, END_HEADERS, 9, &rest[5..])).await.unwrap();
    assert_eq!(frames.outcome(9).await, Ended::Status(200));
}

/// Visitors of gRPC share a connection to their origin, and others have the same origin: one of them who takes nothing
/// holds up nobody else.
/// A gateway brings many visitors on one connection, and some of them are slow.
#[tokio::test]
async fn streams_that_take_nothing_hold_up_no_other_of_their_connection() {
    let stack = Proxying::start_with("[limits]\nwrite_timeout = \"10m\"").await;
    for origin in [stack.origin.url(), stack.origin.tls_url()] {
        stack.gate.set("a.test", Reply::origin(&origin));
        let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, LITTLE)]).await;
        let open = |stream, by: u32| Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes());
        frames.send(&open(0, ALL - 70_000)).await.unwrap();
        let mut came = 0;
        for n in 0..60 {
            frames.send(&Frame::get(2 * n + 1, "a.test", "/bytes/10000000")).await.unwrap();
        }
        while came < 60 * 15 * 1024 {
            came += frames.until(kind::DATA).await.unwrap().payload.len();
        }
        frames.send(&Frame::get(121, "a.test", "/bytes/1000000")).await.unwrap();
        frames.send(&open(121, 1_000_000)).await.unwrap();
        let mut whole = 0;
        while whole < 1_000_000 {
            let frame = frames.until(kind::DATA).await.unwrap();
            whole += if frame.stream == 121 { frame.payload.len() } else { 0 };
        }
    }
}

#[tokio::test]
async fn a_visitor_that_takes_nothing_holds_up_no_other_at_the_same_origin() {
    let stack = Proxying::start_with("[limits]\nwrite_timeout = \"10m\"").await;
    stack.gate.set_default(Reply::origin(&stack.origin.tls_url()));
    for theirs in ["text/plain", "application/grpc"] {
        let fields = [request("GET", "a.test", "/bytes/100000000"), vec![("content-type", theirs)]].concat();
        let mut hostile = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, NOTHING)]).await;
        let all = stack.origin.requests() + 60;
        for n in 0..60 {
            hostile.send(&Frame::headers(2 * n + 1, END_STREAM, &fields)).await.unwrap();
        }
        // The origin is sending, and nobody takes what it sends.
        wait::until("the origin has every request", async || (stack.origin.requests() >= all).then_some(())).await;
        hostile.until(kind::HEADERS).await.unwrap();
        for same in ["text/plain", "application/grpc"] {
            let mut http =
                stack.client().alpn(&["h2"]).visit(stack.edge.https(), "a.test").await.unwrap().http().await.unwrap();
            let mut asked = http.request("GET", "a.test", "/bytes/1000000", client_http::no_body());
            asked.headers_mut().insert(http::header::CONTENT_TYPE, same.parse().unwrap());
            assert_eq!(http.send(asked).await.unwrap().body().len(), 1_000_000, "{theirs} {same}");
        }
    }
}
