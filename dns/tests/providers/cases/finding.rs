//! Zones are found and read.

use dns::provider::Problem;

use crate::{
    bench::{HOST, World, cname, owner, request},
    shim::ZONE,
};

pub(crate) async fn the_zone_with_the_longest_name_is_found(w: World) {
    for name in [ZONE, HOST, "_challenge.a.b.shop.customer.test"] {
        assert_eq!(w.provider().find_zone(&owner(name)).await.unwrap().name, ZONE, "{name}");
    }
}

pub(crate) async fn a_zone_that_merely_ends_alike_is_not_taken(w: World) {
    for name in ["shop.notcustomer.test", "customer.test.other.test"] {
        let error = w.provider().find_zone(&owner(name)).await.unwrap_err();
        assert_eq!(error.problem, Problem::ZoneNotFound, "{name}: {error:?}");
        assert!(error.advice().contains("zone"), "{}", error.advice());
    }
}

pub(crate) async fn every_record_of_a_long_zone_is_read(w: World) {
    w.seeds((0..500).map(|number| (format!("n{number}.customer.test"), "A", "192.0.2.9".to_owned())));
    let zone = w.zone().await;
    let list = w.provider().list(&zone).await.unwrap();
    // Some show the zone's own name servers.
    let list = list.into_iter().filter(|record| record.kind != "NS");
    let mut read: Vec<_> = list.map(|record| (record.name, record.kind)).collect();
    let mut there: Vec<_> = w.server.zone(|z| z.entries.iter().map(|e| (e.name.clone(), e.kind.clone())).collect());
    read.sort();
    there.sort();
    assert_eq!(read, there);
}

pub(crate) async fn the_records_of_the_customer_are_read_as_they_are(w: World) {
    let zone = w.zone().await;
    let list = w.provider().list(&zone).await.unwrap();
    let has =
        |name: &str, kind: &str, data: &str| list.iter().any(|r| r.name == name && r.kind == kind && r.data == data);
    assert!(has("www.customer.test", "CNAME", "customer.test"), "{list:#?}");
    assert!(has("mail.customer.test", "AAAA", "2001:db8::25"), "{list:#?}");
    assert!(has(ZONE, "TXT", "v=spf1 include:_spf.mail.example ~all"), "{list:#?}");
    assert!(has("*.dev.customer.test", "A", "192.0.2.77"), "{list:#?}");
    assert!(list.iter().all(|record| record.ttl >= 60), "{list:#?}");
}

pub(crate) async fn looking_writes_nothing(w: World) {
    w.server.well();
    let plan = w.preview(&request(&[cname()])).await;
    assert_eq!((plan.changes.len(), plan.conflicts.len()), (1, 0));
    assert_eq!(w.server.writes(), 0);
}
