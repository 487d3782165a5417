//! [`Hostname`]: a fully qualified DNS name that can carry a certificate.
//!
//! Canonical form is the lower-case A-label form without a trailing dot (RFC 5890, RFC 1035 section 2.3.1). Unicode
//! input is mapped by UTS 46 in its strict form; the lenient form lets `a..b` and 64-byte labels through.

use std::{borrow::Borrow, fmt, net::IpAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest hostname in bytes, without the trailing dot (RFC 1035 section 2.3.4).
pub const MAX_HOSTNAME: usize = 253;
/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Longest input that is looked at; a U-label form may be longer than the A-label form it maps to.
const MAX_INPUT: usize = 4 * MAX_HOSTNAME;

/// A customer's hostname: lower-case A-labels, 2 or more of them, no trailing dot, no IP address, no wildcard.
///
/// Cheap to clone. Equality, order and hash are those of the text, so a map keyed by `Hostname` can be asked with a
/// `&str` that is already canonical.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(Arc<str>);

/// Why a text is not a [`Hostname`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostnameError {
    /// A label starts or ends with a hyphen, is empty, or holds a byte other than a letter, digit or hyphen.
    #[error("a label may hold letters, digits and inner hyphens only")]
    Label,
    /// No text at all, or only a dot.
    #[error("the name is empty")]
    Empty,
    /// UTS 46 refuses the Unicode form.
    #[error("the name is not valid under IDNA (UTS 46)")]
    Idna,
    /// An IPv4 or IPv6 address, or a name that a resolver would read as one.
    #[error("an IP address is not a hostname")]
    IpAddress,
    /// Fewer than two labels.
    #[error("a single label is not a public hostname")]
    SingleLabel,
    /// More than [`MAX_HOSTNAME`] bytes, or a label of more than [`MAX_LABEL`].
    #[error("the name is longer than {MAX_HOSTNAME} bytes or a label longer than {MAX_LABEL}")]
    TooLong,
    /// An underscore: legal in record owner names, never in a hostname.
    #[error("an underscore is not allowed in a hostname")]
    Underscore,
    /// `*.example.com`.
    #[error("a wildcard is not a hostname")]
    Wildcard,
}

impl HostnameError {
    /// A stable word for metrics, logs and API error codes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Label => "bad_label",
            Self::Empty => "empty",
            Self::Idna => "idna",
            Self::IpAddress => "ip_address",
            Self::SingleLabel => "single_label",
            Self::TooLong => "too_long",
            Self::Underscore => "underscore",
            Self::Wildcard => "wildcard",
        }
    }
}

impl Hostname {
    /// Parses any spelling of a name: mixed case, one trailing dot, U-labels.
    ///
    /// # Errors
    /// [`HostnameError`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(HostnameError::Empty);
        }
        if text.len() > MAX_INPUT {
            return Err(HostnameError::TooLong);
        }
        if text.is_ascii() && !has_a_label(text) {
            return Self::from_ascii(text);
        }
        if text.contains('*') {
            return Err(HostnameError::Wildcard);
        }
        if text.contains('_') {
            return Err(HostnameError::Underscore);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| HostnameError::Idna)?;
        Self::from_ascii(&ascii)
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name one label up: `shop.example.com` gives `example.com`; `None` when one label would be left.
    pub fn parent(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once('.')?;
        rest.contains('.').then_some(rest)
    }

    /// A text that is known to be canonical.
    pub(crate) fn from_canonical(text: Arc<str>) -> Self {
        Self(text)
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    fn from_ascii(text: &str) -> Result<Self, HostnameError> {
        if text.len() > MAX_HOSTNAME {
            return Err(HostnameError::TooLong);
        }
        if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
            return Err(HostnameError::IpAddress);
        }
        let mut labels = 0;
        let mut last = "";
        for label in text.split('.') {
            check_label(label)?;
            labels += 1;
            last = label;
        }
        // A last label of digits only, or in the `0x` form, is an IPv4 number to WHATWG URL parsers and to inet_aton.
        if last.bytes().all(|b| b.is_ascii_digit()) || is_hex_number(last) {
            return Err(HostnameError::IpAddress);
        }
        if labels < 2 {
            return Err(HostnameError::SingleLabel);
        }
        Ok(match text.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Self(text.to_ascii_lowercase().into()),
            false => Self(text.into()),
        })
    }
}

/// Whether a label claims to be punycode: those are validated by UTS 46, not only by their bytes.
fn has_a_label(text: &str) -> bool {
    text.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")))
}

