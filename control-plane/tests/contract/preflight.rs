//! The gate waits for a preflight that finds nothing in the way, until there was a certificate.

use std::time::Duration;

use control_plane::core::{
    Checked, CoreError, Deadline, Fix, Looker, NewConnection, Preflight, PreflightSight, Reason, ReasonCode, Routing,
};

use crate::harness::{issued, on_both, pointing, proven};

const NAME: &str = "shop.customer.com";

fn with(seen: Checked, preflight: PreflightSight) -> Checked {
    Checked { preflight: Some(preflight), ..seen }
}

/// What a CAA record makes of a look.
fn caa() -> Reason {
    let fix = Fix {
        host: "customer.com".to_owned(),
        record_type: "CAA".to_owned(),
        expected: Some("0 issue \"ca.test\"".to_owned()),
        seen: vec!["0 issue \";\"".to_owned()],
    };
    Reason {
        code: "caa_forbids".to_owned(),
        fix: Some(fix),
        detail: None,
        told: Some("CAA at customer.com does not allow our certificate authority".to_owned()),
        user_told: None,
    }
}

fn blocked() -> PreflightSight {
    PreflightSight::Blocked(caa())
}

fn unclear() -> PreflightSight {
    PreflightSight::Unclear(Reason::new(ReasonCode::DnsUnreachable))
}

#[test]
fn a_record_in_the_way_keeps_the_gate_closed_until_it_is_gone() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect(NAME).await.unwrap();
        let (id, hostname) = (&made.claim.id, &made.claim.hostname);
        let held = tenant.see(id, with(proven(), blocked())).await.unwrap();
        assert!(held.claim.is_holder() && !held.claim.is_open());
        assert_eq!(held.reason(), Some(&caa()));
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        assert!(bench.core.gate_changes(0, 10).await.unwrap().is_empty(), "edges have never heard of it");
        assert_eq!(tenant.event_kinds().await, ["ownership.proven"]);
        // All records are right, and still no order could succeed.
        let held = tenant.see(id, with(pointing(Routing::Pointing), blocked())).await.unwrap();
        assert_eq!((held.claim.routing, held.reason()), (Routing::Wrong, Some(&caa())));
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        // What cannot be told opens nothing.
        let held = tenant.see(id, with(pointing(Routing::Pointing), unclear())).await.unwrap();
        assert_eq!((held.claim.routing, held.reason()), (Routing::Wrong, Some(&caa())));
        assert!(bench.core.ask(hostname).await.unwrap().is_none());
        let open = tenant.see(id, with(pointing(Routing::Pointing), PreflightSight::Clear)).await.unwrap();
        assert!(open.claim.is_open() && open.claim.is_pointing());
        assert!(open.reason().unwrap().is(ReasonCode::CertificatePending), "{:?}", open.reason());
        let row = bench.core.gate_changes(0, 10).await.unwrap().remove(0);
        assert!(row.is_open.0 && row.is_pointing.0, "the edges may order ahead");
    });
}

#[test]
fn a_proof_opens_the_gate_when_nothing_is_in_the_way_or_nothing_could_be_told() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let pending = PreflightSight::Pending(Reason::new(ReasonCode::NotResolving));
        for (n, sight) in [PreflightSight::Clear, pending, unclear()].into_iter().enumerate() {
            let made = tenant.connect(&format!("shop{n}.customer.com")).await.unwrap();
            tenant.see(&made.claim.id, with(proven(), sight.clone())).await.unwrap();
            assert!(bench.core.ask(&made.claim.hostname).await.unwrap().is_some(), "{sight:?}");
        }
    });
}

#[test]
fn a_record_that_comes_in_the_way_before_the_certificate_closes_the_gate_again() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.pointing(NAME).await;
        assert_eq!(made.claim.deadline, Deadline::None);
        let closed = tenant.see(&made.claim.id, with(pointing(Routing::Pointing), blocked())).await.unwrap();
        assert_eq!(closed.reason(), Some(&caa()));
        assert_eq!(closed.claim.deadline, Deadline::Running, "its owner has time to change it, not for ever");
        assert!(bench.core.ask(&made.claim.hostname).await.unwrap().is_none());
        let told = bench.core.gate_changes(0, 10).await.unwrap().remove(0);
        assert!(!told.is_open.0 && told.generation > made.claim.generation, "edges are told that it is closed");
        tenant.see(&made.claim.id, with(pointing(Routing::Pointing), PreflightSight::Clear)).await.unwrap();
        let row = bench.core.ask(&made.claim.hostname).await.unwrap().unwrap();
        assert!(row.generation > told.generation, "and that it is open again");
    });
}

