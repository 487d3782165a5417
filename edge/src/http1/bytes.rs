//! Which bytes may stand where.

/// 256 answers, one for each byte.
pub(super) type Class = [bool; 256];

/// RFC 9110 section 5.6.2: `tchar`, what methods and field names are made of.
pub(super) static TOKEN: Class = class(Kind::Token);
/// Field values: visible ASCII, space, tab and obs-text (RFC 9110 section 5.5). No other control byte.
pub(super) static VALUE: Class = class(Kind::Value);
/// Targets: visible ASCII without `#`. A fragment is never sent (RFC 9112 section 3.2), and servers differ about it.
pub(super) static TARGET: Class = class(Kind::Target);
/// An authority as hostnames and address literals need it: no userinfo, no list, no space, no escape.
pub(super) static AUTHORITY: Class = class(Kind::Authority);

#[derive(Clone, Copy)]
enum Kind {
    Authority,
    Target,
    Token,
    Value,
}

const fn class(kind: Kind) -> Class {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    loop {
        // Constant evaluation: an index out of range would not compile.
        #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
        {
            table[byte as usize] = match kind {
                Kind::Authority => {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
                }
                Kind::Target => byte.is_ascii_graphic() && byte != b'#',
                Kind::Token => is_token(byte),
                Kind::Value => matches!(byte, b'\t' | b' '..=b'~' | 0x80..),
            };
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// How many bytes at the start are of a class.
pub(super) fn span(bytes: &[u8], class: &Class) -> usize {
    bytes.iter().position(|byte| !is(*byte, class)).unwrap_or(bytes.len())
}

fn is(byte: u8, class: &Class) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    class[usize::from(byte)]
}

/// [`span`] of [`TOKEN`].
pub(super) fn token_span(bytes: &[u8]) -> usize {
    span_by_blocks(bytes, &TOKEN, |byte| byte.is_ascii_alphabetic() | (byte == b'-'))
}

/// [`span`] of [`VALUE`].
pub(super) fn value_span(bytes: &[u8]) -> usize {
    span_by_blocks(bytes, &VALUE, |byte| matches!(byte, b' '..=b'~' | 0x80..))
}

/// [`span`] of [`TARGET`].
pub(super) fn target_span(bytes: &[u8]) -> usize {
    span_by_blocks(bytes, &TARGET, |byte| matches!(byte, b'!'..=b'~') & (byte != b'#'))
}

/// [`span`], sixteen bytes at a time: a byte that is not `usual` is one that the table decides about. `usual` has no
/// branch, so that the compiler tests a block with a few vector instructions: 24 in all for values.
fn span_by_blocks(bytes: &[u8], class: &Class, usual: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while let Some(block) = rest(bytes, at).first_chunk::<16>() {
        let unusual = u128::from_le_bytes(block.map(|byte| if usual(byte) { 0 } else { u8::MAX }));
        if unusual == 0 {
            at += block.len();
            continue;
        }
        at += unusual.trailing_zeros() as usize / 8;
        match bytes.get(at) {
            Some(byte) if is(*byte, class) => at += 1,
            _ => return at,
        }
    }
    at + span(rest(bytes, at), class)
}

/// The rest of a slice; nothing when it is shorter.
pub(super) fn rest(bytes: &[u8], from: usize) -> &[u8] {
    bytes.get(from..).unwrap_or_default()
}

/// The start of a slice; all of it when it is shorter.
pub(super) fn start(bytes: &[u8], to: usize) -> &[u8] {
    bytes.get(..to).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_at_a_time_see_what_one_at_a_time_sees() {
        for byte in u8::MIN..=u8::MAX {
            for at in 0..36 {
                let mut bytes = [b'x'; 36];
                bytes[at] = byte;
                assert_eq!(value_span(&bytes), span(&bytes, &VALUE), "{byte} at {at}");
                assert_eq!(target_span(&bytes), span(&bytes, &TARGET), "{byte} at {at}");
                assert_eq!(token_span(&bytes), span(&bytes, &TOKEN), "{byte} at {at}");
            }
        }
    }
}
