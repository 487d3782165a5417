//! Plans, without a provider.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::check::RecordValue;

fn zone() -> Zone {
    Zone { id: "1".into(), name: "c.test".into(), min_ttl: 60, flattens_apex: false }
}

fn want(name: &str, kind: RecordKind, data: &str) -> DesiredRecord {
    DesiredRecord { host: name.parse().unwrap(), value: RecordValue::parse(kind, data).unwrap(), ttl: 300 }
}

fn there(name: &str, kind: &str, data: &str) -> Stored {
    Stored {
        name: name.into(),
        kind: kind.into(),
        data: data.into(),
        ttl: 3600,
        id: format!("{name}/{kind}/{data}"),
        ours: false,
        wire: Json::Null,
    }
}

fn request(desired: Vec<DesiredRecord>) -> Request {
    Request { desired, written: Vec::new() }
}

/// `+` for what is added, `-` for what is removed.
fn shown(plan: &Plan) -> Vec<String> {
    let of = |change: &Change| {
        let removed = change.remove.iter().map(|old| format!("-{} {} {}", old.name, old.kind, old.data));
        let added = change.add.iter().map(|new| format!("+{} {} {}", new.name, new.kind.as_str(), new.data));
        removed.chain(added).collect::<Vec<_>>()
    };
    plan.changes.iter().flat_map(of).collect()
}

#[test]
fn an_empty_zone_gets_what_is_desired_and_a_full_one_nothing() {
    let wanted = request(vec![want("s.c.test", RecordKind::Cname, "e.test")]);
    assert_eq!(shown(&plan(&zone(), &wanted, &[])), ["+s.c.test CNAME e.test"]);
    let plan = plan(&zone(), &wanted, &[there("s.c.test", "CNAME", "e.test"), there("x.c.test", "A", "192.0.2.1")]);
    assert_eq!((shown(&plan).len(), plan.conflicts.len()), (0, 0));
}

#[test]
fn a_routed_name_leads_where_it_should_and_nowhere_else() {
    let old = [there("s.c.test", "A", "192.0.2.1"), there("s.c.test", "AAAA", "2001:db8::1")];
    let plan = plan(&zone(), &request(vec![want("s.c.test", RecordKind::A, "192.0.2.9")]), &old);
    assert_eq!(shown(&plan), ["-s.c.test A 192.0.2.1", "+s.c.test A 192.0.2.9", "-s.c.test AAAA 2001:db8::1"]);
    assert_eq!(plan.displaced().count(), 2);
}

#[test]
fn a_text_joins_the_set_and_only_ours_leaves_it() {
    let old =
        [there("c.test", "TXT", "v=spf1 -all"), there("c.test", "TXT", "cd-1"), there("c.test", "A", "192.0.2.1")];
    let written = vec![Written { name: "c.test".into(), kind: RecordKind::Txt, data: "cd-1".into() }];
    let wanted = Request { desired: vec![want("c.test", RecordKind::Txt, "cd-2")], written };
    let plan = plan(&zone(), &wanted, &old);
    assert_eq!(shown(&plan), ["-c.test TXT cd-1", "+c.test TXT cd-2"]);
    assert_eq!((plan.displaced().count(), plan.changes[0].keep.len()), (0, 1));
}

#[test]
fn a_record_with_our_mark_is_no_strangers() {
    let old = [Stored { ours: true, ..there("s.c.test", "CNAME", "old.test") }];
    let plan = plan(&zone(), &request(vec![want("s.c.test", RecordKind::Cname, "e.test")]), &old);
    assert_eq!((shown(&plan).len(), plan.displaced().count()), (2, 0));
}

