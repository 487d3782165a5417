//! Trailers however they arrive, and everything else, which stays as it came.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{super::Frames, *};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING: u8 = 6;
const PRIORITY: u8 = 0x20;
const RANK: [u8; 5] = [0x80, 0, 0, 9, 16];
const WHOLE: u8 = END_HEADERS | END_STREAM;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
    Frame { kind, flags, stream, payload: payload.into() }
}

fn headers(flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
    frame(HEADERS, flags, stream, payload)
}

/// A request whose body is to come.
fn post(stream: u32) -> Frame {
    headers(END_HEADERS, stream, "post")
}

/// What trailers become: the field, behind a rank if they have one, and their block.
fn given(flags: u8, stream: u32, rank: &[u8], block: impl Into<Vec<u8>>) -> [Frame; 2] {
    let first = flags & !(END_HEADERS | PADDED);
    [headers(first, stream, [rank, &[0x8f]].concat()), frame(CONTINUATION, flags & END_HEADERS, stream, block)]
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let bytes = frames.iter().flat_map(|frame| {
        let [.., a, b, c] = frame.payload.len().to_be_bytes();
        [&[a, b, c, frame.kind, frame.flags][..], &frame.stream.to_be_bytes(), &frame.payload].concat()
    });
    PREFACE.iter().copied().chain(bytes).collect()
}

/// What is passed on of these pieces, to the end of the connection.
fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut frames, mut out) = (Frames::new(1_000_000), Vec::new());
    for piece in pieces {
        let same = frames.advance(piece).unwrap();
        out.extend(&piece[..same]);
        out.append(frames.altered());
    }
    frames.end();
    out.append(frames.altered());
    out
}

/// In pieces of every size, or of some where there are many.
fn pass_as(what: &str, came: &[Frame], expected: &[Frame]) {
    let (came, expected) = (encode(came), encode(expected));
    for size in (1..80).chain([1000, came.len()]) {
        assert!(passed(came.chunks(size)) == expected, "{what}, in pieces of {size}");
    }
}

#[test]
fn trailers_get_a_field_in_front_however_they_arrive() {
    let padded = |block: &str, padding: u8| [&[padding], block.as_bytes(), &vec![0; padding.into()]].concat();
    let ranked = |block: &str| [&RANK[..], block.as_bytes()].concat();
    let both = [&[3][..], &RANK, b"block", &[0; 3]].concat();
    let rest = frame(CONTINUATION, END_HEADERS, 1, "rest");
    let longest = vec![0; LONGEST_FRAME];
    let cases: Vec<(&str, Vec<Frame>, Vec<Frame>)> = vec![
        ("plain", vec![headers(WHOLE, 1, "block")], given(WHOLE, 1, &[], "block").into()),
        ("empty", vec![headers(WHOLE, 1, "")], given(WHOLE, 1, &[], "").into()),
        ("padded", vec![headers(WHOLE | PADDED, 1, padded("block", 255))], given(WHOLE, 1, &[], "block").into()),
        ("padded with nothing", vec![headers(WHOLE | PADDED, 1, padded("b", 0))], given(WHOLE, 1, &[], "b").into()),
        ("only padding", vec![headers(WHOLE | PADDED, 1, padded("", 20))], given(WHOLE, 1, &[], "").into()),
        (
            "with a rank",
            vec![headers(WHOLE | PRIORITY, 1, ranked("block"))],
            given(WHOLE | PRIORITY, 1, &RANK, "block").into(),
        ),
        (
            "with a rank alone",
            vec![headers(WHOLE | PRIORITY, 1, ranked(""))],
            given(WHOLE | PRIORITY, 1, &RANK, "").into(),
        ),
        (
            "padded, with a rank",
            vec![headers(WHOLE | PADDED | PRIORITY, 1, both)],
            given(WHOLE | PRIORITY, 1, &RANK, "block").into(),
        ),
        (
            "in pieces",
            vec![headers(END_STREAM, 1, "block"), rest.clone()],
            [&given(END_STREAM, 1, &[], "block")[..], &[rest]].concat(),
        ),
        ("without an end", vec![headers(END_HEADERS, 1, "block")], given(END_HEADERS, 1, &[], "block").into()),
        ("unknown flags", vec![headers(0xd2 | WHOLE, 1, "block")], given(0xd2 | WHOLE, 1, &[], "block").into()),
        ("the reserved bit", vec![headers(WHOLE, 1 << 31 | 1, "x")], given(WHOLE, 1 << 31 | 1, &[], "x").into()),
        ("as long as may be", vec![headers(WHOLE, 1, longest.clone())], given(WHOLE, 1, &[], longest).into()),
    ];
    for (what, trailers, expected) in cases {
        // Something before and after them, in the same read or in another.
        let around = |middle: &[Frame]| {
            let before = [post(1), frame(DATA, 0, 1, "body")];
            [&before[..], middle, &[frame(PING, 0, 0, [7; 8]), headers(WHOLE, 3, "get")]].concat()
        };
        pass_as(what, &around(&trailers), &around(&expected));
        pass_as(what, &[&[post(1)], &trailers[..]].concat(), &[&[post(1)], &expected[..]].concat());
    }
}

