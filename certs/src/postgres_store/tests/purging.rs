use names::Tenant;

use super::*;
use crate::Leaving;

fn tenant(text: &str) -> Tenant {
    text.parse().unwrap()
}

fn of(text: &str, bundle: Bundle) -> Bundle {
    bundle.of(Some(&tenant(text)))
}

#[tokio::test]
async fn what_is_another_tenants_goes_and_the_rest_stays() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    store.save(&name(A), &of("old", by("one", bundle(A)))).await.unwrap();
    store.save(&name(A), &of("new", by("two", bundle(A)))).await.unwrap();
    store.save(&name(A), &by("three", bundle(A))).await.unwrap();
    store.save(&name("b.example.com"), &of("old", bundle("b.example.com"))).await.unwrap();
    let left = || bench.psql("SELECT string_agg(issuer, ' ' ORDER BY seq) FROM namegate_edge.certificates");
    assert_eq!(store.purge(&name(A), &Leaving::Others(tenant("new"))).await.unwrap(), 1);
    assert_eq!(left(), "two three ca.test-directory");
    assert_eq!(store.purge(&name(A), &Leaving::OthersAndUnknown(tenant("new"))).await.unwrap(), 1);
    assert_eq!(left(), "two ca.test-directory");
    assert_eq!(store.purge(&name(A), &Leaving::All).await.unwrap(), 1);
    assert_eq!(left(), "ca.test-directory", "another name's stays");
}

/// The new tenant's certificate, and nothing that was known about the old one's.
#[tokio::test]
async fn a_certificate_that_is_replaced_leaves_its_tenant_and_issuer_behind_and_nothing_else() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    store.save(&name(A), &of("old", bundle(A))).await.unwrap();
    let more = r#"{"issuer_data": {"url": "x"}, "from_caddy": 1}"#;
    bench.psql(&format!("UPDATE namegate_edge.certificates SET meta = meta || '{more}'"));
    let fresh = Bundle { meta: serde_json::json!({}), ..bundle(A) };
    store.save(&name(A), &fresh).await.unwrap();
    let kept = store.load(&name(A)).await.unwrap().unwrap();
    assert_eq!((kept.tenant(), kept.meta.get("issuer_data")), (None, None));
    assert_eq!(kept.meta.get("from_caddy"), Some(&1.into()), "what others keep there stays");
}

#[tokio::test]
async fn what_somebody_saves_while_its_predecessor_is_removed_stays() {
    let bench = Bench::start().await;
    let store = Arc::new(bench.open().await);
    store.save(&name(A), &of("old", bundle(A))).await.unwrap();
    let save = bench.hold("UPDATE namegate_edge.certificates SET seq = seq + 1").await;
    let purger = Arc::clone(&store);
    let purging = tokio::spawn(async move { purger.purge(&name(A), &Leaving::Others(tenant("new"))).await.unwrap() });
    bench.until_somebody_waits(&purging).await;
    save.commit().await.unwrap();
    assert_eq!(purging.await.unwrap(), 0);
    assert!(store.load(&name(A)).await.unwrap().is_some());
}
