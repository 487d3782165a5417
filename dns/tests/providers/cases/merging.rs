//! What is not ours stays.

use dns::check::RecordKind;

use crate::{
    bench::{CHALLENGE, EDGE, HOST, World, after, cname, request, txt, want},
    shim::ZONE,
};

pub(crate) async fn texts_of_others_in_the_same_set_stay_byte_for_byte(w: World) {
    w.seed(CHALLENGE, "TXT", "of-someone-else=1");
    let top = || w.server.zone(|z| z.set(CHALLENGE, "TXT").iter().map(|e| e.data.clone()).collect::<Vec<_>>());
    let (before, rest) = (top(), w.server.others(&[CHALLENGE]));
    w.write(&request(&[txt("cd-verify-1")])).await.unwrap();
    assert_eq!(w.values(CHALLENGE, "TXT"), ["cd-verify-1", "of-someone-else=1"]);
    w.write(&after(&[txt("cd-verify-1")], &[txt("cd-verify-2")])).await.unwrap();
    assert_eq!(w.values(CHALLENGE, "TXT"), ["cd-verify-2", "of-someone-else=1"]);
    w.write(&after(&[txt("cd-verify-2")], &[])).await.unwrap();
    assert_eq!((top(), w.server.others(&[CHALLENGE])), (before, rest));
}

pub(crate) async fn the_former_site_is_announced_and_replaced(w: World) {
    w.seed(HOST, "A", "203.0.113.7");
    w.seed(HOST, "A", "203.0.113.8");
    w.seed(HOST, "AAAA", "2001:db8::7");
    let wanted = [want(HOST, RecordKind::A, "192.0.2.10")];
    let plan = w.preview(&request(&wanted)).await;
    let mut displaced: Vec<_> = plan.displaced().map(|record| record.data.clone()).collect();
    displaced.sort();
    assert_eq!(displaced, ["2001:db8::7", "203.0.113.7", "203.0.113.8"]);
    let others = w.server.others(&[HOST]);
    w.provider().apply(&w.zone().await, &plan).await.unwrap();
    assert_eq!((w.values(HOST, "A"), w.values(HOST, "AAAA").len()), (vec!["192.0.2.10".to_owned()], 0));
    assert_eq!(w.server.others(&[HOST]), others);
}

pub(crate) async fn addresses_at_the_top_leave_mail_alone(w: World) {
    let wanted = [want(ZONE, RecordKind::A, "192.0.2.10"), want(ZONE, RecordKind::Txt, "cd-verify-top")];
    let kept = |w: &World| {
        let all = w.server.others(&[]);
        all.into_iter().filter(|line| !line.contains(" A ") && !line.contains("cd-verify-top")).collect::<Vec<_>>()
    };
    let before = kept(&w);
    w.write(&request(&wanted)).await.unwrap();
    assert_eq!(w.values(ZONE, "A"), ["192.0.2.10"]);
    assert_eq!(kept(&w), before);
    assert_eq!(w.values(ZONE, "TXT").len(), 3);
}

pub(crate) async fn only_our_own_records_are_removed(w: World) {
    let before = w.server.others(&[]);
    let ours = [cname(), txt("cd-verify-1"), want(ZONE, RecordKind::Txt, "cd-top")];
    w.write(&request(&ours)).await.unwrap();
    assert_eq!(w.values(HOST, "CNAME"), [EDGE]);
    let applied = w.write(&after(&ours, &[])).await.unwrap();
    assert_eq!(applied.rounds, 1);
    assert_eq!(w.server.others(&[]), before);
}

pub(crate) async fn removing_what_is_gone_is_no_error(w: World) {
    w.server.well();
    let applied = w.write(&after(&[cname(), txt("cd-verify-1")], &[])).await.unwrap();
    assert_eq!((applied.rounds, w.server.writes()), (0, 0));
}

pub(crate) async fn several_names_change_in_one_plan(w: World) {
    w.seed("b.customer.test", "A", "203.0.113.7");
    let wanted = [
        want("a.customer.test", RecordKind::Cname, EDGE),
        want("b.customer.test", RecordKind::Cname, EDGE),
        want("c.customer.test", RecordKind::A, "192.0.2.10"),
        txt("cd-verify-1"),
        txt("cd-verify-2"),
    ];
    let names = ["a.customer.test", "b.customer.test", "c.customer.test", CHALLENGE];
    let others = w.server.others(&names);
    w.write(&request(&wanted)).await.unwrap();
    assert_eq!(w.values("a.customer.test", "CNAME"), [EDGE]);
    assert_eq!(
        (w.values("b.customer.test", "CNAME"), w.values("b.customer.test", "A").len()),
        (vec![EDGE.to_owned()], 0)
    );
    assert_eq!(w.values("c.customer.test", "A"), ["192.0.2.10"]);
    assert_eq!(w.values(CHALLENGE, "TXT"), ["cd-verify-1", "cd-verify-2"]);
    assert_eq!(w.server.others(&names), others);
}
