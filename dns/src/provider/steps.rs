//! The steps of a plan: its changes in the order and shape in which a family takes them.

use super::{
    adapter::{Records, SetChange, Sets, Value, Whole, Writes},
    error::{Problem, ProviderError},
    plan::Change,
    record::{Record, Stored, Zone},
};
use crate::check::RecordKind;

/// One call on single records.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Create(&'a Record),
    Delete(&'a Stored),
    Replace(&'a Stored, &'a Record),
}

/// Carries out changes. The first failure ends it.
pub(crate) async fn run(
    writes: Writes<'_>,
    zone: &Zone,
    changes: &[Change],
    existing: &[Stored],
) -> Result<(), ProviderError> {
    let ran = match writes {
        Writes::Records(records) => run_records(records, zone, changes).await,
        Writes::Sets(sets) => run_sets(sets, zone, changes).await,
        Writes::Whole(whole) => run_whole(whole, zone, changes, existing).await,
    };
    ran.map_err(|error| match error.problem {
        // The zone was there a moment ago, so it is the record that is not: somebody was faster. Look again.
        Problem::ZoneNotFound => ProviderError { problem: Problem::Transient("the record is gone"), ..error },
        _ => error,
    })
}

async fn run_records(records: &dyn Records, zone: &Zone, changes: &[Change]) -> Result<(), ProviderError> {
    for step in record_steps(changes, records.edits()) {
        match step {
            Step::Create(record) => records.create(zone, record).await?,
            Step::Delete(old) => records.delete(zone, old).await?,
            Step::Replace(old, new) => records.replace(zone, old, new).await?,
        }
    }
    Ok(())
}

/// Create before delete, name by name; what excludes the new record goes first.
fn record_steps(changes: &[Change], edits: bool) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for group in changes.chunk_by(|one, other| one.name == other.name) {
        let (mut first, mut then, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for change in group {
            let paired = if edits { change.add.len().min(change.remove.len()) } else { 0 };
            then.extend(change.remove.iter().zip(&change.add).take(paired).map(|(old, new)| Step::Replace(old, new)));
            then.extend(change.add.iter().skip(paired).map(Step::Create));
            let deletes = change.remove.iter().skip(paired).map(Step::Delete);
            if excludes(change.kind, group) { first.extend(deletes) } else { last.extend(deletes) }
        }
        steps.extend(first.into_iter().chain(then).chain(last));
    }
    steps
}

/// Whether records of this type cannot stand beside what the group adds (RFC 1034 section 3.6.2).
fn excludes(kind: RecordKind, group: &[Change]) -> bool {
    let adds =
        |change: &Change| !change.add.is_empty() && (kind == RecordKind::Cname || change.kind == RecordKind::Cname);
    group.iter().any(adds)
}

async fn run_sets(sets: &dyn Sets, zone: &Zone, changes: &[Change]) -> Result<(), ProviderError> {
    let mut ordered: Vec<SetChange<'_>> = Vec::with_capacity(changes.len());
    for group in changes.chunk_by(|one, other| one.name == other.name) {
        let (first, last): (Vec<_>, Vec<_>) =
            group.iter().map(set_change).partition(|set| set.after.is_empty() && excludes(set.kind, group));
        let (removed, written): (Vec<_>, Vec<_>) = last.into_iter().partition(|set| set.after.is_empty());
        ordered.extend(first.into_iter().chain(written).chain(removed));
    }
    let at_once = if sets.atomic() { ordered.len().max(1) } else { 1 };
    for part in ordered.chunks(at_once) {
        sets.write(zone, part).await?;
    }
    Ok(())
}

fn set_change(change: &Change) -> SetChange<'_> {
    let kept = change.keep.iter().map(Value::Kept);
    let added = change.add.iter().map(Value::New);
    SetChange {
        name: &change.name,
        kind: change.kind,
        // A set has one time to live: that of what is kept, so that the customer's own choice stands.
        ttl: change.keep.first().map(|kept| kept.ttl).or_else(|| change.add.first().map(|new| new.ttl)).unwrap_or(0),
        before: change.keep.iter().chain(&change.remove).collect(),
        after: kept.chain(added).collect(),
    }
}

async fn run_whole(
    whole: &dyn Whole,
    zone: &Zone,
    changes: &[Change],
    existing: &[Stored],
) -> Result<(), ProviderError> {
    let removed = |record: &Stored| changes.iter().flat_map(|change| &change.remove).any(|gone| gone == record);
    let kept = existing.iter().filter(|record| !removed(record)).map(Value::Kept);
    let added = changes.iter().flat_map(|change| &change.add).map(Value::New);
    let all: Vec<_> = kept.chain(added).collect();
    whole.write(zone, &all).await
}
