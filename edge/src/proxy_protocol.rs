//! The PROXY protocol's header, versions 1 and 2: whom a balancer speaks for.
//!
//! [`read`] is a pure function of the bytes so far; it names how many more certainly belong to the header, so that a
//! reader never takes a byte of what follows. Nothing is repaired: the line of version 1 is accepted only as the
//! specification spells it, numbers without sign and leading zeros included (both well-known parsers take `+80`).
//! Extensions of version 2 (TLVs) are skipped unread; a health check's `LOCAL` and an `UNKNOWN` family name nobody.
//!
//! Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, section 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The largest header that is read: addresses take 36 bytes, what is known of TLVs some hundreds.
pub const MAX_HEADER: usize = 4096;
/// The longest line of version 1, CRLF included (section 2.1).
const MAX_LINE: usize = 107;
/// The shortest header of any kind: `PROXY UNKNOWN` and CRLF.
const SHORTEST: usize = 15;
const LINE_BEGINS: &[u8] = b"PROXY ";
/// What version 2 begins with; no line of text does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2: signature, version and command, family, length.
const FIXED: usize = 16;

/// What the bytes so far come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// At least this many bytes more belong to the header.
    More(usize),
    /// A whole header of `length` bytes.
    Whole {
        /// Bytes of the header; what follows is the visitor's.
        length: usize,
        /// The visitor; `None` when the balancer speaks for itself or does not know.
        source: Option<SocketAddr>,
    },
}

/// Bytes that are no header, and never become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a PROXY protocol header")]
pub struct Malformed;

/// Reads a header from the beginning of a connection.
///
/// # Errors
/// [`Malformed`] as soon as the bytes cannot begin a header.
pub fn read(bytes: &[u8]) -> Result<Header, Malformed> {
    if agrees(bytes, LINE_BEGINS) {
        return read_line(bytes);
    }
    match agrees(bytes, SIGNATURE) {
        true => read_binary(bytes),
        false => Err(Malformed),
    }
}

/// Whether one is the beginning of the other.
fn agrees(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(a, b)| a == b)
}

fn read_line(bytes: &[u8]) -> Result<Header, Malformed> {
    let line = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        // Both of CRLF are still to come, or the second one.
        let left = if line.last() == Some(&b'\r') { 1 } else { 2 };
        return match line.len() + left <= MAX_LINE {
            true => Ok(Header::More(left.max(SHORTEST.saturating_sub(line.len())))),
            false => Err(Malformed),
        };
    };
    let text = line.get(..end).and_then(|text| text.strip_suffix(b"\r")).ok_or(Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    Ok(Header::Whole { length: end + 1, source: source_of(text)? })
}

/// `PROXY TCP4 source destination port port`, one space between each.
fn source_of(line: &str) -> Result<Option<SocketAddr>, Malformed> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(Malformed)?;
    if family == "UNKNOWN" {
        // Whatever stands behind it is to be ignored.
        return Ok(None);
    }
    let (Some(from), Some(to), Some(port), Some(to_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed);
    };
    let address = |text: &str| -> Result<IpAddr, Malformed> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::from),
            _ => return Err(Malformed),
        }
        .map_err(|_| Malformed)
    };
    address(to)?;
    port_of(to_port)?;
    Ok(Some(SocketAddr::new(address(from)?.to_canonical(), port_of(port)?)))
}

fn port_of(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain).ok_or(Malformed)
}

fn read_binary(bytes: &[u8]) -> Result<Header, Malformed> {
    let Some([command, family, length @ ..]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(Header::More(FIXED.saturating_sub(bytes.len())));
    };
    let length = <[u8; 2]>::try_from(length).map_or(0, u16::from_be_bytes);
    let length = FIXED + usize::from(length);
    if length > MAX_HEADER {
        return Err(Malformed);
    }
    let named = named(*command, *family)?;
    let Some(content) = bytes.get(FIXED..length) else {
        return Ok(Header::More(length - bytes.len()));
    };
    let source = match named {
        Named::Nobody => None,
        Named::Ipv4 => {
            let (address, port) = addresses::<4>(content)?;
            Some(SocketAddr::new(Ipv4Addr::from(address).into(), port))
        }
        Named::Ipv6 => {
            let (address, port) = addresses::<16>(content)?;
            Some(SocketAddr::new(IpAddr::from(address).to_canonical(), port))
        }
    };
    Ok(Header::Whole { length, source })
}