#[test]
fn what_is_no_trailers_passes_as_it_came() {
    let again = || headers(WHOLE, 1, "again");
    let cases: Vec<(&str, Vec<Frame>)> = vec![
        (
            "a request with padding and a rank",
            vec![headers(WHOLE | PADDED | PRIORITY, 1, [2, 0, 0, 0, 1, 9, 0x82, 0, 0])],
        ),
        ("a request in pieces", vec![headers(0, 1, "a"), frame(CONTINUATION, END_HEADERS, 1, "b"), post(3)]),
        ("after the end of the request", vec![headers(WHOLE, 1, "get"), again()]),
        ("after the end of the body", vec![post(1), frame(DATA, END_STREAM, 1, "body"), again()]),
        ("after a reset", vec![post(1), frame(RST_STREAM, 0, 1, [0, 0, 0, 8]), again()]),
        ("on a lower stream", vec![headers(WHOLE, 5, "get"), headers(WHOLE, 3, "get")]),
        ("padding longer than the frame", vec![post(1), headers(WHOLE | PADDED, 1, [4, 0, 0, 0])]),
        ("no room for the length of the padding", vec![post(1), headers(WHOLE | PADDED, 1, [])]),
        ("no room for a rank", vec![post(1), headers(WHOLE | PRIORITY, 1, [0, 0, 0, 3])]),
        ("no room for both", vec![post(1), headers(WHOLE | PADDED | PRIORITY, 1, [0, 0, 0, 0, 3])]),
        ("too long", vec![post(1), headers(WHOLE | PADDED, 1, vec![1; LONGEST_FRAME + 1])]),
    ];
    for (what, frames) in cases {
        pass_as(what, &frames, &frames);
        // Cut off anywhere.
        let bytes = encode(&frames);
        for end in 0..bytes.len().min(200) {
            assert!(passed([&bytes[..end]]) == bytes[..end], "{what}, cut off at {end}");
            assert!(passed(bytes[..end].chunks(1)) == bytes[..end], "{what}, cut off at {end}, byte by byte");
        }
    }
}

#[test]
fn trailers_that_break_off_in_their_header_lose_nothing() {
    let before = encode(&[post(1)]).len();
    let whole = encode(&[post(1), headers(WHOLE | PADDED | PRIORITY, 1, [3; 20])]);
    for end in before..before + 9 + 6 {
        assert_eq!(passed(whole[..end].chunks(1)), whole[..end]);
    }
}

#[test]
fn each_of_several_requests_may_have_trailers() {
    let open = [post(1), post(3), headers(WHOLE, 5, "get"), post(7), frame(DATA, END_STREAM, 3, "end")];
    for stream in [1, 7] {
        let trailers = headers(WHOLE, stream, "block");
        let expected = [&open[..], &given(WHOLE, stream, &[], "block")].concat();
        pass_as("one of several", &[&open[..], &[trailers]].concat(), &expected);
    }
    // What ended last is known to have ended, and opens no gap for those before it.
    let ended = [&open[..], &[frame(RST_STREAM, 0, 7, [0; 4]), post(9), frame(DATA, END_STREAM, 9, "")]].concat();
    let again = [&ended[..], &[headers(WHOLE, 9, "again")]].concat();
    pass_as("ended", &again, &again);
    let expected = [&ended[..], &given(WHOLE, 1, &[], "block")].concat();
    pass_as("the first", &[&ended[..], &[headers(WHOLE, 1, "block")]].concat(), &expected);
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let kind = prop::sample::select(&[HEADERS, HEADERS, HEADERS, DATA, DATA, RST_STREAM, CONTINUATION, PING]);
    let frame = (kind, any::<u8>(), 0..8_u32, prop::collection::vec(0..12_u8, 0..24));
    let frame = frame.prop_map(|(kind, flags, stream, payload)| Frame { kind, flags, stream, payload });
    prop::collection::vec(frame, 0..20)
}

/// What these become if they are trailers, read in another way.
fn as_trailers(came: &Frame) -> Vec<Frame> {
    let (mut rest, mut padding, mut rank) = (came.payload.as_slice(), 0, &[][..]);
    if came.flags & PADDED != 0 {
        let Some((first, behind)) = rest.split_first() else { return vec![came.clone()] };
        (padding, rest) = (usize::from(*first), behind);
    }
    if came.flags & PRIORITY != 0 {
        let Some((first, behind)) = rest.split_at_checked(RANK.len()) else { return vec![came.clone()] };
        (rank, rest) = (first, behind);
    }
    match rest.len().checked_sub(padding) {
        Some(length) => given(came.flags, came.stream, rank, &rest[..length]).into(),
        None => vec![came.clone()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn trailers_are_given_their_field_and_all_else_stays(
        came in frames(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = encode(&came);
        let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let out = passed(at.windows(2).map(|pair| &stream[pair[0]..pair[1]]));
        prop_assert_eq!(&out, &passed([&stream[..]]));
        let mut rest = out.strip_prefix(PREFACE).unwrap();
        // A stream is open from HEADERS that do not end it to what does; before that it has no trailers.
        let (mut open, mut opened) = (BTreeSet::new(), BTreeSet::new());
        for came in &came {
            let [same, given] = [vec![came.clone()], as_trailers(came)].map(|frames| encode(&frames)[PREFACE.len()..].to_vec());
            let (is_open, was_opened) = (open.contains(&came.stream), opened.contains(&came.stream));
            let passed = match () {
                () if came.kind == HEADERS && is_open => given,
                () if came.kind == HEADERS && was_opened && rest.starts_with(&given) => given,
                () => same,
            };
            prop_assert!(rest.starts_with(&passed), "{:?}", came);
            rest = &rest[passed.len()..];
            let ends = came.kind == RST_STREAM || matches!(came.kind, DATA | HEADERS) && came.flags & END_STREAM != 0;
            if ends {
                open.remove(&came.stream);
            } else if came.kind == HEADERS && came.stream != 0 {
                open.insert(came.stream);
                opened.extend(1..=came.stream);
            }
        }
        prop_assert!(rest.is_empty());
    }
}
