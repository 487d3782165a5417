//! The rule that opens the gate is the surface's, as data.

use std::{collections::BTreeMap, time::Duration};

use control_plane::core::{CoreSettings, Ownership, Policy, PreflightSight, ProofKind, Routing, Surface};

use crate::harness::{on_both_with, pointing, proven};

/// As of a surface for which a name that leads to the shared target is its owner's word.
fn by_pointing() -> CoreSettings {
    let policy = Policy { proofs: vec![ProofKind::SharedTarget, ProofKind::Txt].into(), ..Policy::default() };
    CoreSettings { policies: BTreeMap::from([(Surface::ConnectDomain, policy)]), ..CoreSettings::default() }
}

#[test]
fn where_pointing_is_proof_the_gate_opens_with_it_and_a_txt_is_stronger() {
    on_both_with(by_pointing(), |bench| async move {
        let (first, second) = (bench.tenant("first").await, bench.tenant("second").await);
        let made = first.connect("shop.customer.com").await.unwrap();
        let hostname = &made.claim.hostname;
        assert!(bench.core.inquire(&made.claim.id).await.unwrap().unwrap().pointing_proves);
        let wrong = first.see(&made.claim.id, pointing(Routing::Wrong)).await.unwrap();
        assert_eq!(wrong.claim.ownership, Ownership::Unproven);
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        let mut seen = pointing(Routing::Pointing);
        seen.preflight = Some(PreflightSight::Clear);
        let open = first.see(&made.claim.id, seen.clone()).await.unwrap();
        assert_eq!(open.claim.proof, Some(ProofKind::SharedTarget));
        assert!(bench.core.ask(hostname).await.unwrap().is_some());
        // The same target proves nothing against it; a record in the zone does.
        let wish = control_plane::core::NewConnection {
            hostname: "shop.customer.com".into(),
            takeover: true,
            ..Default::default()
        };
        let rival = second.connect_with(wish).await.unwrap();
        assert!(second.see(&rival.claim.id, seen).await.is_err());
        second.see(&rival.claim.id, proven()).await.unwrap();
        assert_eq!(bench.core.ask(hostname).await.unwrap().unwrap().connection_id, rival.claim.id);
    });
}

#[test]
fn where_only_a_txt_is_proof_pointing_proves_nothing_and_the_deadline_is_the_surfaces() {
    let policy = Policy { deadline: Duration::from_hours(1), ..Policy::default() };
    let settings =
        CoreSettings { policies: BTreeMap::from([(Surface::ConnectDomain, policy)]), ..CoreSettings::default() };
    on_both_with(settings, |bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let seen = tenant.see(&made.claim.id, pointing(Routing::Pointing)).await.unwrap();
        assert_eq!(seen.claim.ownership, Ownership::Unproven);
        assert!(bench.core.ask(&made.claim.hostname).await.unwrap().is_none());
        bench.clock.advance(Duration::from_mins(61));
        assert!(bench.core.pass_deadline(&made.claim.id).await.unwrap().is_some());
        let stalled = bench.core.connection(&tenant.caller, &made.claim.id).await.unwrap();
        assert_eq!(stalled.claim.deadline, control_plane::core::Deadline::Passed);
    });
}
