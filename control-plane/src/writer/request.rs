//! What is asked of the engine, and what of it goes into the ledger.

use dns::{
    check::{DesiredRecord, RecordKind, RecordValue},
    provider::{Plan, Record, Request, Undo, Written},
};

use crate::{
    checks,
    core::{WriteOrder, WrittenRecord, sha256},
};

/// Time to live of the challenge: it is read once or twice.
const CHALLENGE_TTL: u32 = 300;

/// The records that lead visitors, texts, and the challenge; mail is no business of ours.
pub(super) fn request(order: &WriteOrder) -> Request {
    let web = order.connection.records.iter().filter_map(checks::desired);
    let challenge = order.challenge().and_then(|proof| {
        let value = RecordValue::parse(RecordKind::Txt, &proof.expected).ok()?;
        Some(DesiredRecord { host: proof.name.parse().ok()?, value, ttl: CHALLENGE_TTL })
    });
    Request { desired: web.chain(challenge).collect(), written: order.written.iter().filter_map(of_ledger).collect() }
}

fn of_ledger(record: &WrittenRecord) -> Option<Written> {
    let kinds = [RecordKind::A, RecordKind::Aaaa, RecordKind::Cname, RecordKind::Txt];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == record.record_type)?;
    Some(Written { name: record.name.clone(), kind, data: record.value.clone() })
}

/// A record of a plan as the ledger has it.
pub(super) fn written(record: &Record) -> WrittenRecord {
    let (name, record_type) = (record.name.clone(), record.kind.as_str().to_owned());
    WrittenRecord { name, record_type, value: record.data.clone() }
}

/// A desired record as the ledger has it.
pub(super) fn desired(record: &DesiredRecord) -> WrittenRecord {
    let (name, record_type) = (record.host.to_string(), record.value.kind().as_str().to_owned());
    WrittenRecord { name, record_type, value: record.value.to_string() }
}

/// Whether an earlier run was about to add this record.
pub(super) fn adds(undo: &Undo, record: &WrittenRecord) -> bool {
    undo.adds().any(|added| written(added) == *record)
}

/// Stands for exactly these records that are not ours; `None` when there are none.
pub fn mark(plan: &Plan) -> Option<String> {
    let mut all: Vec<_> = plan.displaced().map(|old| format!("{} {} {}\n", old.name, old.kind, old.data)).collect();
    all.sort();
    let hash = (!all.is_empty()).then(|| sha256(&all.concat()))?;
    Some(hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