fn is_hex_number(label: &str) -> bool {
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn check_label(label: &str) -> Result<(), HostnameError> {
    if label.contains('*') {
        return Err(HostnameError::Wildcard);
    }
    if label.contains('_') {
        return Err(HostnameError::Underscore);
    }
    if label.len() > MAX_LABEL {
        return Err(HostnameError::TooLong);
    }
    let hyphen_at_edge = label.starts_with('-') || label.ends_with('-');
    let all_ldh = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match label.is_empty() || hyphen_at_edge || !all_ldh {
        true => Err(HostnameError::Label),
        false => Ok(()),
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Hostname {
    type Error = HostnameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Hostname {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_a_name_has_one_canonical_form() {
        const CASES: &[(&str, &str)] = &[
            ("shop.customer.test", "shop.customer.test"),
            ("Shop.Customer.TEST", "shop.customer.test"),
            ("shop.customer.test.", "shop.customer.test"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.Example", "xn--bcher-kva.example"),
            ("a-1.b2.example", "a-1.b2.example"),
            ("1.2.3.example", "1.2.3.example"),
        ];
        for (text, canonical) in CASES {
            assert_eq!(Hostname::parse(text).map(String::from).as_deref(), Ok(*canonical), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_hostname_are_refused_with_the_rule_they_break() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}.example", ["a".repeat(60).as_str(); 5].join("."));
        let cases: &[(&str, HostnameError)] = &[
            ("", HostnameError::Empty),
            (".", HostnameError::Empty),
            ("..", HostnameError::Label),
            ("a..b", HostnameError::Label),
            ("a.b..", HostnameError::Label),
            (".example.com", HostnameError::Label),
            ("-a.example", HostnameError::Label),
            ("a-.example", HostnameError::Label),
            ("a b.example", HostnameError::Label),
            ("a\0.example", HostnameError::Label),
            ("a/b.example", HostnameError::Label),
            ("a:80.example", HostnameError::Label),
            ("a@b.example", HostnameError::Label),
            ("localhost", HostnameError::SingleLabel),
            ("*", HostnameError::Wildcard),
            ("*.example.com", HostnameError::Wildcard),
            ("_acme.example.com", HostnameError::Underscore),
            ("_dmarc.bücher.example", HostnameError::Underscore),
            ("1.2.3.4", HostnameError::IpAddress),
            ("1.2.3", HostnameError::IpAddress),
            ("a.1", HostnameError::IpAddress),
            ("a.0x7f", HostnameError::IpAddress),
            ("::1", HostnameError::IpAddress),
            ("[::1]", HostnameError::IpAddress),
            ("xn--a.example", HostnameError::Idna),
            ("xn--.example", HostnameError::Idna),
            (&long_label, HostnameError::TooLong),
            (&long_name, HostnameError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(Hostname::parse(text), Err(*error), "{text}");
        }
    }

    #[test]
    fn a_name_of_253_bytes_is_the_longest() {
        let name = |len: usize| {
            let tail = format!(".{}.{}.{}", "b".repeat(63), "c".repeat(63), "d".repeat(61));
            format!("{}{tail}", "a".repeat(len - tail.len()))
        };
        assert_eq!(Hostname::parse(&name(253)).map(|n| n.as_str().len()), Ok(253));
        assert_eq!(Hostname::parse(&name(254)), Err(HostnameError::TooLong));
    }

    #[test]
    fn the_parent_has_at_least_two_labels() {
        let parent = |text: &str| Hostname::parse(text).unwrap().parent().map(str::to_owned);
        assert_eq!(parent("a.b.example").as_deref(), Some("b.example"));
        assert_eq!(parent("b.example"), None);
    }

    #[test]
    fn serde_passes_through_the_same_door() {
        assert_eq!(serde_json::from_str::<Hostname>("\"A.Example.\"").unwrap().as_str(), "a.example");
        assert!(serde_json::from_str::<Hostname>("\"a_b.example\"").is_err());
    }

    /// Pieces of names in many spellings, and of what is none: letters that case folding or IDNA turn into others, dots
    /// that are none, labels that look like numbers.
    const PIECES: &[&str] = &[
        "a",
        "B",
        "shop",
        "TEST",
        "com",
        ".",
        ".",
        ".",
        "\u{3002}",
        "\u{ff0e}",
        "-",
        "--",
        "_",
        "*",
        "xn--",
        "bcher-kva",
        "\u{fc}",
        "\u{dc}",
        "u\u{308}",
        "\u{df}",
        "\u{130}",
        "\u{131}",
        "\u{17f}",
        "\u{212a}",
        "\u{ff21}",
        "\u{200d}",
        "\u{ad}",
        "1",
        "127",
        "0x7f",
        " ",
        "\0",
        ":",
        "@",
        "%61",
        "[",
        "]",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn a_name_has_one_canonical_form_and_others_see_the_same_bytes(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 1..10)
        ) {
            let text = pieces.concat();
            let Ok(name) = Hostname::parse(&text) else { return Ok(()) };
            let canonical = name.as_str();
            for same in [canonical.to_owned(), canonical.to_ascii_uppercase(), format!("{canonical}.")] {
                prop_assert_eq!(Hostname::parse(&same), Ok(name.clone()), "{:?} from {:?}", same, text);
            }
            prop_assert!(canonical.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')), "{canonical}");
            prop_assert!(canonical.len() <= MAX_HOSTNAME && canonical.parse::<IpAddr>().is_err());
        }
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in "\\PC{0,40}\\.\\PC{1,10}") {
            if let Ok(name) = Hostname::parse(&text) {
                prop_assert_eq!(Hostname::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().len() <= MAX_HOSTNAME);
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
            }
        }

        #[test]
        fn case_and_trailing_dot_never_make_another_name(text in "[a-z0-9]{1,20}(\\.[a-z][a-z0-9]{0,10}){1,4}") {
            let name = Hostname::parse(&text);
            prop_assert_eq!(&Hostname::parse(&text.to_ascii_uppercase()), &name);
            prop_assert_eq!(&Hostname::parse(&format!("{text}.")), &name);
        }
    }
}