enum Named {
    Ipv4,
    Ipv6,
    Nobody,
}

/// Version and command, then family and transport. What is neither TCP nor unknown never comes over TCP.
fn named(command: u8, family: u8) -> Result<Named, Malformed> {
    match (command, family) {
        (0x20, _) | (0x21, 0x00) => Ok(Named::Nobody),
        (0x21, 0x11) => Ok(Named::Ipv4),
        (0x21, 0x21) => Ok(Named::Ipv6),
        _ => Err(Malformed),
    }
}

/// The source of two addresses of `N` bytes and two ports.
fn addresses<const N: usize>(content: &[u8]) -> Result<([u8; N], u16), Malformed> {
    let address = content.first_chunk::<N>().ok_or(Malformed)?;
    let ports = content.get(2 * N..2 * N + 4).and_then(|ports| ports.first_chunk::<2>()).ok_or(Malformed)?;
    Ok((*address, u16::from_be_bytes(*ports)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, content].concat()
    }

    fn whole(bytes: &[u8], source: Option<&str>) {
        let source = source.map(|text| text.parse().unwrap());
        let expected = Ok(Header::Whole { length: bytes.len(), source });
        assert_eq!(read(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        // What follows belongs to the visitor.
        assert_eq!(read(&[bytes, b"\x16\x03\x01"].concat()), expected);
    }

    #[test]
    fn a_line_names_the_visitor() {
        const CASES: &[(&str, Option<&str>)] = &[
            ("PROXY TCP4 203.0.113.7 192.0.2.1 5123 443\r\n", Some("203.0.113.7:5123")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535")),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n", Some("[2001:db8::1]:1")),
            ("PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 5 443\r\n", Some("203.0.113.7:5")),
            ("PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n", Some("203.0.113.7:0")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        ];
        for (line, source) in CASES {
            whole(line.as_bytes(), *source);
        }
    }

    #[test]
    fn a_line_that_is_not_spelled_as_specified_is_refused() {
        const CASES: &[&str] = &[
            "PROXY  TCP4 203.0.113.7 192.0.2.1 5 443\r\n",
            "PROXY TCP4 203.0.113.7  192.0.2.1 5 443\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5 443 \r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 +5 443\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 05 443\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5 -1\r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1  443\r\n",
            "PROXY TCP4 203.000.113.7 192.0.2.1 5 443\r\n",
            "PROXY TCP4 203.0.113 192.0.2.1 5 443\r\n",
            "PROXY TCP4 2001:db8::1 192.0.2.1 5 443\r\n",
            "PROXY TCP4 203.0.113.7 2001:db8::1 5 443\r\n",
            "PROXY TCP6 203.0.113.7 192.0.2.1 5 443\r\n",
            "PROXY TCP6 2001:db8::1%eth0 2001:db8::2 5 443\r\n",
            "PROXY tcp4 203.0.113.7 192.0.2.1 5 443\r\n",
            "PROXY UDP4 203.0.113.7 192.0.2.1 5 443\r\n",
            "PROXY TCP4\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY \r\n",
            "PROXY TCP4 203.0.113.7 192.0.2.1 5 443\n",
            "PROXY TCP4\t203.0.113.7 192.0.2.1 5 443\r\n",
            "PROXY TCP4 203.0.113.7\0 192.0.2.1 5 443\r\n",
            "proxy TCP4 203.0.113.7 192.0.2.1 5 443\r\n",
            "\u{16}\u{3}\u{1}",
            "GET / HTTP/1.1\r\n",
        ];
        for line in CASES {
            assert_eq!(read(line.as_bytes()), Err(Malformed), "{line:?}");
        }
        let endless = [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat();
        assert_eq!(read(&endless), Err(Malformed), "a line has an end within 107 bytes");
    }

    #[test]
    fn a_binary_header_names_the_visitor_and_its_extensions_are_skipped() {
        let ipv4 = [203, 0, 113, 7, 192, 0, 2, 1, 0x14, 0x03, 0x01, 0xbb];
        whole(&binary(0x21, 0x11, &ipv4), Some("203.0.113.7:5123"));
        let extended = [&ipv4[..], &[0x20, 0x00, 0x03, 1, 2, 3, 0xee]].concat();
        whole(&binary(0x21, 0x11, &extended), Some("203.0.113.7:5123"));
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        let ipv6 = |from: &str| [&address(from)[..], &address("2001:db8::2"), &[0, 7, 0x01, 0xbb]].concat();
        whole(&binary(0x21, 0x21, &ipv6("2001:db8::1")), Some("[2001:db8::1]:7"));
        whole(&binary(0x21, 0x21, &ipv6("::ffff:203.0.113.7")), Some("203.0.113.7:7"));
        for nobody in [binary(0x20, 0x00, &[]), binary(0x20, 0x11, &ipv4), binary(0x21, 0x00, &[1, 2, 3])] {
            whole(&nobody, None);
        }
    }

    #[test]
    fn a_binary_header_of_another_kind_is_refused() {
        let ipv4 = [203, 0, 113, 7, 192, 0, 2, 1, 0, 5, 1, 187];
        let cases = [
            ("version 1", binary(0x11, 0x11, &ipv4)),
            ("version 3", binary(0x31, 0x11, &ipv4)),
            ("an unknown command", binary(0x22, 0x11, &ipv4)),
            ("datagrams", binary(0x21, 0x12, &ipv4)),
            ("a unix socket", binary(0x21, 0x31, &[0; 216])),
            ("no family, but a transport", binary(0x21, 0x01, &ipv4)),
            ("addresses that are too short", binary(0x21, 0x11, &ipv4[..11])),
            ("IPv4 as IPv6", binary(0x21, 0x21, &ipv4)),
            ("more than the limit", binary(0x21, 0x11, &[0; MAX_HEADER])),
            ("a broken signature", b"\r\n\r\n\0\r\nQUIT\r\x21\x11".to_vec()),
        ];
        for (what, bytes) in cases {
            assert_eq!(read(&bytes), Err(Malformed), "{what}");
        }
    }

    fn headers() -> Vec<Vec<u8>> {
        vec![
            b"PROXY TCP4 203.0.113.7 192.0.2.1 5123 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            binary(0x21, 0x11, &[203, 0, 113, 7, 192, 0, 2, 1, 0x14, 3, 1, 187, 4, 0, 1, 0]),
            binary(0x20, 0x00, &[]),
        ]
    }

    #[test]
    fn more_never_reaches_beyond_the_header_and_always_comes_to_its_end() {
        for header in headers() {
            let mut have = 0;
            while let Header::More(more) = read(&header[..have]).unwrap() {
                assert!(more > 0);
                have += more;
                assert!(have <= header.len(), "{have} of {}", header.len());
            }
            assert_eq!(have, header.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn any_bytes_are_judged_within_the_limit(start in 0..5_usize, tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let begins = [&b""[..], b"PROXY TCP4 ", b"PROXY ", &SIGNATURE[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11"];
            let bytes = [begins[start], &tail].concat();
            match read(&bytes) {
                Ok(Header::More(more)) => prop_assert!(more > 0 && bytes.len() + more <= MAX_HEADER),
                Ok(Header::Whole { length, .. }) => prop_assert!(length >= SHORTEST && length <= bytes.len()),
                Err(Malformed) => {}
            }
        }

        #[test]
        fn what_cannot_become_a_header_is_refused_at_once(cut in 1..12_usize, wrong in any::<u8>()) {
            for header in headers() {
                let mut bytes = header[..cut].to_vec();
                let last = bytes.last_mut().unwrap();
                prop_assume!(*last != wrong);
                *last = wrong;
                let begins = |whole: &[u8]| whole.starts_with(&bytes[..cut.min(whole.len())]);
                if !begins(LINE_BEGINS) && !begins(SIGNATURE) {
                    prop_assert_eq!(read(&bytes), Err(Malformed));
                }
            }
        }
    }
}
