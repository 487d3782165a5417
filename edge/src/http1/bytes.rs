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
    span_by_words(bytes, &TOKEN, |word| {
        let usual = between(word | (LOW * 0x20), b'a', b'z') | between(word, b'0', b'9') | between(word, b'-', b'-');
        (word | !usual) & HIGH
    })
}

/// [`span`] of [`VALUE`].
pub(super) fn value_span(bytes: &[u8]) -> usize {
    span_by_words(bytes, &VALUE, |word| (!(between(word, b' ', b'~') | word)) & HIGH)
}

/// [`span`] of [`TARGET`].
pub(super) fn target_span(bytes: &[u8]) -> usize {
    span_by_words(bytes, &TARGET, |word| (!between(word, b'!', b'~') | between(word, b'#', b'#') | word) & HIGH)
}

/// [`span`], eight bytes at a time: `unusual` sets the highest bit of each byte that the table has to decide about.
fn span_by_words(bytes: &[u8], class: &Class, unusual: impl Fn(u64) -> u64) -> usize {
    let mut at = 0;
    while let Some(word) = rest(bytes, at).first_chunk() {
        let marks = unusual(u64::from_le_bytes(*word));
        let usual = marks.trailing_zeros() as usize / 8;
        at += usual;
        match word.get(usual) {
            None => {}
            Some(byte) if is(*byte, class) => at += 1,
            Some(_) => return at,
        }
    }
    at + span(rest(bytes, at), class)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Sets the highest bit of each byte from `first` to `last`. Bytes above 127 are as if their highest bit was not set.
fn between(word: u64, first: u8, last: u8) -> u64 {
    let low = word & !HIGH;
    // No sum reaches the next byte: it is at most 127 + 128.
    let reaches = |least: u8| low + (LOW * u64::from(128 - least));
    reaches(first) & !reaches(last + 1)
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
    fn eight_bytes_at_a_time_see_what_one_at_a_time_sees() {
        for byte in u8::MIN..=u8::MAX {
            for at in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[at] = byte;
                assert_eq!(value_span(&bytes), span(&bytes, &VALUE), "{byte} at {at}");
                assert_eq!(target_span(&bytes), span(&bytes, &TARGET), "{byte} at {at}");
                assert_eq!(token_span(&bytes), span(&bytes, &TOKEN), "{byte} at {at}");
            }
        }
    }
}
