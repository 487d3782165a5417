//! What goes wrong is told by its kind, and leaves nothing half done where it can.

use std::time::Duration;

use dns::{
    check::RecordKind,
    provider::{HttpLimits, Left, Problem, ProviderError, Request},
};

use crate::{
    bench::{CHALLENGE, EDGE, HOST, World, after, cname, owner, request, txt, want},
    server::Fault,
    shim::{No, Resp},
};

fn quick() -> HttpLimits {
    HttpLimits { pause: Duration::from_millis(1), tries: 2, ..HttpLimits::default() }
}

/// The error of looking for the zone.
async fn finding(w: &World, limits: HttpLimits) -> ProviderError {
    let error = w.provider_with(limits).find_zone(&owner(HOST)).await.unwrap_err();
    w.shows_no_secret(&error);
    error
}

pub(crate) async fn every_second_call_refused_for_its_rate_still_ends_right(w: World) {
    w.seed(HOST, "A", "203.0.113.7");
    let others = w.server.others(&[HOST, CHALLENGE]);
    w.server.faults(|seen| (seen.number % 2 == 1).then_some(Fault::No(No::Rate(0))));
    w.write(&request(&[cname(), txt("cd-verify-1"), txt("cd-verify-2")])).await.unwrap();
    assert_eq!(w.values(HOST, "CNAME"), [EDGE]);
    assert_eq!(w.values(CHALLENGE, "TXT"), ["cd-verify-1", "cd-verify-2"]);
    assert_eq!(w.server.others(&[HOST, CHALLENGE]), others);
}

pub(crate) async fn a_long_wait_is_told_with_its_time(w: World) {
    let (zone, plan) = (w.zone().await, w.preview(&request(&[cname()])).await);
    w.server.faults(|seen| seen.writes.then_some(Fault::No(No::Rate(3600))));
    let failed = w.provider().apply(&zone, &plan).await.unwrap_err();
    assert_eq!(failed.error.problem, Problem::RateLimited { retry_after: Some(Duration::from_hours(1)) });
    assert!(failed.error.advice().contains("3600"), "{}", failed.error.advice());
    w.server.well();
    w.write(&request(&[cname()])).await.unwrap();
    assert_eq!(w.values(HOST, "CNAME"), [EDGE]);
}

pub(crate) async fn an_unknown_credential_is_told(w: World) {
    let provider = w.connect(&w.shim.wrong_credential(), quick()).unwrap();
    let error = provider.find_zone(&owner(HOST)).await.unwrap_err();
    assert_eq!(error.problem, Problem::Auth, "{error:?}");
    w.shows_no_secret(&error);
}

pub(crate) async fn a_malformed_credential_is_told_without_a_call(w: World) {
    let text = w.shim.malformed_credential().unwrap();
    w.server.well();
    let error = w.connect(text, quick()).map(drop).unwrap_err();
    assert!(matches!(error.problem, Problem::BadCredential(_)), "{error:?}");
    assert!(!format!("{error:?} {error} {}", error.advice()).contains(text));
    assert_eq!(w.server.calls(), 0);
}

pub(crate) async fn a_credential_without_rights_changes_nothing(w: World) {
    let (zone, plan) = (w.zone().await, w.preview(&request(&[cname()])).await);
    let before = w.server.others(&[]);
    w.server.faults(|seen| seen.writes.then_some(Fault::No(No::Forbidden)));
    let failed = w.provider().apply(&zone, &plan).await.unwrap_err();
    let problem = &failed.error.problem;
    assert!(matches!(problem, Problem::Forbidden | Problem::NotEligible(_)), "{failed:?}");
    assert_eq!(failed.left, Left::AsBefore, "{failed:?}");
    w.shows_no_secret(&failed.error);
    assert_eq!(w.server.others(&[]), before);
}

pub(crate) async fn a_missing_zone_is_told(w: World) {
    w.server.faults(|_| Some(Fault::No(No::Missing)));
    let error = w.provider_with(quick()).find_zone(&owner(HOST)).await.unwrap_err();
    assert_eq!(error.problem, Problem::ZoneNotFound, "{error:?}");
}

pub(crate) async fn a_page_instead_of_an_answer_is_not_quoted(w: World) {
    let page = Resp::new(502, "<html><body><h1>Bad gateway CANARY</h1>").with("content-type", "text/html");
    w.server.faults(move |_| Some(Fault::Raw(page.clone())));
    let error = finding(&w, quick()).await;
    assert!(matches!(error.problem, Problem::Transient(_)), "{error:?}");
    assert!(!format!("{error:?} {}", error.advice()).contains("CANARY"));
}

pub(crate) async fn a_page_that_claims_success_is_no_empty_zone(w: World) {
    let (zone, plan) = (w.zone().await, w.preview(&request(&[cname()])).await);
    let before = w.server.others(&[]);
    w.server.faults(|_| Some(Fault::Raw(Resp::new(200, "<html>please log in</html>"))));
    let failed = w.provider_with(quick()).apply(&zone, &plan).await.unwrap_err();
    assert!(matches!(failed.error.problem, Problem::Transient(_)), "{failed:?}");
    assert_eq!((failed.left, w.server.writes(), w.server.others(&[])), (Left::AsBefore, 0, before));
}