#[test]
fn what_cannot_stand_together_is_a_conflict() {
    let cname = || want("s.c.test", RecordKind::Cname, "e.test");
    let obstacle = |desired: Vec<DesiredRecord>, old: &[Stored]| {
        plan(&zone(), &request(desired), old).conflicts.into_iter().map(|conflict| conflict.obstacle).next()
    };
    let other = |kind: &str| Some(Obstacle::Other { kinds: vec![kind.into()] });
    assert_eq!(obstacle(vec![cname()], &[there("s.c.test", "MX", "10 m")]), other("MX"));
    assert_eq!(obstacle(vec![cname()], &[there("s.c.test", "TXT", "x")]), other("TXT"));
    assert_eq!(obstacle(vec![cname()], &[there("s.c.test", "ALIAS", "x")]), other("ALIAS"));
    assert_eq!(
        obstacle(vec![want("s.c.test", RecordKind::A, "192.0.2.1")], &[there("s.c.test", "ALIAS", "x")]),
        other("ALIAS")
    );
    assert_eq!(
        obstacle(vec![want("s.c.test", RecordKind::Txt, "t")], &[there("s.c.test", "CNAME", "x")]),
        other("CNAME")
    );
    assert_eq!(obstacle(vec![want("s.c.test", RecordKind::Txt, "t")], &[there("s.c.test", "ALIAS", "x")]), None);
    assert_eq!(obstacle(vec![cname()], &[there("s.c.test", "NS", "n")]), Some(Obstacle::Delegated));
    assert_eq!(obstacle(vec![want("c.test", RecordKind::Cname, "e.test")], &[]), Some(Obstacle::Apex));
    assert_eq!(obstacle(vec![want("d.test", RecordKind::A, "192.0.2.1")], &[]), Some(Obstacle::Outside));
    assert_eq!(obstacle(vec![cname(), want("s.c.test", RecordKind::Txt, "t")], &[]), Some(Obstacle::Itself));
}

#[test]
fn a_second_look_that_would_displace_more_exceeds_the_first() {
    let wanted = request(vec![want("s.c.test", RecordKind::A, "192.0.2.9")]);
    let shown = plan(&zone(), &wanted, &[there("s.c.test", "A", "192.0.2.1")]);
    let same = plan(&zone(), &wanted, &[there("s.c.test", "A", "192.0.2.1"), there("s.c.test", "A", "192.0.2.9")]);
    let more = plan(&zone(), &wanted, &[there("s.c.test", "A", "192.0.2.1"), there("s.c.test", "A", "192.0.2.2")]);
    assert!(!same.exceeds(&shown) && more.exceeds(&shown));
}

/// A zone in which the changes have happened.
fn carried_out(zone: &[Stored], changes: &[Change]) -> Vec<Stored> {
    let gone = |record: &&Stored| !changes.iter().any(|change| change.remove.contains(record));
    let added = changes.iter().flat_map(|change| &change.add);
    let added = added.map(|new| there(&new.name, new.kind.as_str(), &new.data));
    zone.iter().filter(gone).cloned().chain(added).collect()
}

fn sorted(mut zone: Vec<Stored>) -> Vec<String> {
    zone.sort_by(|one, other| one.id.cmp(&other.id));
    zone.iter().map(|record| record.id.clone()).collect()
}

prop_compose! {
    fn any_record()(name in 0..3_usize, kind in 0..4_usize, value in 1..6_u8) -> (&'static str, &'static str, String) {
        let name = ["c.test", "s.c.test", "t.c.test"][name];
        match kind {
            0 => (name, "A", format!("192.0.2.{value}")),
            1 => (name, "TXT", format!("text {value}")),
            2 => (name, "MX", format!("{value} mail.test")),
            _ => (name, "AAAA", format!("2001:db8::{value}")),
        }
    }
}

proptest! {
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do_and_leads_back(
        old in prop::collection::vec(any_record(), 0..12),
        new in prop::collection::vec(any_record(), 0..6),
        ours in prop::collection::vec(any_record(), 0..6),
    ) {
        let mut existing: Vec<_> = old.iter().map(|(name, kind, data)| there(name, kind, data)).collect();
        existing.sort_by(|one, other| one.id.cmp(&other.id));
        existing.dedup();
        let of = |kind: &str| written_kind(kind);
        let desired = new.iter().filter_map(|(name, kind, data)| Some(want(name, of(kind)?, data))).collect();
        let written = ours.iter().filter_map(|(name, kind, data)| {
            Some(Written { name: (*name).to_owned(), kind: of(kind)?, data: data.clone() })
        });
        let wanted = Request { desired, written: written.collect() };
        let first = plan(&zone(), &wanted, &existing);
        let after = carried_out(&existing, &first.changes);
        prop_assert_eq!(shown(&plan(&zone(), &wanted, &after)), Vec::<String>::new());
        prop_assert_eq!(existing.iter().filter(|r| r.kind == "MX").count(), after.iter().filter(|r| r.kind == "MX").count());
        let again = carried_out(&after, &back(&first.changes, &existing, &after));
        prop_assert_eq!(sorted(again), sorted(existing));
    }
}
