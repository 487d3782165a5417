//! The walk along HTTP/2 frames: neither the verdict nor what is passed on depends on how the bytes arrive, and but for
//! trailers it is what came.
#![no_main]

use edge::http2::{Flood, Frames};
use libfuzzer_sys::fuzz_target;

const PREFACE: usize = 24;
const HEADERS: u8 = 1;

/// What is passed on of these pieces to the end of the connection, and whether a head is due then.
fn walk<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, bool), Flood> {
    let (mut frames, mut out) = (Frames::new(20), Vec::new());
    for piece in pieces {
        let same = frames.advance(piece)?;
        out.extend(&piece[..same]);
        out.append(frames.altered());
    }
    let owes = frames.owes_head();
    frames.end();
    out.append(frames.altered());
    Ok((out, owes))
}

/// Whether there are HEADERS on a stream that is not above all others. Without them nothing can be trailers.
fn may_have_trailers(stream: &[u8]) -> bool {
    let (mut rest, mut seen) = (stream.get(PREFACE..).unwrap_or_default(), Vec::new());
    while let Some(&[a, b, c, kind, _, d, e, f, g]) = rest.first_chunk() {
        let (length, stream) = (u32::from_be_bytes([0, a, b, c]) as usize, u32::from_be_bytes([d & 0x7f, e, f, g]));
        if kind == HEADERS {
            if seen.iter().any(|before| stream <= *before) {
                return true;
            }
            seen.push(stream);
        }
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    // Bytes before a flood was seen are worth the same however they are cut; the piece that holds it may be larger.
    let whole = walk([stream]);
    assert_eq!(whole, walk(stream.chunks(usize::from(*size).max(1))), "pieces of {size}");
    assert_eq!(whole, walk(stream.chunks(1)), "single bytes");
    if let Ok((out, _)) = whole
        && !may_have_trailers(stream)
    {
        assert_eq!(out, stream);
    }
});