#[test]
fn a_name_that_is_served_is_told_of_a_finding_and_never_closed_by_it() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let id = tenant.pointing(NAME).await.claim.id;
        bench.core.take_reports(&[issued("r1", NAME)]).await.unwrap();
        let told = tenant.see(&id, with(pointing(Routing::Pointing), blocked())).await.unwrap();
        assert!(told.claim.is_live());
        assert_eq!((told.claim.preflight, told.reason()), (Preflight::Blocked, Some(&caa())));
        assert!(bench.core.ask(&told.claim.hostname).await.unwrap().is_some());
        // Looks without a preflight, and those that cannot tell, neither forget it nor act on it.
        for seen in [pointing(Routing::Pointing), with(pointing(Routing::Pointing), unclear())] {
            let told = tenant.see(&id, seen).await.unwrap();
            assert!(told.claim.is_live());
            assert_eq!(told.reason(), Some(&caa()));
        }
        // Even a drift leaves the gate open as long as it would without a finding.
        for _ in 0..3 {
            tenant.see(&id, with(pointing(Routing::Wrong), blocked())).await.unwrap();
            bench.clock.advance(Duration::from_mins(5));
        }
        let drifted = tenant.see(&id, with(pointing(Routing::Wrong), blocked())).await.unwrap();
        assert!(!drifted.claim.is_live() && drifted.claim.is_open());
        let well = tenant.see(&id, with(pointing(Routing::Pointing), PreflightSight::Clear)).await.unwrap();
        assert!(well.claim.is_live());
        assert_eq!(well.reason(), None);
        let kinds = tenant.event_kinds().await;
        assert_eq!(&kinds[3..], ["claim.drifted", "claim.recovered"]);
    });
}

#[test]
fn a_certificate_opens_the_gate_whatever_the_last_preflight_said() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let made = tenant.connect(NAME).await.unwrap();
        tenant.see(&made.claim.id, with(proven(), blocked())).await.unwrap();
        bench.core.take_reports(&[issued("r1", NAME)]).await.unwrap();
        assert!(bench.core.ask(&made.claim.hostname).await.unwrap().is_some(), "the authority knows better");
    });
}

#[test]
fn a_name_whose_gate_is_held_back_is_its_holders_all_the_same() {
    on_both(|bench| async move {
        let (holder, rival) = (bench.tenant("holder").await, bench.tenant("rival").await);
        let made = holder.connect(NAME).await.unwrap();
        holder.see(&made.claim.id, with(proven(), blocked())).await.unwrap();
        let refused = rival.connect(NAME).await;
        assert!(matches!(refused, Err(CoreError::HostnameConflict { .. })), "{refused:?}");
        let wish = NewConnection { hostname: NAME.into(), takeover: true, ..NewConnection::default() };
        let rivals = rival.connect_with(wish).await.unwrap();
        let refused = rival.see(&rivals.claim.id, proven()).await;
        assert!(matches!(refused, Err(CoreError::HostnameConflict { .. })), "{refused:?}");
        // Its deletion frees the name, and lets it cool off like any other.
        holder.core.archive_connection(&holder.caller, &made.claim.id).await.unwrap();
        bench.core.apply_check(&rivals.claim.id, &proven(), Looker::Worker).await.unwrap();
        let row = bench.core.ask(&made.claim.hostname).await.unwrap().unwrap();
        assert_eq!(row.connection_id, rivals.claim.id);
    });
}

#[test]
fn a_refused_order_stays_the_reason_while_the_records_are_right() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let id = tenant.pointing(NAME).await.claim.id;
        let report = serde_json::json!({
            "id": "r1", "hostname": NAME, "kind": "failed", "at_ms": 1_800_000_000_000_u64,
            "issuer": "https://ca.test/dir",
            "problem": {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it", "status": 403},
        });
        bench.core.take_reports(&[serde_json::from_value(report).unwrap()]).await.unwrap();
        let told = tenant.see(&id, with(pointing(Routing::Pointing), PreflightSight::Clear)).await.unwrap();
        assert!(told.reason().unwrap().is(ReasonCode::CertificateFailed), "{:?}", told.reason());
        assert!(told.reason().unwrap().message().contains("CAA forbids it"));
    });
}
