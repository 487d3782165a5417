//! HTTP/2 as RFC 9113 and RFC 7541 have it: what h2spec asks of a server, by the sections it asks under.
//!
//! What concerns heads that would change on their way to HTTP/1, floods, and the frames of sections 4 to 8 that end a
//! connection is in [`super::refuses_hostile_http2`]; here is the rest.

use test_support::{
    Reply,
    client::frames::{ACK, END_HEADERS, END_STREAM, Ended, Frame, Frames, PADDED, block, kind, request},
    wait,
};

use crate::stack::Proxying;

const INITIAL_WINDOW_SIZE: u16 = 4;
const PROTOCOL_ERROR: u32 = 1;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const PRIORITY: u8 = 0x20;
const WHOLE: u8 = END_HEADERS | END_STREAM;

fn get(stream: u32) -> Frame {
    Frame::get(stream, "a.test", "/bytes/3")
}

fn post(stream: u32) -> Frame {
    Frame::headers(stream, 0, &request("POST", "a.test", "/sink"))
}

fn data(stream: u32, flags: u8, payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, flags, stream, payload)
}

fn priority(stream: u32, on: u32, weight: u8) -> Frame {
    Frame::new(kind::PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[weight]].concat())
}

fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

fn window(stream: u32, by: u32) -> Frame {
    Frame::new(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

fn settings(pairs: &[(u16, u32)]) -> Frame {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    Frame::new(kind::SETTINGS, 0, 0, pairs.iter().flat_map(pair).collect::<Vec<_>>())
}

/// HEADERS with a block of one's own.
fn coded(stream: u32, block: &[u8]) -> Frame {
    Frame::new(kind::HEADERS, END_HEADERS | END_STREAM, stream, block)
}

/// `GET https://a.test/` in pieces of RFC 7541: three indexed fields, then the authority, coded as given.
fn with_authority(stream: u32, authority: &[u8]) -> Frame {
    coded(stream, &[&[0x82, 0x87, 0x84][..], authority].concat())
}

/// A request with trailers of one's own.
fn trailers(flags: u8, payload: &[u8]) -> Vec<Frame> {
    vec![post(1), data(1, 0, "x"), Frame::new(kind::HEADERS, flags, 1, payload)]
}

/// The block of a request in pieces: HEADERS without an end, then CONTINUATIONs.
fn in_pieces(stream: u32, pieces: usize) -> Vec<Frame> {
    let block = block(&request("GET", "a.test", "/bytes/3"));
    let mut chunks = block.chunks(block.len().div_ceil(pieces));
    let first = Frame::new(kind::HEADERS, END_STREAM, stream, chunks.next().unwrap());
    let mut frames: Vec<Frame> =
        [first].into_iter().chain(chunks.map(|part| Frame::new(kind::CONTINUATION, 0, stream, part))).collect();
    frames.last_mut().unwrap().flags |= END_HEADERS;
    frames
}

async fn send(frames: &mut Frames, all: &[Frame]) {
    for frame in all {
        // An edge that closed already has made its point.
        let _ = frames.send(frame).await;
    }
}

#[tokio::test]
async fn what_the_protocol_allows_is_served() {
    let stack = Proxying::start().await;
    let padded = [&[3][..], &block(&request("GET", "a.test", "/bytes/3")), &[0; 3]].concat();
    let ranked = [&[0, 0, 0, 0, 16][..], &block(&request("GET", "a.test", "/bytes/3"))].concat();
    let reserved = 1 << 31;
    // "a.test" in Huffman code (RFC 7541 appendix B): 31 bits and one of padding.
    const CODED: [u8; 4] = [0x1a, 0xe9, 0x2a, 0x13];
    let checked = block(&[("x-checked", "yes")]);
    // 14 bytes beside the value: what kind of field it is, two lengths of one and of three bytes, and the name.
    let longest = block(&[("x-checked", &"y".repeat((1 << 14) - 14))]);
    assert_eq!(longest.len(), 1 << 14);
    let plain = |first: u8| [&[first, 6][..], b"a.test"].concat();
    let cases: Vec<(&str, Vec<Frame>, u32)> = vec![
        ("4.1 flags that mean nothing", vec![Frame { flags: 0x45 | 0x90, ..get(1) }], 1),
        ("4.1 the reserved bit of a stream's number", vec![Frame { stream: 1 | reserved, ..get(1) }], 1),
        ("4.2 DATA as large as may be", vec![post(1), data(1, END_STREAM, vec![b'x'; 1 << 14])], 1),
        ("5.1 PRIORITY on an idle stream", vec![priority(1, 0, 1), get(1)], 1),
        ("5.1 WINDOW_UPDATE and PRIORITY when half closed", vec![get(1), window(1, 100), priority(1, 0, 9)], 1),
        ("5.1 RST_STREAM when half closed", vec![get(1), reset(1, 8), get(3)], 3),
        ("5.5 an unknown frame between others", vec![Frame::new(0xfa, 0xff, 1, [0; 8]), get(1)], 1),
        ("6.1 a body in one piece", vec![post(1), data(1, END_STREAM, "whole")], 1),
        ("6.1 a body in several pieces", vec![post(1), data(1, 0, "a"), data(1, 0, "b"), data(1, END_STREAM, "")], 1),
        ("6.1 DATA with padding", vec![post(1), data(1, END_STREAM | PADDED, [2, b'x', 0, 0])], 1),
        ("6.2 HEADERS with padding", vec![Frame { flags: 5 | PADDED, payload: padded, ..get(1) }], 1),
        ("6.2 HEADERS with a priority", vec![Frame { flags: 5 | PRIORITY, payload: ranked, ..get(1) }], 1),
        ("6.3 PRIORITY of the least and the greatest weight", vec![priority(1, 0, 0), priority(3, 1, 255), get(5)], 5),
        ("6.3 PRIORITY that is exclusive", vec![priority(1, reserved, 15), get(1)], 1),
        ("6.4 a request that is taken back", vec![post(1), reset(1, 8), get(3)], 3),
        (
            "6.5 every setting",
            vec![settings(&[(1, 0), (2, 0), (3, 100), (4, 65_535), (5, 16_384), (6, 16_384)]), get(1)],
            1,
        ),
        ("6.5.3 a setting twice", vec![settings(&[(4, 100), (4, 65_535)]), get(1)], 1),
        ("6.9 WINDOW_UPDATE on both levels", vec![post(1), window(0, 1), window(1, 1), data(1, END_STREAM, "x")], 1),
        ("6.10 a block in two pieces", in_pieces(1, 2), 1),
        ("6.10 a block in five pieces", in_pieces(1, 5), 1),
        ("7 a code that nobody knows", vec![post(1), reset(1, 0xff), get(3)], 3),
        ("8.1 HEAD", vec![Frame::headers(1, END_STREAM, &request("HEAD", "a.test", "/bytes/3"))], 1),
        ("8.1 trailers", trailers(WHOLE, &checked), 1),
        ("8.1 trailers without a field", trailers(WHOLE, &[]), 1),
        ("8.1 trailers without a body", vec![post(1), Frame::headers(1, END_STREAM, &[("x-checked", "yes")])], 1),
        ("8.1 trailers with padding", trailers(WHOLE | PADDED, &[&[3][..], &checked, &[0; 3]].concat()), 1),
        ("8.1 trailers with a priority", trailers(WHOLE | PRIORITY, &[&[0, 0, 0, 0, 16][..], &checked].concat()), 1),
        (
            "8.1 trailers in pieces",
            [
                trailers(END_STREAM, &checked[..4]),
                vec![
                    Frame::new(kind::CONTINUATION, 0, 1, &checked[4..9]),
                    Frame::new(kind::CONTINUATION, END_HEADERS, 1, &checked[9..]),
                ],
            ]
            .concat(),
            1,
        ),
        ("8.1 trailers as large as a frame may be", trailers(WHOLE, &longest), 1),
        (
            "8.1 trailers that begin with a smaller table and a larger one",
            trailers(WHOLE, &[&[0x20, 0x3f, 0xe1, 0x1f][..], &checked].concat()),
            1,
        ),
        (
            "8.1 trailers with a field that is indexed, then by its index",
            [trailers(WHOLE, b"\x40\x01x\x01y"), vec![with_authority(3, &[&plain(0x01)[..], &[0xbe]].concat())]]
                .concat(),
            3,
        ),
        ("RFC 7541 6.1 indexed fields", vec![with_authority(1, &plain(0x01))], 1),
        (
            "RFC 7541 6.2.1 a field that is indexed, then by its index",
            vec![with_authority(1, &plain(0x41)), with_authority(3, &[0xbe])],
            3,
        ),
        ("RFC 7541 6.2.3 a field that is never indexed", vec![with_authority(1, &plain(0x11))], 1),
        ("RFC 7541 5.2 Huffman code", vec![with_authority(1, &[&[0x41, 0x84][..], &CODED].concat())], 1),
        ("RFC 7541 6.3 a smaller table", vec![coded(1, &[&[0x20, 0x82, 0x87, 0x84][..], &plain(0x41)].concat())], 1),
        (
            "RFC 7541 4.2 a smaller table and a larger one",
            vec![coded(1, &[&[0x20, 0x3f, 0xe1, 0x1f, 0x82, 0x87, 0x84][..], &plain(0x41)].concat())],
            1,
        ),
    ];
    let mut failed = Vec::new();
    for (what, sent, stream) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        send(&mut frames, &sent).await;
        let outcome = frames.outcome(stream).await;
        if outcome != Ended::Status(200) {
            failed.push(format!("{what}: {outcome:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_the_connection_or_the_stream() {
    let stack = Proxying::start().await;
    let go = |code| vec![Ended::GoAway(code)];
    let either = |code| vec![Ended::GoAway(code), Ended::Reset(code)];
    let open = Frame { flags: END_STREAM, ..get(1) };
    let cont = |flags| Frame::new(kind::CONTINUATION, flags, 1, []);
    let plain = [&[0x41, 6][..], b"a.test"].concat();
    let cases: Vec<(&str, Vec<Frame>, Vec<Ended>)> = vec![
        ("5.1 DATA after RST_STREAM", vec![post(1), reset(1, 8), data(1, 0, "x"), get(1)], either(STREAM_CLOSED)),
        ("5.1 HEADERS after RST_STREAM", vec![post(1), reset(1, 8), get(1)], either(STREAM_CLOSED)),
        ("5.1 CONTINUATION after RST_STREAM", vec![post(1), reset(1, 8), cont(END_HEADERS)], go(PROTOCOL_ERROR)),
        ("5.3.1 PRIORITY that depends on itself", vec![priority(1, 1, 16), get(1)], either(PROTOCOL_ERROR)),
        ("5.5 an unknown frame within a block", vec![open.clone(), Frame::new(0xfa, 0, 1, [])], go(PROTOCOL_ERROR)),
        ("6.5.2 a frame size that is too large", vec![settings(&[(5, 1 << 24)])], go(PROTOCOL_ERROR)),
        ("6.10 DATA within a block", vec![open.clone(), cont(0), data(1, 0, "x")], go(PROTOCOL_ERROR)),
        ("4.2 trailers larger than allowed", trailers(WHOLE | PADDED, &[1; (1 << 14) + 1]), go(FRAME_SIZE_ERROR)),
        (
            "5.3.1 trailers that depend on themselves",
            trailers(WHOLE | PRIORITY, &[0, 0, 0, 1, 16]),
            either(PROTOCOL_ERROR),
        ),
        ("6.2 trailers with too much padding", trailers(WHOLE | PADDED, &[4, 0, 0, 0]), go(PROTOCOL_ERROR)),
        ("6.2 trailers without room for a priority", trailers(WHOLE | PRIORITY, &[0; 4]), go(PROTOCOL_ERROR)),
        ("8.1 trailers without an end", trailers(END_HEADERS, &block(&[("x", "y")])), either(PROTOCOL_ERROR)),
        (
            "6.10 CONTINUATION after the last one",
            vec![open, cont(0), cont(END_HEADERS), cont(END_HEADERS)],
            go(PROTOCOL_ERROR),
        ),
        ("6.10 CONTINUATION after DATA", vec![post(1), data(1, 0, "x"), cont(END_HEADERS)], go(PROTOCOL_ERROR)),
        ("RFC 7541 2.3.3 an index of nothing", vec![with_authority(1, &[0xff, 0x07])], go(COMPRESSION_ERROR)),
        (
            "RFC 7541 2.3.3 a name's index of nothing",
            vec![with_authority(1, &[0x7f, 0x07, 1, b'x'])],
            go(COMPRESSION_ERROR),
        ),
        (
            "RFC 7541 4.2 a table's size after fields",
            vec![with_authority(1, &[&plain[..], &[0x20]].concat())],
            go(COMPRESSION_ERROR),
        ),
        (
            "RFC 7541 5.2 padding of more than seven bits",
            vec![with_authority(1, &[0x41, 0x85, 0x1a, 0xe9, 0x2a, 0x13, 0xff])],
            go(COMPRESSION_ERROR),
        ),
        (
            "RFC 7541 5.2 padding of zeros",
            vec![with_authority(1, &[0x41, 0x84, 0x1a, 0xe9, 0x2a, 0x12])],
            go(COMPRESSION_ERROR),
        ),
        (
            "RFC 7541 5.2 the end of a string within it",
            vec![with_authority(1, &[0x41, 0x88, 0x1a, 0xe9, 0x2a, 0x13, 0xff, 0xff, 0xff, 0xff])],
            go(COMPRESSION_ERROR),
        ),
        ("RFC 7541 6.1 index 0", vec![with_authority(1, &[0x80])], go(COMPRESSION_ERROR)),
        (
            "RFC 7541 6.3 a larger table than allowed",
            vec![coded(1, &[&[0x3f, 0xe1, 0xff, 0x03, 0x82, 0x87, 0x84][..], &plain].concat())],
            go(COMPRESSION_ERROR),
        ),
    ];
    let mut failed = Vec::new();
    for (what, sent, allowed) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        send(&mut frames, &sent).await;
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
async fn a_request_that_is_taken_back_is_no_bad_request() {
    const CANCEL: u32 = 8;
    let stack = Proxying::start().await;
    stack.origin.hold();
    // Before its answer, within it, and within its own body.
    let mut frames = stack.frames("a.test", &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let large = Frame::get(3, "a.test", "/bytes/100000");
    for (n, asked) in [Frame::get(1, "a.test", "/hold"), large, post(5)].into_iter().enumerate() {
        let stream = asked.stream;
        frames.send(&asked).await.unwrap();
        if stream == 3 {
            assert_eq!(frames.outcome(3).await, Ended::Status(200));
        }
        wait::until("the origin has it", async || (stack.origin.requests() > n).then_some(())).await;
        frames.send(&reset(stream, CANCEL)).await.unwrap();
    }
    for (code, many) in [("none", 2.0), ("2xx", 1.0)] {
        stack.edge.until_metric(&format!("namegate_edge_http_requests_total{{code=\"{code}\"}}"), many).await;
    }
    assert_eq!(stack.edge.metric("namegate_edge_http_faults_total{reason=\"bad_request\"}").await, 0.0);
}

/// Section 8.1: "Trailers MUST NOT include pseudo-header fields". What reads and counts the fields goes on as if nothing
/// had been wrong, so that the next request may refer to what the one before it named.
#[tokio::test]
async fn a_pseudo_field_in_trailers_ends_their_stream_and_no_other() {
    let stack = Proxying::start().await;
    let begin = |flags, payload: &[u8]| Frame::new(kind::HEADERS, flags, 1, payload);
    let end = |payload: &[u8]| Frame::new(kind::CONTINUATION, END_HEADERS, 1, payload);
    let whole = |payload: &[u8]| vec![begin(WHOLE, payload)];
    let field = |name| block(&[(name, "x")]);
    let path = field(":path");
    let cases: Vec<(&str, Vec<Frame>)> = vec![
        ("by the static table", whole(&[0x83])),
        ("by a name of the static table", whole(b"\x04\x02/x")),
        ("by the dynamic table", whole(&[0xbe])),
        ("by a name of the dynamic table", whole(b"\x0f\x2f\x02/x")),
        (":authority", whole(&field(":authority"))),
        (":method", whole(&field(":method"))),
        (":path", whole(&path)),
        (":protocol", whole(&field(":protocol"))),
        (":scheme", whole(&field(":scheme"))),
        (":status", whole(&block(&[(":status", "200")]))),
        ("before another field", whole(&block(&[(":path", "/x"), ("x", "y")]))),
        ("after another field", whole(&block(&[("x", "y"), (":path", "/x")]))),
        ("after a new size of the table", whole(&[&[0x3f, 0xe1, 0x1f][..], &path].concat())),
        ("with padding", vec![begin(WHOLE | PADDED, &[&[3][..], &path, &[0; 3]].concat())]),
        ("with a priority", vec![begin(WHOLE | PRIORITY, &[&[0, 0, 0, 0, 16][..], &path].concat())]),
        (
            "with padding and a priority",
            vec![begin(WHOLE | PADDED | PRIORITY, &[&[1, 0, 0, 0, 0, 16][..], &path, &[0]].concat())],
        ),
        ("in the second frame", vec![begin(END_STREAM, &[]), end(&path)]),
        ("cut by the end of a frame", vec![begin(END_STREAM, &path[..3]), end(&path[3..])]),
        ("in a frame as long as may be", whole(&[&[0x83][..], &block(&[("x", &"y".repeat(16_377))])].concat())),
        ("without an end of the stream", vec![begin(END_HEADERS, &path)]),
    ];
    // `POST /sink`, whose path is kept in the table; the request after it refers to that.
    let asked = [&[0x83, 0x87, 0x01, 6][..], b"a.test", &[0x44, 5], b"/sink"].concat();
    let next = [&[0x82, 0x87, 0x01, 6][..], b"a.test", &[0xbe]].concat();
    for (what, trailers) in cases {
        let mut frames = stack.frames("a.test", &[]).await;
        send(&mut frames, &[begin(END_HEADERS, &asked), data(1, 0, "x")]).await;
        send(&mut frames, &trailers).await;
        assert_eq!(frames.outcome(1).await, Ended::Reset(PROTOCOL_ERROR), "{what}");
        frames.send(&coded(3, &next)).await.unwrap();
        assert_eq!(frames.outcome(3).await, Ended::Status(200), "{what}");
    }
}

/// Section 3.4.
#[tokio::test]
async fn another_preface_ends_the_connection() {
    let stack = Proxying::start().await;
    let visit = stack.client().alpn(&["h2"]).visit(stack.edge.https(), "a.test").await.unwrap();
    let mut frames = visit.silent_frames();
    frames.bytes(b"INVALID CONNECTION PREFACE\r\n\r\n").await.unwrap();
    while frames.next().await.is_some() {}
    assert_eq!(stack.origin.requests(), 0);
}

/// Sections 5.4.1 and 6.8: a connection that is in error is told so, and then closed.
#[tokio::test]
async fn an_error_of_the_connection_is_announced_before_it_closes() {
    let stack = Proxying::start().await;
    let mut frames = stack.frames("a.test", &[]).await;
    frames.send(&Frame::new(kind::PING, 0, 0, [0; 6])).await.unwrap();
    assert!(frames.until(kind::GOAWAY).await.is_some());
    while frames.next().await.is_some() {}
}

/// Section 5.1.2.
#[tokio::test]
async fn a_stream_above_the_number_is_refused_and_those_below_are_served() {
    let stack = Proxying::start_with("[limits]\nh2_streams = 2").await;
    stack.origin.hold();
    let mut frames = stack.frames("a.test", &[]).await;
    let number = frames.until(kind::SETTINGS).await.unwrap();
    assert!(number.payload.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{number:?}");
    frames.send(&Frame::new(kind::SETTINGS, ACK, 0, [])).await.unwrap();
    for stream in [1, 3, 5] {
        frames.send(&Frame::get(stream, "a.test", "/hold")).await.unwrap();
    }
    assert_eq!(frames.outcome(5).await, Ended::Reset(REFUSED_STREAM));
    stack.origin.release();
    assert_eq!(frames.outcome(1).await, Ended::Status(200));
}

/// Sections 6.9.1 and 6.9.2: no byte is sent that a window has no room for, whatever becomes of the window.
/// What a stream may use of its connection's window is lent to it only while it has something to send.
#[tokio::test]
async fn answers_that_wait_for_their_origins_keep_no_window_from_others() {
    let stack = Proxying::start_with("[limits]\nresponse_header_timeout = \"10m\"").await;
    for (name, origin) in [("plain.test", stack.origin.url()), ("tls.test", stack.origin.tls_url())] {
        stack.gate.set(name, Reply::origin(&origin));
        // The connection's own window stays at the 65,535 bytes that it begins with.
        let mut frames = stack.frames(name, &[(4, 1 << 20)]).await;
        for n in 0..4 {
            frames.send(&Frame::get(2 * n + 1, name, "/drip/2/3600000")).await.unwrap();
            assert_eq!(frames.until(kind::DATA).await.unwrap().payload.len(), 8);
        }
        frames.send(&Frame::get(9, name, "/bytes/65000")).await.unwrap();
        let mut came = 0;
        while came < 65_000 {
            let frame = frames.until(kind::DATA).await.unwrap();
            assert_eq!(frame.stream, 9);
            came += frame.payload.len();
        }
    }
}

#[tokio::test]
async fn windows_are_kept_to_the_byte() {
    let stack = Proxying::start().await;
    let mut frames = stack.frames("a.test", &[(4, 1)]).await;
    frames.send(&Frame::get(1, "a.test", "/bytes/10")).await.unwrap();
    assert_eq!(frames.until(kind::DATA).await.unwrap().payload.len(), 1);
    // The window shrinks by one to less than nothing, and grows by three to two.
    frames.send(&settings(&[(4, 0)])).await.unwrap();
    frames.send(&window(1, 3)).await.unwrap();
    let mut came = 0;
    while came < 2 {
        came += frames.until(kind::DATA).await.unwrap().payload.len();
    }
    assert_eq!(came, 2);
    // What is changed for all streams is changed for this one too.
    frames.send(&settings(&[(4, 7)])).await.unwrap();
    while came < 9 {
        came += frames.until(kind::DATA).await.unwrap().payload.len();
    }
    assert_eq!(came, 9);
}
