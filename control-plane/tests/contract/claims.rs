//! Claims: from the wish to the open gate and back.

use std::time::Duration;

use control_plane::core::{
    CertificateState, ChallengeSight, Checked, CoreError, Deadline, Lifecycle, Looker, NewConnection, Ownership,
    ReasonCode, Routing,
};

use crate::harness::{issued, on_both, pointing, proven};

#[test]
fn a_gate_opens_with_the_proof_and_closes_with_the_delete() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect("Shop.Customer.com.").await.unwrap();
        assert_eq!(made.claim.hostname.as_str(), "shop.customer.com");
        let hostname = &made.claim.hostname;
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        tenant.see(&made.claim.id, proven()).await.unwrap();
        let row = bench.core.ask(hostname).await.unwrap().unwrap();
        assert_eq!(row.origin.as_deref(), Some("https://origin.example"));
        assert_eq!(row.connection_id, made.claim.id);
        tenant.core.archive_connection(&tenant.caller, &made.claim.id).await.unwrap();
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        let changes = bench.core.gate_changes(0, 10).await.unwrap();
        assert_eq!(changes.len(), 1, "the feed keeps the newest of a name: its tombstone");
        assert!(!changes[0].is_open.0);
        assert!(changes[0].generation > row.generation);
    });
}

#[test]
fn a_new_connection_says_at_once_which_record_it_waits_for() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let (reason, challenge) = (made.reason().unwrap(), made.challenge().unwrap());
        assert!(reason.is(ReasonCode::ChallengeMissing), "{reason:?}");
        let fix = reason.fix.as_ref().unwrap();
        assert_eq!((&fix.host, fix.expected.as_ref()), (&challenge.name, Some(&challenge.expected)));
    });
}

#[test]
fn a_connection_is_live_once_it_points_and_has_a_certificate() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.pointing("shop.customer.com").await;
        assert_eq!(made.claim.certificate, CertificateState::Issuing);
        assert!(!made.claim.is_live());
        bench.core.take_reports(&[issued("r1", "shop.customer.com")]).await.unwrap();
        let live = bench.core.connection(&tenant.caller, &made.claim.id).await.unwrap();
        assert!(live.claim.is_live());
        assert_eq!(live.claim.reason, None);
        assert_eq!(tenant.event_kinds().await, ["ownership.proven", "certificate.issued", "claim.live"]);
        // The same report again, and a look again, change nothing.
        bench.core.take_reports(&[issued("r1", "shop.customer.com"), issued("r2", "shop.customer.com")]).await.unwrap();
        tenant.see(&made.claim.id, pointing(Routing::Pointing)).await.unwrap();
        assert_eq!(tenant.event_kinds().await.len(), 3);
    });
}

#[test]
fn silence_never_demotes_and_drift_needs_several_looks_over_time() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let id = tenant.pointing("shop.customer.com").await.claim.id;
        bench.core.take_reports(&[issued("r1", "shop.customer.com")]).await.unwrap();
        let mut silent = pointing(Routing::Pointing);
        silent.routing.as_mut().unwrap().verdict = None;
        for _ in 0..10 {
            bench.clock.advance(Duration::from_mins(10));
            assert!(tenant.see(&id, silent.clone()).await.unwrap().claim.is_live());
        }
        assert!(tenant.see(&id, pointing(Routing::Wrong)).await.unwrap().claim.is_live());
        assert!(tenant.see(&id, pointing(Routing::Wrong)).await.unwrap().claim.is_live());
        assert!(tenant.see(&id, pointing(Routing::Wrong)).await.unwrap().claim.is_live(), "three looks in one moment");
        bench.clock.advance(Duration::from_mins(5));
        let drifted = tenant.see(&id, pointing(Routing::Wrong)).await.unwrap();
        assert!(!drifted.claim.is_live());
        assert!(drifted.claim.is_open(), "a drifted name keeps its gate for a while");
        tenant.see(&id, pointing(Routing::Pointing)).await.unwrap();
        let kinds = tenant.event_kinds().await;
        assert_eq!(&kinds[3..], ["claim.drifted", "claim.recovered"]);
    });
}

