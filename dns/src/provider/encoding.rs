//! Texts as zone files hold them (RFC 1035 section 5.1): character-strings of at most 255 bytes in quotes.

/// Bytes of one character-string.
const CHUNK: usize = 255;

/// The text as quoted character-strings.
pub(crate) fn quote(text: &str) -> String {
    let chunks = text.as_bytes().chunks(CHUNK).map(quoted);
    let joined = chunks.collect::<Vec<_>>().join(" ");
    if joined.is_empty() { "\"\"".to_owned() } else { joined }
}

fn quoted(chunk: &[u8]) -> String {
    let mut out = String::with_capacity(chunk.len() + 2);
    out.push('"');
    for byte in chunk {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            0x20..=0x7e => out.push(char::from(*byte)),
            other => out.push_str(&format!("\\{other:03}")),
        }
    }
    out.push('"');
    out
}

/// The text of quoted character-strings, joined; a text without quotes is its own.
pub(crate) fn unquote(text: &str) -> String {
    let trimmed = text.trim();
    if !trimmed.starts_with('"') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(trimmed.len());
    let mut rest = trimmed.bytes().peekable();
    let mut inside = false;
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' => bytes.push(escaped(&mut rest)),
            // Between two strings there is nothing but white space.
            other if inside => bytes.push(other),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What follows a backslash: three digits or the character itself.
fn escaped(rest: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> u8 {
    let first = rest.next().unwrap_or(b'\\');
    if !first.is_ascii_digit() {
        return first;
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        match rest.next_if(u8::is_ascii_digit) {
            Some(digit) => value = value * 10 + u32::from(digit - b'0'),
            None => break,
        }
    }
    u8::try_from(value).unwrap_or(b'?')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_quoted_as_zone_files_do_it() {
        assert_eq!(quote("v=spf1 -all"), r#""v=spf1 -all""#);
        assert_eq!(quote(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quote(""), r#""""#);
        assert_eq!(quote(&"x".repeat(300)).matches('"').count(), 4);
        assert_eq!(unquote("plain; text"), "plain; text");
        assert_eq!(unquote(r#""one " "two""#), "one two");
        assert_eq!(unquote(r#""\195\188""#), "ü");
    }

    proptest! {
        #[test]
        fn a_quoted_text_reads_back_as_it_was(text in "\\PC{0,600}") {
            prop_assert_eq!(unquote(&quote(&text)), text);
        }
    }
}
