//! Records are written, changed and taken back.

use dns::check::{DesiredRecord, RecordKind};

use crate::{
    bench::{CHALLENGE, EDGE, HOST, World, after, cname, owner, request, txt, want},
    shim::ZONE,
};

pub(crate) async fn a_cname_is_written(w: World) {
    let others = w.server.others(&[HOST]);
    let applied = w.write(&request(&[cname()])).await.unwrap();
    assert_eq!(applied.rounds, 1);
    assert_eq!(w.values(HOST, "CNAME"), [EDGE]);
    assert_eq!(w.server.others(&[HOST]), others);
}

pub(crate) async fn what_is_there_already_costs_no_write(w: World) {
    let wanted = [cname(), txt("cd-verify-1"), want("api.customer.test", RecordKind::A, "192.0.2.5")];
    w.write(&request(&wanted)).await.unwrap();
    w.server.well();
    let applied = w.write(&after(&wanted, &wanted)).await.unwrap();
    assert_eq!((applied.rounds, w.server.writes()), (0, 0));
}

pub(crate) async fn the_way_a_name_is_spelled_makes_no_difference(w: World) {
    w.seed(HOST, "CNAME", "Edge.SaaS.Example");
    let wanted = DesiredRecord { host: owner("SHOP.Customer.TEST."), ..cname() };
    assert_eq!(w.preview(&request(&[wanted])).await.changes, []);
}

pub(crate) async fn addresses_of_both_kinds_are_written(w: World) {
    let wanted = [
        want(HOST, RecordKind::A, "192.0.2.10"),
        want(HOST, RecordKind::A, "192.0.2.11"),
        want(HOST, RecordKind::Aaaa, "2001:db8:0:0::10"),
    ];
    w.write(&request(&wanted)).await.unwrap();
    assert_eq!(w.values(HOST, "A"), ["192.0.2.10", "192.0.2.11"]);
    assert_eq!(w.values(HOST, "AAAA"), ["2001:db8::10"]);
    assert_eq!(w.preview(&request(&wanted)).await.changes, []);
}

pub(crate) async fn texts_are_written_as_they_are(w: World) {
    let mut texts = w.shim.texts();
    let wanted: Vec<_> = texts.iter().map(|text| txt(text)).collect();
    w.write(&request(&wanted)).await.unwrap();
    texts.sort();
    assert_eq!(w.values(CHALLENGE, "TXT"), texts);
    assert_eq!(w.preview(&request(&wanted)).await.changes, []);
}

pub(crate) async fn a_short_time_to_live_is_raised_to_the_floor(w: World) {
    let floor = w.shim.rules().min_ttl.max(1);
    w.write(&request(&[DesiredRecord { ttl: 1, ..cname() }])).await.unwrap();
    let ttl = w.server.zone(|zone| zone.set(HOST, "CNAME")[0].ttl);
    assert!(ttl >= floor && ttl <= floor.max(60), "{ttl}, floor {floor}");
}

pub(crate) async fn a_changed_target_never_leaves_the_name_empty(w: World) {
    w.write(&request(&[cname()])).await.unwrap();
    w.server.zone(|zone| zone.watched = Some(HOST.into()));
    let next = [want(HOST, RecordKind::Cname, "edge2.saas.example")];
    w.write(&after(&[cname()], &next)).await.unwrap();
    assert_eq!(w.values(HOST, "CNAME"), ["edge2.saas.example"]);
    if w.shim.edits() {
        assert_eq!(w.server.zone(|zone| zone.gaps), 0);
    }
}

pub(crate) async fn changed_addresses_never_leave_the_name_empty(w: World) {
    let old = [want(HOST, RecordKind::A, "192.0.2.10"), want(HOST, RecordKind::Aaaa, "2001:db8::10")];
    w.write(&request(&old)).await.unwrap();
    w.server.zone(|zone| zone.watched = Some(HOST.into()));
    let next = [want(HOST, RecordKind::A, "192.0.2.20")];
    w.write(&after(&old, &next)).await.unwrap();
    assert_eq!(w.values(HOST, "A"), ["192.0.2.20"]);
    assert_eq!(w.values(HOST, "AAAA"), [""; 0]);
    assert_eq!(w.server.zone(|zone| zone.gaps), 0);
}

pub(crate) async fn addresses_become_a_cname_and_addresses_again(w: World) {
    let addresses = [want(HOST, RecordKind::A, "192.0.2.10"), want(HOST, RecordKind::A, "192.0.2.11")];
    w.write(&request(&addresses)).await.unwrap();
    w.write(&after(&addresses, &[cname()])).await.unwrap();
    assert_eq!((w.values(HOST, "A").len(), w.values(HOST, "CNAME")), (0, vec![EDGE.to_owned()]));
    w.write(&after(&[cname()], &addresses)).await.unwrap();
    assert_eq!((w.values(HOST, "A").len(), w.values(HOST, "CNAME").len()), (2, 0));
}

pub(crate) async fn a_finished_plan_can_be_taken_back(w: World) {
    w.seed(HOST, "A", "203.0.113.7");
    w.seed(CHALLENGE, "TXT", "of-someone-else");
    let before = w.server.others(&[]);
    let wanted = [cname(), txt("cd-verify-1"), want(ZONE, RecordKind::Txt, "cd-top")];
    let applied = w.write(&request(&wanted)).await.unwrap();
    assert_ne!(w.server.others(&[]), before);
    w.provider().restore(&w.zone().await, &applied.undo).await.unwrap();
    assert_eq!(w.server.others(&[]), before);
}
