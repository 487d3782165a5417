//! The DNS server that Pebble's tests run on: another implementation than ours.

use dns::{
    Answer, Authority, Limits, Metrics, Reason, Resolvers, ResolversConfig, Server,
    check::{RecordKind, check_ownership, check_records},
    merge::Verdict,
};
use prometheus::Registry;
use test_support::{Loopback, Pebble, PebbleOptions};

use crate::scene::{desired, owner};

#[tokio::test]
async fn checks_work_against_pebbles_dns_server() {
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let dns = pebble.dns();
    let config = ResolversConfig {
        servers: vec![Server::new(dns.address())],
        authority: Authority::Skip,
        limits: Limits::default(),
    };
    let resolvers = Resolvers::new(config, Metrics::new(&Registry::new()).unwrap()).unwrap();

    dns.set_txt("_c.shop.test", "cd-verify-1").await;
    assert!(check_ownership(&resolvers, &owner("_c.shop.test"), "cd-verify-1").await.is_proven());
    assert!(!check_ownership(&resolvers, &owner("_c.shop.test"), "cd-verify-2").await.is_proven());

    dns.set_cname("shop.test", "edge.saas.test").await;
    let records = [desired("shop.test", RecordKind::Cname, "edge.saas.test")];
    let seen = check_records(&resolvers, &records).await;
    assert_eq!(seen[0].state, Verdict::Present { everywhere: true }, "{seen:?}");

    dns.set_caa("shop2.test", "issue", "pebble.test").await;
    let (at, caa) = match resolvers.caa(&owner("a.b.shop2.test")).await {
        Answer::Present(found) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!((at, caa[0].value.as_str()), (owner("shop2.test"), "pebble.test"));

    dns.servfail("down.test").await;
    assert_eq!(resolvers.txt(&owner("down.test")).await, Answer::Indeterminate(Reason::ServFail));
}
