//! The framer: how bytes arrive changes no verdict, and what is accepted reads alike to another parser.
#![no_main]

use edge::http1::{Framer, HeadLimits, Refusal};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 20, target: 512 };

/// Where each request ends, and what ended the walk.
fn walk<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<usize>, Option<Refusal>) {
    let (mut framer, mut ends, mut at) = (Framer::new(LIMITS), Vec::new(), 0);
    for mut piece in pieces {
        while !piece.is_empty() {
            match framer.advance(piece) {
                Ok(step) => {
                    assert!(step.taken > 0 && step.taken <= piece.len(), "the walk goes on");
                    at += step.taken;
                    piece = &piece[step.taken..];
                    if step.ended {
                        ends.push(at);
                    }
                }
                Err(refusal) => return (ends, Some(refusal)),
            }
        }
    }
    (ends, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let whole = walk([stream]);
    assert_eq!(whole, walk(stream.chunks(usize::from(*size).max(1))), "pieces of {size}");
    assert_eq!(whole, walk(stream.chunks(1)), "single bytes");
    let mut begin = 0;
    for end in whole.0 {
        let request = &stream[begin..end];
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut fields);
        let head = parsed.parse(request).expect("httparse reads it too").unwrap();
        assert_eq!(request.windows(4).position(|four| four == b"\r\n\r\n"), Some(head - 4), "the head ends there");
        let named = |name: &str| parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        assert_eq!(named("host"), 1);
        assert!(named("content-length") + named("transfer-encoding") <= 1, "one framing");
        assert!(named("content-length") + named("transfer-encoding") == 1 || head == request.len(), "no body");
        begin = end;
    }
});
