//! [`plan()`]: what has to change, decided from three lists and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    conflict::{Conflict, Obstacle},
    record::{Record, Stored, Zone, routes, same, written_kind},
};
use crate::check::{DesiredRecord, RecordKind};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What the zone should hold.
    pub desired: Vec<DesiredRecord>,
    /// What we wrote before, or were about to: removed when it is there and no longer desired.
    pub written: Vec<Written>,
}

/// A record of ours from an earlier plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its full name, in lower case and without the final dot.
    pub name: String,
    /// Its type.
    pub kind: RecordKind,
    /// Its value as [`Record::data`] has it.
    pub data: String,
}

/// What will be done, to be shown first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What it was made from; a retry plans from this again.
    pub request: Request,
    /// The sets that change, ordered by name. Empty: the zone is as it should be.
    pub changes: Vec<Change>,
    /// Why it cannot be done. Not empty: nothing will be written.
    pub conflicts: Vec<Conflict>,
}

/// One record set's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The set's name.
    pub name: String,
    /// Its type.
    pub kind: RecordKind,
    /// Written anew.
    pub add: Vec<Record>,
    /// Removed.
    pub remove: Vec<Stored>,
    /// Left as they are.
    pub keep: Vec<Stored>,
}

impl Plan {
    /// Records that will be removed though we did not write them: the customer's former site.
    pub fn displaced(&self) -> impl Iterator<Item = &Stored> {
        self.changes.iter().flat_map(|change| &change.remove).filter(|record| !is_ours(record, &self.request.written))
    }

    /// Whether carrying it out would remove something that `shown` did not announce.
    pub(crate) fn exceeds(&self, shown: &Self) -> bool {
        self.displaced().any(|record| !shown.displaced().any(|known| same(known, record)))
    }
}

fn is_ours(record: &Stored, written: &[Written]) -> bool {
    let known =
        |ours: &Written| ours.name == record.name && ours.kind.as_str() == record.kind && ours.data == record.data;
    record.ours || written.iter().any(known)
}

/// Compares what is desired with what is there.
///
/// Pure and total: the same three lists give the same plan, and a zone in which the plan was carried out gives an empty
/// one.
pub fn plan(zone: &Zone, request: &Request, existing: &[Stored]) -> Plan {
    let desired: Vec<_> = request.desired.iter().map(|desired| Record::from_desired(desired, zone)).collect();
    let names: BTreeSet<&str> = desired.iter().map(|record| record.name.as_str()).collect();
    let written = request.written.iter().map(|record| record.name.as_str());
    let touched: BTreeSet<&str> = names.iter().copied().chain(written).collect();
    let mut at: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    for record in existing {
        if touched.contains(record.name.as_str()) {
            at.entry(&record.name).or_default().push(record);
        }
    }
    let mut plan = Plan { request: request.clone(), ..Plan::default() };
    for name in touched {
        let wanted: Vec<_> = desired.iter().filter(|record| record.name == name).collect();
        let there = at.get(name).map(Vec::as_slice).unwrap_or_default();
        let changes = changes_at(name, &wanted, there, &request.written);
        plan.conflicts.extend(conflict_at(zone, name, &wanted, there, &changes));
        plan.changes.extend(changes);
    }
    plan
}

/// The changes of the sets at one name.
fn changes_at(name: &str, wanted: &[&Record], there: &[&Stored], written: &[Written]) -> Vec<Change> {
    let routed = wanted.iter().any(|record| routes(record.kind));
    let goes = |record: &Stored, kind: RecordKind| {
        let desired = wanted.iter().any(|wanted| record.is(wanted));
        !desired && (is_ours(record, written) || (routed && routes(kind)))
    };
    let change = |kind: RecordKind| {
        let set = there.iter().filter(|record| record.kind == kind.as_str());
        let (remove, keep): (Vec<_>, Vec<_>) =
            set.map(|record| (*record).clone()).partition(|record| goes(record, kind));
        let mut add: Vec<Record> = Vec::new();
        for record in wanted.iter().filter(|record| record.kind == kind) {
            if !keep.iter().any(|kept| kept.is(record)) && !add.iter().any(|added| added.data == record.data) {
                add.push((*record).clone());
            }
        }
        Change { name: name.to_owned(), kind, add, remove, keep }
    };
    let all = [RecordKind::A, RecordKind::Aaaa, RecordKind::Cname, RecordKind::Txt].map(change);
    all.into_iter().filter(|change| !change.add.is_empty() || !change.remove.is_empty()).collect()
}

