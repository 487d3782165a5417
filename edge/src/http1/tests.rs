//! The framer against tables, against its own other readings, and against another parser.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 32 * 1024, fields: 100, target: 8 * 1024 };

/// Where the requests of a stream end, and what is wrong with the first that is not one.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    ends: Vec<usize>,
    refused: Option<Refusal>,
}

fn read(pieces: &[&[u8]]) -> Verdict {
    let (mut framer, mut ends, mut at) = (Framer::new(LIMITS), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match framer.advance(rest) {
                Ok(step) => {
                    at += step.taken;
                    rest = &rest[step.taken..];
                    if step.ended {
                        ends.push(at);
                    }
                }
                Err(refusal) => return Verdict { ends, refused: Some(refusal) },
            }
        }
    }
    Verdict { ends, refused: None }
}

fn refused(request: &str) -> Option<Refusal> {
    read(&[request.as_bytes()]).refused
}

#[test]
fn each_rule_has_a_request_that_breaks_it() {
    use Refusal as R;
    const HOST: &str = "Host: a.test\r\n";
    let cases: &[(R, String)] = &[
        (R::AuthorityMismatch, "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
        (R::AuthorityMismatch, "GET http://a.test.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n".into()),
        (R::AuthorityMismatch, "GET http:///x HTTP/1.1\r\n".into()),
        (R::AuthorityMismatch, "GET http://u@a.test/ HTTP/1.1\r\n".into()),
        (R::BadChunkEnd, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n")),
        (R::BadChunkExtension, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1;\0\r\nx\r\n")),
        (R::BadChunkSize, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n")),
        (R::BadChunkSize, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n")),
        (R::BadChunkSize, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n")),
        (R::BadContentLength, format!("POST / HTTP/1.1\r\n{HOST}Content-Length: +5\r\n\r\n")),
        (R::BadContentLength, format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 5, 5\r\n\r\n")),
        (R::BadContentLength, format!("POST / HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\n")),
        (R::BadContentLength, format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 9999999999999999999\r\n\r\n")),
        (R::BadFieldName, format!("GET / HTTP/1.1\r\n{HOST}: x\r\n\r\n")),
        (R::BadFieldName, format!("GET / HTTP/1.1\r\n{HOST}no colon\r\n\r\n").replace("no ", "no\x0b")),
        (R::BadHost, "GET / HTTP/1.1\r\nHost:\r\n\r\n".into()),
        (R::BadHost, "GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n".into()),
        (R::BadHost, "GET / HTTP/1.1\r\nHost: a.test,b.test\r\n\r\n".into()),
        (R::BadMethod, "G\x01T / HTTP/1.1\r\n".into()),
        (R::BadMethod, format!("{} / HTTP/1.1\r\n", "A".repeat(33))),
        (R::BadRequestLine, "GET /a b HTTP/1.1\r\n".into()),
        (R::BadTarget, "GET /\r\n".into()),
        (R::BadTarget, "GET  / HTTP/1.1\r\n".into()),
        (R::BadTarget, "GET /a#b HTTP/1.1\r\n".into()),
        (R::BadTarget, "GET * HTTP/1.1\r\n".into()),
        (R::BadTarget, "GET ftp://a.test/ HTTP/1.1\r\n".into()),
        (
            R::BadTrailer,
            format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n"),
        ),
        (R::BadTransferEncoding, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n")),
        (R::BadTransferEncoding, format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunke\r\n\r\n")),
        (R::BareCr, format!("GET / HTTP/1.1\r\n{HOST}a: b\rc: d\r\n\r\n")),
        (R::BareLf, "GET / HTTP/1.1\nHost: a.test\n\n".into()),
        (R::BareLf, format!("GET / HTTP/1.1\r\n{HOST}a: b\nc: d\r\n\r\n")),
        (
            R::ChunkExtensionsTooLarge,
            format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1;{}\r\n", "e".repeat(1025)),
        ),
        (R::Connect, "CONNECT a.test:443 HTTP/1.1\r\n".into()),
        (R::ControlByte, format!("GET / HTTP/1.1\r\n{HOST}a: b\0c\r\n\r\n")),
        (R::DuplicateContentLength, format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n")),
        (R::DuplicateHost, format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n")),
        (
            R::DuplicateTransferEncoding,
            format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"),
        ),
        (R::Expectation, format!("POST / HTTP/1.1\r\n{HOST}Expect: 100-continue, x\r\n\r\n")),
        (R::FoldedField, format!("GET / HTTP/1.1\r\n{HOST}a: b\r\n c\r\n\r\n")),
        (R::HeadTooLarge, format!("GET / HTTP/1.1\r\n{HOST}a: {}", "x".repeat(33_000))),
        (
            R::LengthAndEncoding,
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ),
        (R::LookalikeField, format!("GET / HTTP/1.1\r\n{HOST}Content_Length: 3\r\n\r\n")),
        (R::MissingHost, "GET / HTTP/1.1\r\n\r\n".into()),
        (R::SpaceBeforeColon, format!("GET / HTTP/1.1\r\n{HOST}a : b\r\n\r\n")),
        (R::TargetTooLong, format!("GET /{} HTTP/1.1\r\n", "x".repeat(8192))),
        (R::TooManyFields, format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(101))),
        (R::TransferEncodingOnHttp10, format!("POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        (R::UpgradeWithBody, format!("GET / HTTP/1.1\r\n{HOST}Upgrade: WebSocket\r\nContent-Length: 3\r\n\r\n")),
        (R::Version, "GET / HTTP/1.2\r\n".into()),
        (R::Version, "PRI * HTTP/2.0\r\n".replace('*', "/")),
    ];
    for (refusal, request) in cases {
        assert_eq!(refused(request), Some(*refusal), "{request:?}");
    }
    let seen = |refusal: &Refusal| cases.iter().any(|(case, _)| case == refusal) || *refusal == R::HeadTimeout;
    let unseen: Vec<_> = Refusal::ALL.iter().filter(|refusal| !seen(refusal)).collect();
    assert!(unseen.is_empty(), "no request breaks {unseen:?}");
}

#[test]
fn requests_end_where_they_end() {
    const CASES: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://A.test:8080?q HTTP/1.1\r\nHost:a.TEST:8080 \t\r\n\r\n",
        "GET https://a.test HTTP/1.0\r\nhost: a.test\r\n\r\n",
        "POST /a;b=%2f?{\"|^\\ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: [::1]:443\r\ncontent-length: 000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n3;e=\"x\"\r\nabc\r\n00\r\nTrailer: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a.test\r\nempty:\r\nlatin: \u{e9}\r\nx_y: tab\tinside\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c, x\r\nContent-Length: 1\r\n\r\nx",
    ];
    for case in CASES {
        assert_eq!(read(&[case.as_bytes()]), Verdict { ends: vec![case.len()], refused: None }, "{case:?}");
    }
    let all = CASES.concat();
    assert_eq!(read(&[all.as_bytes()]).ends.len(), CASES.len());
}

#[test]
fn a_websocket_is_asked_for_only_by_name_and_version() {
    let asks = |request: &str| {
        let mut framer = Framer::new(LIMITS);
        framer.advance(request.as_bytes()).unwrap();
        framer.asks_for_websocket()
    };
    assert!(asks("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: WebSocket\r\n\r\n"));
    assert!(!asks("GET / HTTP/1.0\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n"));
    assert!(!asks("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket, h2c\r\n\r\n"));
    assert!(!asks("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocke\r\n\r\n"));
    assert!(!asks("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
}

/// Pieces that make requests, good and bad, when put together at random.
const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "OPTIONS ",
    "/",
    "/a?b",
    "*",
    "http://a.test",
    "http://b.test/",
    " HTTP/1.1",
    " HTTP/1.0",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    "Host: a.test\r\n",
    "host:a.test\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "content-length : 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: websocket\r\n",
    "x: y\r\n",
    "x_y: z\r\n",
    " folded\r\n",
    "abc",
    "3\r\nabc\r\n",
    "3;x\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nx: y\r\n\r\n",
    "\u{e9}",
    "#",
    ":",
    ",",
    "GET / HTTP/1.1\r\nHost: a.test\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n",
];

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        9 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(word, 1..16).prop_map(|words| words.concat())
}

fn split(stream: &[u8], cuts: Vec<prop::sample::Index>) -> Vec<&[u8]> {
    let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

/// Texts that are nearly a length: digits with what other readers take for a part of a number.
const LENGTHS: &[&str] = &[
    "0",
    "1",
    "7",
    "64",
    "99",
    "000",
    "18446744073709551616",
    "+",
    "-",
    " ",
    "\t",
    ",",
    ", ",
    ";",
    "0x",
    "a",
    "e",
    "_",
    ".",
    "\"",
    "\u{0661}",
    "\u{ff11}",
    "\u{bd}",
    "\x0b",
    "\0",
];

/// Texts that are nearly `chunked`.
const CODINGS: &[&str] = &[
    "chunked", "Chunked", "CHUNKED", "chunk", "ed", "identity", "gzip", "x", ",", ", ", ";", "=", "\"", " ", "\t",
    "\x0b", "\x0c", "\u{17f}", "\u{212a}", "\0", "q=1",
];

/// Fields that frame.
const FRAMES: &[&str] = &[
    "Content-Length: 0",
    "content-length: 1",
    "CONTENT-LENGTH:3",
    "Content-Length: 2\t",
    "Transfer-Encoding: chunked",
    "transfer-encoding:Chunked",
    "TRANSFER-ENCODING: chunked ",
];

fn texts(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..=most).prop_map(|pieces| pieces.concat())
}

/// Two fields that frame are one too many, whatever they say, in whichever order and letter case they come, and whatever
/// stands between them.
#[test]
fn a_request_is_framed_once() {
    let between = ["", "x: y\r\n", "x-content-length: 4\r\n", "hosts: b\r\nx: y\r\n"];
    for (first, second, between) in FRAMES
        .iter()
        .flat_map(|first| FRAMES.iter().flat_map(move |second| between.map(|other| (first, second, other))))
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{first}\r\n{between}{second}\r\n\r\n0\r\n\r\n");
        let verdict = read(&[head.as_bytes()]);
        assert!(verdict.refused.is_some() && verdict.ends.is_empty(), "{head:?}: {verdict:?}");
    }
}

/// What spaces and tabs around a value leave of it (RFC 9110 section 5.5).
fn bare(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    /// RFC 9110 section 8.6: digits, and nothing else. What a length says is where the body ends.
    #[test]
    fn a_length_is_digits_alone(value in texts(LENGTHS, 4)) {
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {value}\r\n\r\n");
        // More digits than any body has bytes are refused, zeros too.
        let digits = (1..=18).contains(&bare(&value).len()) && bare(&value).bytes().all(|byte| byte.is_ascii_digit());
        let length = bare(&value).parse::<u64>().ok().filter(|_| digits);
        let verdict = read(&[head.as_bytes(), &[b'x'; 64]]);
        match length {
            None => prop_assert!(verdict.refused.is_some() && verdict.ends.is_empty(), "{verdict:?}"),
            Some(0) => prop_assert_eq!(verdict.ends, [head.len()]),
            Some(length) if length <= 64 => prop_assert_eq!(verdict.ends.first(), Some(&(head.len() + length as usize))),
            Some(_) => prop_assert_eq!(verdict, Verdict { ends: vec![], refused: None }),
        }
    }

    /// RFC 9112 section 6.1 knows many codings; one of them is served.
    #[test]
    fn a_coding_is_chunked_alone(value in texts(CODINGS, 4)) {
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        let verdict = read(&[head.as_bytes()]);
        match bare(&value).eq_ignore_ascii_case("chunked") {
            true => prop_assert_eq!(verdict, Verdict { ends: vec![head.len()], refused: None }),
            false => prop_assert!(verdict.refused.is_some() && verdict.ends.is_empty(), "{verdict:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn how_the_bytes_arrive_changes_no_verdict(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = read(&[&stream]);
        prop_assert_eq!(&read(&split(&stream, cuts)), &whole);
        prop_assert_eq!(&read(&stream.chunks(1).collect::<Vec<_>>()), &whole);
    }

    /// What the framer accepts means the same to the parser behind it: the same head, the same framing.
    #[test]
    fn an_accepted_request_is_read_alike_by_another_parser(stream in streams()) {
        let mut begin = 0;
        for end in read(&[&stream]).ends {
            let request = &stream[begin..end];
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut parsed = httparse::Request::new(&mut headers);
            let status = parsed.parse(request);
            prop_assert!(matches!(status, Ok(httparse::Status::Complete(_))), "{status:?} {request:?}");
            let head = status.unwrap().unwrap();
            prop_assert_eq!(&request[head - 4..head], b"\r\n\r\n");
            prop_assert_eq!(request.windows(4).position(|w| w == b"\r\n\r\n"), Some(head - 4));
            let values = |name: &str| -> Vec<String> {
                let named = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
                named.map(|header| String::from_utf8_lossy(header.value).trim().to_lowercase()).collect()
            };
            prop_assert_eq!(values("host").len(), 1);
            let body = &request[head..];
            match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
                ([], []) => prop_assert!(body.is_empty()),
                ([length], []) => prop_assert_eq!(length.parse::<usize>().unwrap(), body.len()),
                ([], [coding]) => {
                    prop_assert_eq!(coding, "chunked");
                    prop_assert_eq!(chunked_end(body), Some(body.len()));
                }
                other => prop_assert!(false, "ambiguous: {other:?}"),
            }
            begin = end;
        }
    }
}

/// Where a chunked body ends by httparse's reading of its lines.
fn chunked_end(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&body[at..]) else {
            return None;
        };
        at += line;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 128];
            let Ok(httparse::Status::Complete((length, _))) = httparse::parse_headers(&body[at..], &mut trailers)
            else {
                return None;
            };
            return Some(at + length);
        }
        at += usize::try_from(size).ok()?;
        if body.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
}
