//! [`DesiredRecord`]: what the customer's zone should hold.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use names::{Hostname, is_apex};
use serde::{Deserialize, Serialize};

use crate::{NameError, OwnerName};

/// Where connected names must lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTargets {
    /// The edge's own name: the target of a CNAME.
    pub name: OwnerName,
    /// Its addresses, for records that cannot be a CNAME. Empty: the name's own A and AAAA are asked for.
    pub addresses: Vec<IpAddr>,
}

/// A record that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredRecord {
    /// Its full name.
    pub host: OwnerName,
    /// Type and value.
    pub value: RecordValue,
    /// In seconds; what to write, never compared.
    pub ttl: u32,
}

/// Type and value in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordValue {
    /// The address must be among the name's IPv4 addresses.
    A(Ipv4Addr),
    /// The address must be among the name's IPv6 addresses.
    Aaaa(Ipv6Addr),
    /// The name must lead through the target, or its addresses must all be the target's (a flattened CNAME).
    Cname(OwnerName),
    /// One of the name's TXT records must be this, byte for byte, its character-strings joined.
    Txt(String),
}

/// The types that are ever desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Alias.
    Cname,
    /// Text.
    Txt,
}

/// Why a text is not the value of a record of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// For A and AAAA.
    #[error("the value is not an address of the record's type")]
    Address(#[source] std::net::AddrParseError),
    /// For CNAME.
    #[error("the target is not a name")]
    Target(#[source] NameError),
}

impl RecordKind {
    /// As zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
        }
    }
}

impl RecordValue {
    /// From a stored or configured record.
    ///
    /// # Errors
    /// [`ValueError`] when the text is no value of this type.
    pub fn parse(kind: RecordKind, text: &str) -> Result<Self, ValueError> {
        Ok(match kind {
            RecordKind::A => Self::A(text.parse().map_err(ValueError::Address)?),
            RecordKind::Aaaa => Self::Aaaa(text.parse().map_err(ValueError::Address)?),
            RecordKind::Cname => Self::Cname(text.parse().map_err(ValueError::Target)?),
            RecordKind::Txt => Self::Txt(text.to_owned()),
        })
    }

    /// The type.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::A(_) => RecordKind::A,
            Self::Aaaa(_) => RecordKind::Aaaa,
            Self::Cname(_) => RecordKind::Cname,
            Self::Txt(_) => RecordKind::Txt,
        }
    }
}

impl From<IpAddr> for RecordValue {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::A(ip),
            IpAddr::V6(ip) => Self::Aaaa(ip),
        }
    }
}

impl fmt::Display for RecordValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(ip) => ip.fmt(f),
            Self::Aaaa(ip) => ip.fmt(f),
            Self::Cname(name) => name.fmt(f),
            Self::Txt(text) => text.fmt(f),
        }
    }
}

/// The routing records of a name: a CNAME below an apex, one A or AAAA for each edge address at an apex. An apex of
/// an edge without fixed addresses gets a CNAME as well, to be entered as ALIAS or flattened.
pub fn desired_records(hostname: &Hostname, edge: &EdgeTargets, ttl: u32) -> Vec<DesiredRecord> {
    let record = |value| DesiredRecord { host: hostname.into(), value, ttl };
    match is_apex(hostname) && !edge.addresses.is_empty() {
        true => edge.addresses.iter().map(|ip| record((*ip).into())).collect(),
        false => vec![record(RecordValue::Cname(edge.name.clone()))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apex_gets_addresses_and_a_subdomain_a_cname() {
        let edge = EdgeTargets {
            name: "edge.saas.example".parse().unwrap(),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        let forms = |name: &str, edge: &EdgeTargets| -> Vec<String> {
            let records = desired_records(&Hostname::parse(name).unwrap(), edge, 300);
            records.iter().map(|r| format!("{} {} {}", r.host, r.value.kind().as_str(), r.value)).collect()
        };
        assert_eq!(forms("a.co.uk", &edge), ["a.co.uk A 192.0.2.1", "a.co.uk AAAA 2001:db8::1"]);
        assert_eq!(forms("shop.a.co.uk", &edge), ["shop.a.co.uk CNAME edge.saas.example"]);
        let nameless = EdgeTargets { addresses: Vec::new(), ..edge };
        assert_eq!(forms("a.co.uk", &nameless), ["a.co.uk CNAME edge.saas.example"]);
    }
}
