//! The ports that origins may have: numbers and ranges of them.

use std::ops::RangeInclusive;

use crate::{mistake::Problem, value::Value};

/// Ports, in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    /// Whether a port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

impl FromIterator<RangeInclusive<u16>> for Ports {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

/// The web's own ports, and those that need no privilege to listen at, where applications are.
impl Default for Ports {
    fn default() -> Self {
        Self(vec![80..=80, 443..=443, 1024..=u16::MAX])
    }
}

/// Reads `443`, `"443"` or `"1024-65535"`.
pub(crate) fn parse_ports(value: &Value) -> Result<RangeInclusive<u16>, Problem> {
    let found = match value {
        Value::Integer(number) => u16::try_from(*number).ok().map(|port| port..=port),
        Value::String(text) => parse_range(text),
        _ => None,
    };
    found.filter(|range| *range.start() != 0 && !range.is_empty()).ok_or_else(|| {
        let what = match value {
            Value::Integer(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => other.kind().to_owned(),
        };
        let hint = "write a port from 1 to 65535, as in 443, or a range with the lower one first, as in \"8000-8999\"";
        Problem::new("bad_port", format!("`{what}` is neither a port nor a range of ports"), hint)
    })
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(parse_port(first)?..=parse_port(last)?)
}

fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn a_port_is_a_number_and_a_range_has_its_lower_end_first() {
        for (written, range) in [
            (Value::Integer(443), 443..=443),
            (text("443"), 443..=443),
            (text("1-65535"), 1..=65_535),
            (text("8080-8080"), 8080..=8080),
        ] {
            assert_eq!(parse_ports(&written), Ok(range), "{written:?}");
        }
        for text in ["", "0", "0-80", "65536", "1-65536", "90-80", "80-", "-80", "80-90-100", "+80", "80 - 90", "http"]
        {
            let problem = parse_ports(&Value::String(text.to_owned())).unwrap_err();
            assert_eq!(problem.code, "bad_port", "{text}");
        }
        for number in [0, -1, 65_536] {
            assert_eq!(parse_ports(&Value::Integer(number)).unwrap_err().code, "bad_port", "{number}");
        }
        assert_eq!(parse_ports(&Value::Bool(true)).unwrap_err().code, "bad_port");
    }

    #[test]
    fn by_default_no_well_known_port_but_the_webs_own_is_one_of_them() {
        let ports = Ports::default();
        let well_known: Vec<u16> = (0..1024).filter(|port| ports.contains(*port)).collect();
        assert_eq!(well_known, [80, 443]);
        assert!((1024..=u16::MAX).all(|port| ports.contains(port)));
    }
}
