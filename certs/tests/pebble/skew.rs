//! The CA's clock against ours.

use std::{sync::Arc, time::Duration};

use certs::{AcmeIssuer, ClockSkew, Issuer, Store};
use clock::{Clock, ManualClock, SystemClock};
use prometheus::Registry;

use crate::scene::{Scene, subject};

/// What the gauge says.
fn ahead(registry: &Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "namegate_edge_clock_skew_seconds").unwrap();
    family.get_metric().iter().map(|metric| metric.get_gauge().get_value()).sum()
}

#[tokio::test]
async fn a_clock_that_is_ahead_or_behind_the_cas_is_told_of_until_it_is_right_again() {
    let scene = Scene::start().await;
    let (registry, now) = (Registry::new(), SystemClock.now());
    let clock = Arc::new(ManualClock::new(now));
    let store = Arc::clone(&scene.store) as Arc<dyn Store>;
    let issuer = AcmeIssuer::new(scene.settings(), store, Arc::clone(&scene.challenges), clock.clone()).unwrap();
    let issuer = issuer.with_clock_skew(&ClockSkew::new(&registry).unwrap());
    // Pebble dates what it issues a little back, and lets nobody wait: minutes cover a loaded machine.
    for (moment, low, high) in [
        (now, -120.0, 1.0),
        (now + Duration::from_secs(3600), 3480.0, 3601.0),
        (now, -120.0, 1.0),
        (now - Duration::from_secs(3600), -3720.0, -3599.0),
        (now, -120.0, 1.0),
    ] {
        clock.set(moment);
        // Whether the certificate may be used at that hour is not the matter here.
        let _ = issuer.issue(&subject("a.customer.test"), None, None, &|_| ()).await;
        let ahead = ahead(&registry);
        assert!((low..=high).contains(&ahead), "{ahead} s at {moment}, and not {low} to {high}");
    }
}
