//! What only a name server of one's own has: keys with few rights, texts of several strings.

use dns::provider::{HttpLimits, Left, Problem};

use crate::{
    bench::{CHALLENGE, HOST, World, cname, owner, request, txt},
    shims::rfc2136::{READER, shim},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_only_look_changes_nothing() {
    let w = World::new(&shim().await).await;
    let credential = serde_json::json!({ "server": "", "key_name": "reader", "secret": READER }).to_string();
    let provider = w.connect(&credential, HttpLimits::default()).unwrap();
    let zone = provider.find_zone(&owner(HOST)).await.unwrap();
    let plan = provider.preview(&zone, &request(&[cname()])).await.unwrap();
    let before = w.server.others(&[]);
    let failed = provider.apply(&zone, &plan).await.unwrap_err();
    assert_eq!((&failed.error.problem, &failed.left), (&Problem::Forbidden, &Left::AsBefore), "{failed:?}");
    assert!(!format!("{failed:?} {provider:?}").contains(READER));
    assert_eq!(w.server.others(&[]), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_several_strings_stay_the_strings_they_were() {
    let w = World::new(&shim().await).await;
    w.server.zone(|zone| zone.seed(CHALLENGE, "TXT", "\"ab\" \"c\"", serde_json::json!({})));
    let before = w.server.others(&[]);
    let applied = w.write(&request(&[txt("cd-verify-1")])).await.unwrap();
    assert!(w.server.others(&[]).iter().any(|line| line.ends_with("\"ab\" \"c\" {}")), "{:#?}", w.server.others(&[]));
    w.provider().restore(&w.zone().await, &applied.undo).await.unwrap();
    // A set has one time to live; the customer's own stood all the while.
    assert_eq!(w.server.others(&[]), before);
}
