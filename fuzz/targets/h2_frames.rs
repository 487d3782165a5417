//! The count of HTTP/2 frames: the verdict does not depend on how the bytes arrive.
#![no_main]

use edge::http2::Frames;
use libfuzzer_sys::fuzz_target;

/// Bytes before the flood was seen are worth the same however they are cut; the piece that holds it may be larger.
fn floods(bytes: &[u8], size: usize) -> (bool, bool) {
    let mut frames = Frames::new(20);
    let flood = bytes.chunks(size.max(1)).any(|piece| frames.advance(piece).is_err());
    (flood, frames.owes_head())
}

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let ((whole, owes), (pieces, owes_too)) = (floods(stream, stream.len()), floods(stream, usize::from(*size)));
    assert_eq!(whole, pieces, "pieces of {size}");
    assert!(whole || owes == owes_too, "pieces of {size}");
});
