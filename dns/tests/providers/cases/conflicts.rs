//! What cannot stand together is said, not forced.

use dns::{
    check::RecordKind,
    provider::{Left, Obstacle, Problem},
};

use crate::{
    bench::{CHALLENGE, EDGE, HOST, World, cname, request, txt, want},
    shim::ZONE,
};

/// The plan says so and applying it writes nothing.
async fn refused(w: &World, wanted: &[dns::check::DesiredRecord], obstacle: &Obstacle) {
    let plan = w.preview(&request(wanted)).await;
    assert_eq!(plan.conflicts.first().map(|conflict| &conflict.obstacle), Some(obstacle), "{:#?}", plan.conflicts);
    assert!(plan.conflicts[0].explain().contains(&plan.conflicts[0].name));
    let before = w.server.others(&[]);
    w.server.well();
    let failed = w.provider().apply(&w.zone().await, &plan).await.unwrap_err();
    assert_eq!((failed.error.problem, failed.left), (Problem::Conflict, Left::AsBefore));
    assert_eq!((w.server.writes(), w.server.others(&[])), (0, before));
}

pub(crate) async fn a_cname_beside_mail_is_refused_before_anything_is_written(w: World) {
    w.seed(HOST, "MX", "10 mail.customer.test.");
    refused(&w, &[cname(), txt("cd-verify-1")], &Obstacle::Other { kinds: vec!["MX".into()] }).await;
}

pub(crate) async fn a_cname_at_the_top_is_flattened_or_refused(w: World) {
    let wanted = [want(ZONE, RecordKind::Cname, EDGE)];
    if !w.shim.rules().flattens_apex {
        return refused(&w, &wanted, &Obstacle::Apex).await;
    }
    w.write(&request(&wanted)).await.unwrap();
    assert_eq!((w.values(ZONE, "CNAME"), w.values(ZONE, "A").len()), (vec![EDGE.to_owned()], 0));
    assert_eq!((w.values(ZONE, "MX").len(), w.values(ZONE, "TXT").len()), (1, 2));
}

pub(crate) async fn a_delegated_name_is_refused(w: World) {
    w.seed(HOST, "NS", "ns1.elsewhere.example.");
    refused(&w, &[want(HOST, RecordKind::A, "192.0.2.10")], &Obstacle::Delegated).await;
}

pub(crate) async fn a_text_beside_the_customers_cname_is_refused(w: World) {
    w.seed(CHALLENGE, "CNAME", "challenge.elsewhere.example");
    refused(&w, &[txt("cd-verify-1")], &Obstacle::Other { kinds: vec!["CNAME".into()] }).await;
}

pub(crate) async fn a_zone_that_changed_since_the_preview_is_looked_at_again(w: World) {
    let plan = w.preview(&request(&[cname()])).await;
    assert_eq!(plan.displaced().count(), 0);
    w.seed(HOST, "A", "203.0.113.7");
    w.server.well();
    let failed = w.provider().apply(&w.zone().await, &plan).await.unwrap_err();
    assert_eq!((failed.error.problem, failed.left), (Problem::Changed, Left::AsBefore));
    assert_eq!((w.server.writes(), w.values(HOST, "A")), (0, vec!["203.0.113.7".to_owned()]));
}

pub(crate) async fn a_record_that_came_between_look_and_write_ends_it(w: World) {
    let data = w.shim.encode("A", "203.0.113.7");
    let mut came = false;
    let provider = w.provider();
    let (zone, plan) = (w.zone().await, w.preview(&request(&[cname()])).await);
    w.server.faults(move |seen| {
        if seen.writes && !std::mem::replace(&mut came, true) {
            seen.zone.seed(HOST, "A", &data, serde_json::json!({}));
        }
        None
    });
    let failed = provider.apply(&zone, &plan).await.unwrap_err();
    let problem = &failed.error.problem;
    assert!(matches!(problem, Problem::Conflict | Problem::Changed | Problem::Invalid), "{failed:?}");
    assert_eq!(w.values(HOST, "A"), ["203.0.113.7"]);
    assert_eq!(w.values(HOST, "CNAME"), [""; 0]);
}