#[test]
fn a_deadline_closes_the_gate_and_a_fresh_proof_opens_it_again() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.verified("shop.customer.com").await;
        let (id, hostname) = (&made.claim.id, &made.claim.hostname);
        assert!(bench.core.pass_deadline(id).await.unwrap().is_some());
        assert!(bench.core.ask(hostname).await.unwrap().is_some(), "it is not time yet");
        bench.clock.advance(Duration::from_hours(49));
        bench.core.pass_deadline(id).await.unwrap();
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        let stalled = bench.core.connection(&tenant.caller, id).await.unwrap();
        assert_eq!((stalled.claim.deadline, stalled.claim.ownership), (Deadline::Passed, Ownership::Unproven));
        tenant.see(id, proven()).await.unwrap();
        assert!(bench.core.ask(hostname).await.unwrap().is_some());
        bench.clock.advance(Duration::from_hours(49));
        bench.core.pass_deadline(id).await.unwrap();
        bench.clock.advance(Duration::from_hours(24 * 15));
        assert_eq!(bench.core.pass_deadline(id).await.unwrap(), None);
        let failed = bench.core.connection(&tenant.caller, id).await.unwrap();
        assert_eq!(failed.claim.lifecycle, Lifecycle::Failed);
    });
}

#[test]
fn a_name_that_is_held_needs_a_txt_that_the_holder_does_not_have_any_more() {
    on_both(|bench| async move {
        let (holder, rival) = (bench.tenant("holder").await, bench.tenant("rival").await);
        let held = holder.verified("shop.customer.com").await;
        let tenant = async || bench.core.ask(&held.claim.hostname).await.unwrap().unwrap().tenant().unwrap();
        assert_eq!(tenant().await.as_str(), holder.application.id);
        let refused = rival.connect("shop.customer.com").await;
        assert!(matches!(refused, Err(CoreError::HostnameConflict { own_connection: None, .. })));
        let wish = NewConnection { hostname: "shop.customer.com".into(), takeover: true, ..NewConnection::default() };
        let rivals = rival.connect_with(wish).await.unwrap();
        let refused = rival.see(&rivals.claim.id, proven()).await;
        assert!(matches!(refused, Err(CoreError::HostnameConflict { .. })), "equal proof never takes over");
        let noted = bench.core.apply_check(&rivals.claim.id, &proven(), Looker::Worker).await.unwrap();
        assert_eq!(noted.reason().unwrap().code, "claimed_elsewhere");
        let fresh = Checked { lapsed_holder: Some(held.claim.id.clone()), ..proven() };
        let won = rival.see(&rivals.claim.id, fresh).await.unwrap();
        assert!(won.claim.is_open());
        let row = bench.core.ask(&won.claim.hostname).await.unwrap().unwrap();
        assert_eq!(row.connection_id, rivals.claim.id);
        assert_eq!(tenant().await.as_str(), rival.application.id, "edges hear that it is somebody else's");
        let listed = bench.core.gate_page("", 10).await.unwrap();
        assert_eq!(listed[0].tenant().unwrap().as_str(), rival.application.id);
        assert_eq!(holder.event_kinds().await, ["ownership.proven", "claim.lost"]);
        // The loser's delete does not hurt the winner.
        holder.core.archive_connection(&holder.caller, &held.claim.id).await.unwrap();
        assert!(bench.core.ask(&won.claim.hostname).await.unwrap().is_some());
    });
}

#[test]
fn another_tenants_connection_is_not_there() {
    on_both(|bench| async move {
        let (mine, other) = (bench.tenant("mine").await, bench.tenant("other").await);
        let id = mine.verified("shop.customer.com").await.claim.id;
        let core = &bench.core;
        let gone = |result: Result<(), CoreError>| assert!(matches!(result, Err(CoreError::NotFound { .. })));
        gone(core.connection(&other.caller, &id).await.map(drop));
        gone(core.archive_connection(&other.caller, &id).await.map(drop));
        gone(core.application(&other.caller, &mine.application.id).await.map(drop));
        gone(core.keys(&other.caller, &mine.application.id, None, 10).await.map(drop));
        let live =
            control_plane::core::Caller { environment: control_plane::core::Environment::Live, ..mine.caller.clone() };
        gone(core.connection(&live, &id).await.map(drop));
        assert!(core.connections(&other.caller, &Default::default(), None, 10).await.unwrap().is_empty());
        assert!(core.events(&other.caller, 0, 10).await.unwrap().is_empty());
    });
}

#[test]
fn a_wrong_challenge_says_what_was_seen_and_what_to_write() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect("shop.customer.com").await.unwrap();
        let seen =
            Checked { challenge: Some(ChallengeSight::Absent(vec!["cd-verify-old".into()])), ..Checked::default() };
        let looked = tenant.see(&made.claim.id, seen).await.unwrap();
        let reason = looked.reason().unwrap();
        assert_eq!(reason.code, "challenge_wrong");
        let fix = reason.fix.as_ref().unwrap();
        assert_eq!(fix.host, "_namegate-challenge.shop.customer.com");
        assert_eq!(fix.expected.as_deref(), made.challenge().map(|proof| proof.expected.as_str()));
        assert_eq!(fix.seen, ["cd-verify-old"]);
        assert_eq!(looked.attempts.len(), 1);
    });
}
