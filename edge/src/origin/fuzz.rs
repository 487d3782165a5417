//! An origin's bytes, read as an answer.

use bytes::{Buf as _, BytesMut};

use super::{
    answer,
    body::{Framing, Piece},
};

/// Reads `bytes` as answers, `most` bytes of a body at once.
///
/// # Panics
/// A body has more bytes than came, or a piece is larger than asked for.
pub fn answer(bytes: &[u8], most: usize) {
    let mut came = BytesMut::from(bytes);
    while let Ok(Some(answer)) = answer::parse(&came) {
        assert!(answer.length > 0 && answer.length <= came.len());
        assert!(!answer.head.headers.contains_key("transfer-encoding"));
        came.advance(answer.length);
        let (mut framing, mut content) = (answer.framing, 0);
        loop {
            match framing.take(&mut came, most.max(1)) {
                Ok(Piece::Data(piece)) => {
                    content += piece.len();
                    assert!(piece.len() <= most.max(1) && content <= bytes.len());
                }
                Ok(Piece::End) => break,
                Ok(Piece::More(wanted)) => {
                    assert!(wanted > 0 && framing != Framing::Done);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}
