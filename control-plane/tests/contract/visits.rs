//! Customers who are sent to their DNS provider's page, and come back.

use std::time::Duration;

use control_plane::core::{ApplicationPatch, CoreError, Return, Visit};
use futures::future::join_all;

use crate::harness::{Bench, Tenant, on_both};

const PAGE: &str = "https://app.acme.example/domain";

async fn tenant(bench: &Bench) -> Tenant {
    let tenant = bench.tenant("a").await;
    allow(&tenant, &["https://app.acme.example"]).await;
    tenant
}

async fn allow(tenant: &Tenant, origins: &[&str]) {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let patch = ApplicationPatch { allowed_origins: Some(origins), ..ApplicationPatch::default() };
    tenant.core.update_application(&tenant.caller, &tenant.application.id, patch).await.unwrap();
}

async fn visit(tenant: &Tenant, connection: &str, url: Option<&str>) -> Result<Visit, CoreError> {
    tenant.core.begin_visit(&tenant.caller, connection, url).await
}

async fn back(tenant: &Tenant, visit: &Visit) -> Option<Return> {
    tenant.core.end_visit(&visit.state, None).await.unwrap()
}

#[test]
fn a_state_is_taken_back_once_however_many_browsers_bring_it_at_once() {
    on_both(|bench| async move {
        let tenant = tenant(&bench).await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let sent = visit(&tenant, &made.claim.id, Some(PAGE)).await.unwrap();
        assert!(sent.state.len() == 32 && !format!("{:?}", bench.core).contains(&sent.state));
        let browsers = (0..8).map(|_| {
            let (core, state) = (bench.core.clone(), sent.state.clone());
            tokio::spawn(async move { core.end_visit(&state, Some("access_denied")).await.unwrap() })
        });
        let taken: Vec<_> = join_all(browsers).await.into_iter().filter_map(Result::unwrap).collect();
        let [only] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!((only.connection_id.as_str(), only.error), (made.claim.id.as_str(), Some("access_denied")));
        assert_eq!(only.url.as_ref().map(url::Url::as_str), Some(PAGE));
        let after = bench.core.connection(&tenant.caller, &made.claim.id).await.unwrap();
        assert_eq!(after.claim.next_check_at, Some(bench.core.now()), "looked at next");
        assert_eq!(after.claim.ownership, made.claim.ownership, "and nothing is proven");
        let told: Vec<_> = after.attempts.iter().filter(|attempt| attempt.kind == "domain_connect").collect();
        assert_eq!(told.len(), 1, "{told:?}");
    });
}

#[test]
fn a_state_is_good_for_an_hour_and_the_latest_ten_of_a_connection_are() {
    on_both(|bench| async move {
        let tenant = tenant(&bench).await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let late = visit(&tenant, &made.claim.id, None).await.unwrap();
        bench.clock.advance(Duration::from_mins(60));
        assert_eq!(back(&tenant, &late).await, None);
        let mut sent = Vec::new();
        for _ in 0..12 {
            bench.clock.advance(Duration::from_secs(1));
            sent.push(visit(&tenant, &made.claim.id, None).await.unwrap());
        }
        let mut good = Vec::new();
        for visit in &sent {
            good.push(back(&tenant, visit).await.is_some());
        }
        assert_eq!(good, [vec![false; 2], vec![true; 10]].concat());
        let old = visit(&tenant, &made.claim.id, None).await.unwrap();
        bench.clock.advance(Duration::from_mins(61));
        bench.core.sweep().await.unwrap();
        assert_eq!(back(&tenant, &old).await, None);
    });
}

#[test]
fn a_browser_goes_on_to_an_origin_of_the_application_now_as_then() {
    on_both(|bench| async move {
        let tenant = tenant(&bench).await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let id = made.claim.id.as_str();
        for elsewhere in ["https://evil.example/", "https://app.acme.example:444/", "javascript:alert(1)", "/domain"] {
            let refused = visit(&tenant, id, Some(elsewhere)).await.err();
            let is_refused = matches!(&refused, Some(CoreError::Invalid { pointer, .. }) if pointer == "/return_url");
            assert!(is_refused, "{elsewhere}: {refused:?}");
        }
        let sent = visit(&tenant, id, Some(PAGE)).await.unwrap();
        allow(&tenant, &["https://new.acme.example"]).await;
        assert_eq!(back(&tenant, &sent).await.unwrap().url, None);
        let other = bench.tenant("b").await;
        assert!(matches!(visit(&other, id, None).await, Err(CoreError::NotFound { .. })));
        // A connection that is gone is looked at no more, and the browser still ends somewhere.
        let sent = visit(&tenant, id, None).await.unwrap();
        bench.core.archive_connection(&tenant.caller, id).await.unwrap();
        assert_eq!(back(&tenant, &sent).await.unwrap().error, None);
        assert_eq!(bench.core.connection(&tenant.caller, id).await.unwrap().claim.next_check_at, None);
        assert!(matches!(visit(&tenant, id, None).await, Err(CoreError::WrongState { .. })));
    });
}