pub(crate) async fn an_endless_answer_is_cut(w: World) {
    let huge = Resp::new(200, "[".repeat(1 << 20));
    w.server.faults(move |_| Some(Fault::Raw(huge.clone())));
    let error = finding(&w, HttpLimits { body: 1 << 16, ..quick() }).await;
    assert!(matches!(error.problem, Problem::TooLarge(_)), "{error:?}");
}

pub(crate) async fn a_silent_provider_is_left(w: World) {
    w.server.faults(|_| Some(Fault::HangBefore));
    let error = finding(&w, HttpLimits { request: Duration::from_millis(50), ..quick() }).await;
    assert!(matches!(error.problem, Problem::Transient(_)), "{error:?}");
    assert!(error.problem.passes());
}

pub(crate) async fn a_redirect_is_not_followed(w: World) {
    let elsewhere = World::new(&w.shim).await;
    let there = Resp::new(302, "").with("location", format!("http://{}/", elsewhere.server.address));
    w.server.faults(move |_| Some(Fault::Raw(there.clone())));
    let error = finding(&w, quick()).await;
    assert!(matches!(error.problem, Problem::Transient(_)), "{error:?}");
    assert_eq!(elsewhere.server.calls(), 0);
}

pub(crate) async fn a_fault_of_the_provider_passes(w: World) {
    w.server.faults(|seen| (seen.number % 3 == 1 && seen.number < 9).then_some(Fault::Raw(Resp::new(503, "busy"))));
    w.write(&request(&[cname(), txt("cd-verify-1")])).await.unwrap();
    assert_eq!((w.values(HOST, "CNAME"), w.values(CHALLENGE, "TXT")), (vec![EDGE.into()], vec!["cd-verify-1".into()]));
}

/// Something is there before, so that undoing is more than deleting.
async fn two_sets(w: &World) -> Request {
    w.seed(HOST, "A", "203.0.113.7");
    let old = [want("z.customer.test", RecordKind::Cname, "old.saas.example")];
    w.write(&request(&old)).await.unwrap();
    after(&old, &[cname(), txt("cd-verify-1"), want("z.customer.test", RecordKind::Cname, EDGE)])
}

pub(crate) async fn a_refused_half_is_undone(w: World) {
    let wanted = two_sets(&w).await;
    let before = w.server.others(&[]);
    let (zone, plan) = (w.zone().await, w.preview(&wanted).await);
    for nth in 1..10 {
        let mut count = 0;
        w.server.faults(move |seen| {
            count += usize::from(seen.writes);
            (seen.writes && count == nth).then_some(Fault::No(No::Invalid("the name is reserved".into())))
        });
        let Err(failed) = w.provider().apply(&zone, &plan).await else {
            // All writes of the plan have been refused once.
            assert!(nth > if w.shim.atomic() || w.shim.whole() { 1 } else { 3 }, "{nth}");
            return;
        };
        assert_eq!((&failed.error.problem, &failed.left), (&Problem::Invalid, &Left::AsBefore), "{nth}: {failed:?}");
        assert_eq!(failed.error.said.as_deref(), Some("the name is reserved"), "{nth}");
        assert_eq!(w.server.others(&[]), before, "{nth}");
    }
    panic!("a plan of so many writes?");
}

pub(crate) async fn no_failure_shows_a_secret(w: World) {
    let faults = || {
        let raw = |status| Fault::Raw(Resp::new(status, "<html>no"));
        let no = [No::Auth, No::Forbidden, No::Missing, No::Conflict, No::Rate(99)].map(Fault::No);
        no.into_iter().chain([Fault::Echo, Fault::CutBefore, raw(200), raw(418), raw(500)])
    };
    let (zone, plan) = (w.zone().await, w.preview(&request(&[cname(), txt("x")])).await);
    let mut echoed = 0;
    for fault in faults() {
        for nth in 1..=6 {
            let fault = fault.clone();
            w.server.faults(move |seen| (seen.number >= nth).then(|| fault.clone()));
            let provider = w.provider_with(HttpLimits { tries: 1, ..quick() });
            w.hides(&format!("{provider:?}"));
            let found = provider.find_zone(&owner(HOST)).await;
            let applied = provider.apply(&zone, &plan).await;
            for error in found.err().iter().chain(applied.err().map(|failed| failed.error).iter()) {
                echoed += usize::from(error.said.as_ref().is_some_and(|said| said.contains("HTTP") || said.len() > 40));
                w.shows_no_secret(error);
            }
            w.server.well();
            let _ = w.write(&after(&[cname(), txt("x")], &[])).await;
        }
    }
    assert!(echoed > 0, "the server repeats what it was sent");
}
