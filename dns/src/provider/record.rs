//! [`Zone`], [`Record`], [`Stored`]: what is at a provider and what goes there, in one canonical form.

use std::{borrow::Cow, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::Facts;
use crate::check::{DesiredRecord, RecordKind, RecordValue};

/// A zone as its provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The provider's handle: an id, or the name again.
    pub id: String,
    /// In lower case, without the final dot.
    pub name: String,
    /// The shortest time to live that it takes, in seconds.
    pub min_ttl: u32,
    /// Whether a CNAME at its top is taken.
    pub flattens_apex: bool,
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its full name, in lower case and without the final dot.
    pub name: String,
    /// Its type.
    pub kind: RecordKind,
    /// Its value: an address, a bare name, or the text without quotes.
    pub data: String,
    /// In seconds.
    pub ttl: u32,
    /// The provider's own attributes of a record that is put back.
    pub wire: Option<Value>,
}

/// A record that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its full name, in lower case and without the final dot.
    pub name: String,
    /// Its type in capitals; the provider's own types too.
    pub kind: String,
    /// Its value in canonical form; as it came for types that are never written.
    pub data: String,
    /// In seconds; 0 when the provider does not say.
    pub ttl: u32,
    /// The provider's handle of this record, empty where records have none.
    pub id: String,
    /// Whether it bears our mark.
    pub ours: bool,
    /// As it came, to be sent back where a set or a zone is written as a whole.
    pub wire: Value,
}

impl Zone {
    /// A zone with the provider's usual bounds.
    pub(crate) fn new(facts: &Facts, id: impl Into<String>, name: &str) -> Self {
        Self { id: id.into(), name: bare(name), min_ttl: facts.min_ttl, flattens_apex: facts.flattens_apex }
    }

    /// The full name of what stands in this zone as `host`: `@`, an empty text, a relative or a full name.
    pub(crate) fn absolute(&self, host: &str) -> String {
        match host {
            "" | "@" => self.name.clone(),
            host => {
                let host = bare(host);
                if self.holds(&host) { host } else { format!("{host}.{}", self.name) }
            }
        }
    }

    /// Like [`absolute`](Self::absolute) for providers that give nothing but relative names: `a.example` in the zone
    /// `example` is then `a.example.example`.
    pub(crate) fn below(&self, host: &str) -> String {
        match host {
            "" | "@" => self.name.clone(),
            host => format!("{}.{}", bare(host), self.name),
        }
    }

    /// The name relative to the zone, `apex` for its top.
    pub(crate) fn relative<'a>(&self, name: &'a str, apex: &'a str) -> &'a str {
        match name.strip_suffix(&self.name) {
            Some("") => apex,
            Some(rest) => rest.strip_suffix('.').unwrap_or(name),
            None => name,
        }
    }

    /// Whether the name is the zone's or below it. Whole labels: `notexample.com` is not in `example.com`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        name.strip_suffix(&self.name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl Record {
    pub(crate) fn from_desired(desired: &DesiredRecord, zone: &Zone) -> Self {
        Self {
            name: desired.host.to_string(),
            kind: desired.value.kind(),
            data: desired.value.to_string(),
            ttl: desired.ttl.max(zone.min_ttl),
            wire: None,
        }
    }

    /// A record that was there, to be put back.
    pub(crate) fn again(stored: &Stored) -> Option<Self> {
        Some(Self {
            name: stored.name.clone(),
            kind: written_kind(&stored.kind)?,
            data: stored.data.clone(),
            ttl: stored.ttl,
            wire: Some(stored.wire.clone()),
        })
    }

    /// The value with the final dot that some providers want behind names.
    pub(crate) fn dotted(&self) -> Cow<'_, str> {
        match self.kind {
            RecordKind::Cname => Cow::Owned(format!("{}.", self.data)),
            RecordKind::A | RecordKind::Aaaa | RecordKind::Txt => Cow::Borrowed(&self.data),
        }
    }

    /// The value as a zone file holds it: names with the final dot, texts in quotes.
    pub(crate) fn presentation(&self) -> Cow<'_, str> {
        match self.kind {
            RecordKind::Txt => Cow::Owned(super::encoding::quote(&self.data)),
            RecordKind::A | RecordKind::Aaaa | RecordKind::Cname => self.dotted(),
        }
    }
}

impl Stored {
    /// Whether both are the same record, whatever their time to live.
    pub(crate) fn is(&self, record: &Record) -> bool {
        self.name == record.name && self.kind == record.kind.as_str() && self.data == record.data
    }
}

/// Whether both are the same record, whatever the provider keeps beside it.
pub(crate) fn same(one: &Stored, other: &Stored) -> bool {
    one.name == other.name && one.kind == other.kind && one.data == other.data
}

/// A name in lower case and without the final dot.
pub(crate) fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The value of a record of the given type in the form that [`Record::data`] has.
pub(crate) fn canonical(kind: &str, data: &str) -> String {
    match kind {
        "A" | "AAAA" => data.trim().parse().map_or_else(|_| data.to_owned(), |ip: IpAddr| ip.to_string()),
        "CNAME" => bare(data.trim()),
        _ => data.to_owned(),
    }
}

/// The types that are ever written.
pub(crate) fn written_kind(kind: &str) -> Option<RecordKind> {
    match kind {
        "A" => Some(RecordKind::A),
        "AAAA" => Some(RecordKind::Aaaa),
        "CNAME" => Some(RecordKind::Cname),
        "TXT" => Some(RecordKind::Txt),
        _ => None,
    }
}

/// Whether visitors are led by records of this type.
pub(crate) fn routes(kind: RecordKind) -> bool {
    match kind {
        RecordKind::A | RecordKind::Aaaa | RecordKind::Cname => true,
        RecordKind::Txt => false,
    }
}

impl From<&Record> for Option<RecordValue> {
    fn from(record: &Record) -> Self {
        RecordValue::parse(record.kind, &record.data).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_all_the_forms_that_providers_use() {
        let zone = Zone { id: String::new(), name: "example.com".into(), min_ttl: 60, flattens_apex: false };
        const CASES: &[(&str, &str)] = &[
            ("@", "example.com"),
            ("", "example.com"),
            ("Shop", "shop.example.com"),
            ("shop.example.com", "shop.example.com"),
            ("SHOP.example.com.", "shop.example.com"),
            ("notexample.com", "notexample.com.example.com"),
        ];
        for (host, name) in CASES {
            assert_eq!(zone.absolute(host), *name, "{host}");
        }
        assert_eq!(zone.below("example.com"), "example.com.example.com");
        assert_eq!(zone.relative("a.b.example.com", "@"), "a.b");
        assert_eq!(zone.relative("example.com", "@"), "@");
        assert!(!zone.holds("notexample.com"));
    }
}
