//! Questions, transfers and updates as messages, and records as the engine knows them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, UpdateMessage as _},
    rr::{
        DNSClass, Name, RData, Record as Wire, RecordType,
        rdata::{A, AAAA, CNAME, TXT},
    },
    serialize::binary::{BinEncodable as _, BinEncoder},
};
use serde_json::Value as Json;

use crate::{
    check::RecordKind,
    provider::{
        adapter::{SetChange, Value},
        record::{Record, Stored, bare},
    },
};

/// Bytes of one character-string.
const CHUNK: usize = 255;

pub(super) fn full(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{name}.")).ok()
}

fn question(name: &str, kind: RecordType) -> Option<Message> {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(full(name)?, kind));
    Some(message)
}

pub(super) fn soa(name: &str) -> Option<Message> {
    question(name, RecordType::SOA)
}

pub(super) fn axfr(name: &str) -> Option<Message> {
    question(name, RecordType::AXFR)
}

/// Whether the answer says with authority that the name is the top of a zone.
pub(super) fn is_top(answer: &Message, name: &str) -> bool {
    let soa = |record: &Wire| record.record_type() == RecordType::SOA && bare(&record.name.to_ascii()) == name;
    answer.metadata.authoritative && answer.answers.iter().any(soa)
}

/// A record of a transfer; what DNSSEC adds by itself is passed over.
pub(super) fn stored(wire: &Wire) -> Option<Stored> {
    let kind = wire.record_type().to_string();
    if ["SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534"].contains(&kind.as_str())
    {
        return None;
    }
    let data = match &wire.data {
        RData::CNAME(name) => bare(&name.0.to_ascii()),
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        other => other.to_string(),
    };
    let name = bare(&wire.name.to_ascii());
    let bytes = bytes(&wire.data)?;
    Some(Stored { name, kind, data, ttl: wire.ttl, id: String::new(), ours: false, wire: Json::String(bytes) })
}

/// The value as it stands on the wire.
fn bytes(data: &RData) -> Option<String> {
    let mut out = Vec::new();
    data.emit(&mut BinEncoder::new(&mut out)).ok()?;
    Some(STANDARD.encode(out))
}

/// One update: what must be so, then what is done (RFC 2136 sections 2.4 and 2.5).
pub(super) fn update(zone: &str, changes: &[SetChange<'_>]) -> Option<Message> {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Update);
    message.add_zone(Query::query(full(zone)?, RecordType::SOA));
    for change in changes {
        let name = full(change.name)?;
        for old in &change.before {
            // "RRset exists (value dependent)": all of the set, and with TTL 0.
            message.add_pre_requisite(Wire::from_rdata(name.clone(), 0, old_data(old, change.kind)?));
        }
        if change.before.is_empty() {
            message.add_pre_requisite(nothing(&name, DNSClass::NONE, kind_of(change.kind)));
        }
    }
    // A server passes over a CNAME beside something else, and something else beside a CNAME, in silence.
    for change in changes.iter().filter(|change| adds(change)) {
        let stays = |kind: RecordKind| !changes.iter().any(|other| other.name == change.name && other.kind == kind);
        let others = match change.kind {
            RecordKind::Cname => [RecordKind::A, RecordKind::Aaaa, RecordKind::Txt].as_slice(),
            RecordKind::A | RecordKind::Aaaa | RecordKind::Txt => [RecordKind::Cname].as_slice(),
        };
        for kind in others.iter().filter(|kind| stays(**kind)) {
            message.add_pre_requisite(nothing(&full(change.name)?, DNSClass::NONE, kind_of(*kind)));
        }
    }
    for change in changes {
        removals(&mut message, change)?;
    }
    for change in changes {
        for record in new(change) {
            // A set has one time to live: that of the record that came last.
            message.add_update(Wire::from_rdata(full(change.name)?, change.ttl, new_data(record)?));
        }
    }
    Some(message)
}

fn removals(message: &mut Message, change: &SetChange<'_>) -> Option<()> {
    let kept = |old: &Stored| change.after.iter().any(|value| matches!(value, Value::Kept(kept) if *kept == old));
    for old in change.before.iter().filter(|old| !kept(old)) {
        let mut wire = Wire::from_rdata(full(change.name)?, 0, old_data(old, change.kind)?);
        wire.dns_class = DNSClass::NONE;
        message.add_update(wire);
    }
    Some(())
}

fn new<'a>(change: &'a SetChange<'_>) -> impl Iterator<Item = &'a Record> {
    change.after.iter().filter_map(|value| match value {
        Value::New(record) => Some(*record),
        Value::Kept(_) => None,
    })
}

fn adds(change: &SetChange<'_>) -> bool {
    new(change).next().is_some()
}

/// A record without a value, which stands for its whole set.
fn nothing(name: &Name, class: DNSClass, kind: RecordType) -> Wire {
    let mut record = Wire::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

fn kind_of(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Cname => RecordType::CNAME,
        RecordKind::Txt => RecordType::TXT,
    }
}

fn new_data(record: &Record) -> Option<RData> {
    data(record.kind, &record.data, record.wire.as_ref())
}

fn old_data(old: &Stored, kind: RecordKind) -> Option<RData> {
    data(kind, &old.data, Some(&old.wire))
}

/// A text that was there is made of the strings that it had.
fn data(kind: RecordKind, data: &str, wire: Option<&Json>) -> Option<RData> {
    Some(match kind {
        RecordKind::A => RData::A(A(data.parse().ok()?)),
        RecordKind::Aaaa => RData::AAAA(AAAA(data.parse().ok()?)),
        RecordKind::Cname => RData::CNAME(CNAME(full(data)?)),
        RecordKind::Txt => {
            let known = wire.and_then(Json::as_str).and_then(|bytes| STANDARD.decode(bytes).ok());
            let chunks = || data.as_bytes().chunks(CHUNK).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let strings = known.map_or_else(chunks, |bytes| strings(&bytes));
            RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
        }
    })
}

/// Character-strings: a byte of length before each.
fn strings(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length)).unwrap_or((rest, &[]));
        all.push(string.to_vec());
        bytes = rest;
    }
    all
}