/// What forbids them.
fn conflict_at(zone: &Zone, name: &str, wanted: &[&Record], there: &[&Stored], changes: &[Change]) -> Option<Conflict> {
    let first = wanted.first()?;
    let conflict =
        |kind: RecordKind, obstacle| Some(Conflict { name: name.to_owned(), wanted: kind.as_str(), obstacle });
    if !zone.holds(name) {
        return conflict(first.kind, Obstacle::Outside);
    }
    let top = name == zone.name;
    let alias = wanted.iter().find(|record| record.kind == RecordKind::Cname);
    if alias.is_some() && top && !zone.flattens_apex {
        return conflict(RecordKind::Cname, Obstacle::Apex);
    }
    if alias.is_some() && wanted.len() > 1 && !top {
        return conflict(RecordKind::Cname, Obstacle::Itself);
    }
    let removed = |record: &Stored| changes.iter().flat_map(|change| &change.remove).any(|gone| same(gone, record));
    let stays: Vec<&Stored> = there.iter().copied().filter(|record| !removed(record)).collect();
    if !top && stays.iter().any(|record| record.kind == "NS") {
        return conflict(first.kind, Obstacle::Delegated);
    }
    let in_the_way = |record: &&&Stored| {
        let met = wanted.iter().any(|wanted| record.is(wanted));
        !met && match written_kind(&record.kind) {
            Some(RecordKind::Cname) => true,
            // A flattened CNAME at the top stands beside mail and the rest.
            Some(RecordKind::A | RecordKind::Aaaa | RecordKind::Txt) => alias.is_some() && !top,
            None => (alias.is_some() && !top) || own_routing(&record.kind),
        }
    };
    let kinds: BTreeSet<String> = stays.iter().filter(in_the_way).map(|record| record.kind.clone()).collect();
    let routing = wanted.iter().any(|record| routes(record.kind));
    let kinds: Vec<_> = kinds.into_iter().filter(|kind| routing || !own_routing(kind)).collect();
    if kinds.is_empty() { None } else { conflict(alias.unwrap_or(first).kind, Obstacle::Other { kinds }) }
}

/// Types of single providers that lead visitors as a CNAME does. They cannot be put back as they were, so they are never
/// removed.
fn own_routing(kind: &str) -> bool {
    ["ALIAS", "ANAME", "NETLIFY", "NETLIFYV6", "FRAME", "POLICY", "REDIRECT", "URL", "URL301", "WORKER"].contains(&kind)
}

/// What leads back from `now` to the sets of `before`, both restricted to the names of `done`.
pub(crate) fn back(done: &[Change], before: &[Stored], now: &[Stored]) -> Vec<Change> {
    let adds = |record: &Stored| done.iter().flat_map(|change| &change.add).any(|added| record.is(added));
    let mut changes = Vec::new();
    for change in done {
        let of_set = |record: &&Stored| record.name == change.name && record.kind == change.kind.as_str();
        let were: Vec<_> = before.iter().filter(of_set).collect();
        let (keep, remove): (Vec<_>, Vec<_>) = now
            .iter()
            .filter(of_set)
            .cloned()
            .partition(|record| were.iter().any(|old| same(old, record)) || !adds(record));
        let missing = were.iter().filter(|old| !keep.iter().any(|kept| same(kept, old)));
        let add: Vec<_> = missing.filter_map(|old| Record::again(old)).collect();
        if !add.is_empty() || !remove.is_empty() {
            changes.push(Change { name: change.name.clone(), kind: change.kind, add, remove, keep });
        }
    }
    changes
}

impl Plan {
    /// Whether the record is at one of the plan's names.
    pub(crate) fn concerns(&self, record: &Stored) -> bool {
        self.changes.iter().any(|change| change.name == record.name)
    }
}

#[cfg(test)]
mod tests;
