//! The ACME issuer by itself.

use std::sync::Arc;

use certs::{Bundle, ChallengeKind, ExternalAccount, IssueError, Issuer, Leaf, Progress, Store};
use parking_lot::Mutex;
use test_support::PebbleOptions;

use crate::scene::{Ports, Scene, subject};

/// Orders and keeps what the issuer says meanwhile.
async fn issue(
    issuer: &dyn Issuer,
    host: &str,
    replaces: Option<&Bundle>,
) -> (Result<Bundle, IssueError>, Vec<Progress>) {
    let seen = Mutex::new(Vec::new());
    let issued = issuer.issue(&subject(host), None, replaces, &|progress| seen.lock().push(progress)).await;
    (issued.map(|issued| issued.bundle), seen.into_inner())
}

#[tokio::test]
async fn a_certificate_comes_for_exactly_the_name_and_nothing_is_left_offered() {
    let scene = Scene::start().await;
    let host = format!("{0}.{0}.customer.test", "a".repeat(60));
    let (bundle, _) = issue(&scene.issuer(), &host, None).await;
    let leaf = Leaf::parse(&bundle.unwrap()).unwrap();
    assert_eq!(leaf.names().collect::<Vec<_>>(), [host.as_str()]);
    assert!(scene.challenges.is_empty());
}

#[tokio::test]
async fn every_order_succeeds_although_one_good_nonce_in_five_is_called_bad() {
    let options = PebbleOptions { nonce_reject_percent: 20, ..PebbleOptions::default() };
    let scene = Scene::with(options, Ports::Both).await;
    let issuer = Arc::new(scene.issuer());
    let orders: Vec<_> = (0..60)
        .map(|i| {
            let issuer = Arc::clone(&issuer);
            tokio::spawn(async move { issue(&*issuer, &format!("host{i}.customer.test"), None).await.0 })
        })
        .collect();
    for order in orders {
        order.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_challenge_that_fails_is_followed_by_the_other_and_remembered() {
    let scene = Scene::with(PebbleOptions::default(), Ports::HttpOnly).await;
    let issuer = scene.issuer();
    let (bundle, seen) = issue(&issuer, "a.customer.test", None).await;
    bundle.unwrap();
    assert!(seen.contains(&Progress::Refuted(ChallengeKind::TlsAlpn01)), "{seen:?}");
    assert!(seen.contains(&Progress::Offered(ChallengeKind::Http01)), "{seen:?}");
    let (bundle, seen) = issue(&issuer, "b.customer.test", None).await;
    bundle.unwrap();
    assert!(!seen.contains(&Progress::Offered(ChallengeKind::TlsAlpn01)), "{seen:?}");
}

#[tokio::test]
async fn a_refusal_tells_what_the_ca_saw() {
    let scene = Scene::with(PebbleOptions::default(), Ports::Neither).await;
    let (bundle, seen) = issue(&scene.issuer(), "a.customer.test", None).await;
    let IssueError::Refused { kind, detail, problem, authorization, .. } = bundle.err().unwrap() else { panic!() };
    assert_eq!((kind.as_str(), authorization), ("connection", true), "{problem}");
    assert!(detail.contains("refused"), "{detail}");
    assert_eq!(seen.iter().filter(|progress| matches!(progress, Progress::Refuted(_))).count(), 2);
    assert!(scene.issuer().unfinished().await.unwrap().is_empty(), "a refused order is over");
}

#[tokio::test]
async fn a_name_that_the_ca_does_not_certify_costs_no_challenge() {
    let options = PebbleOptions { blocklist: vec!["blocked.test".to_owned()], ..PebbleOptions::default() };
    let scene = Scene::with(options, Ports::Both).await;
    let (bundle, seen) = issue(&scene.issuer(), "a.blocked.test", None).await;
    let IssueError::Refused { kind, authorization, .. } = bundle.err().unwrap() else { panic!() };
    assert_eq!((kind.as_str(), authorization), ("rejectedIdentifier", false));
    assert_eq!(seen, []);
}

#[tokio::test]
async fn a_valid_authorization_is_not_proved_again() {
    let options = PebbleOptions { authz_reuse_percent: 100, ..PebbleOptions::default() };
    let scene = Scene::with(options, Ports::Both).await;
    let issuer = scene.issuer();
    issue(&issuer, "a.customer.test", None).await.0.unwrap();
    let (bundle, seen) = issue(&issuer, "a.customer.test", None).await;
    bundle.unwrap();
    assert!(!seen.iter().any(|progress| matches!(progress, Progress::Offered(_))), "{seen:?}");
}

#[tokio::test]
async fn one_account_is_made_and_used_again_after_a_restart() {
    let scene = Scene::start().await;
    let issuer = Arc::new(scene.issuer());
    let orders = (0..8).map(|i| {
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move { issue(&*issuer, &format!("host{i}.customer.test"), None).await.0 })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap().unwrap();
    }
    issue(&scene.issuer(), "later.customer.test", None).await.0.unwrap();
    let made =
        scene.pebble().log().lines().filter(|line| line.contains("There are now") && line.contains("account")).count();
    assert_eq!(made, 1, "{}", scene.pebble().log());
}

#[tokio::test]
async fn an_account_that_the_ca_has_forgotten_is_made_anew() {
    let mut scene = Scene::start().await;
    let issuer = scene.issuer();
    issue(&issuer, "a.customer.test", None).await.0.unwrap();
    scene.restart_pebble().await;
    // The listener's root is another one too, so this is a new process with an old account.
    let issuer = scene.issuer();
    issue(&issuer, "b.customer.test", None).await.0.unwrap();
}

#[tokio::test]
async fn an_external_account_is_bound() {
    let secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let options =
        PebbleOptions { external_accounts: vec![("kid-1".to_owned(), secret.to_owned())], ..PebbleOptions::default() };
    let scene = Scene::with(options, Ports::Both).await;
    let error = issue(&scene.issuer(), "a.customer.test", None).await.0.err().unwrap();
    assert!(matches!(&error, IssueError::Refused { kind, .. } if kind == "externalAccountRequired"), "{error}");
    let mut settings = scene.settings();
    settings.external_account = Some(ExternalAccount { key_id: "kid-1".to_owned(), hmac_key: secret.to_owned() });
    issue(&scene.issuer_with(settings), "a.customer.test", None).await.0.unwrap();
}

#[tokio::test]
async fn a_profile_that_the_ca_does_not_have_is_left_out() {
    let scene = Scene::start().await;
    let mut settings = scene.settings();
    settings.profile = Some("no-such-profile".to_owned());
    issue(&scene.issuer_with(settings), "a.customer.test", None).await.0.unwrap();
}

#[tokio::test]
async fn a_renewal_says_what_it_replaces_and_a_second_one_is_not_refused_for_it() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    let first = issue(&issuer, "a.customer.test", None).await.0.unwrap();
    issuer.settled(&subject("a.customer.test")).await.unwrap();
    let hint = issuer.renewal_hint(&first).await.unwrap().expect("Pebble knows renewal information");
    assert!(hint.start < hint.end);
    for _ in 0..2 {
        let renewed = issue(&issuer, "a.customer.test", Some(&first)).await.0.unwrap();
        assert_ne!(renewed.chain_pem, first.chain_pem);
        issuer.settled(&subject("a.customer.test")).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_was_cut_off_anywhere_leads_to_no_second_certificate() {
    // The journal is written by the time of the proof; before it, a crash may leave an order that nobody uses.
    for (cut, most_orders) in [("Ordered", 2), ("Offered", 2), ("Authorized", 1), ("Finalized", 1), ("Downloaded", 1)] {
        let scene = Scene::start().await;
        cut_off_at(&scene.issuer(), cut).await;
        let (bundle, _) = issue(&scene.issuer(), "a.customer.test", None).await;
        Leaf::parse(&bundle.unwrap()).unwrap();
        assert!(scene.orders() <= most_orders, "{cut}: {}", scene.pebble().log());
        assert_eq!(scene.certificates(), 1, "{cut}: {}", scene.pebble().log());
        scene.issuer().settled(&subject("a.customer.test")).await.unwrap();
        assert!(scene.issuer().unfinished().await.unwrap().is_empty());
    }
}

/// Drops an order as soon as it has come as far as `cut`: all that a killed process leaves is in the store.
async fn cut_off_at(issuer: &dyn Issuer, cut: &str) {
    let (reached, mut reached_rx) = tokio::sync::watch::channel(false);
    let host = subject("a.customer.test");
    let progress = |progress: Progress| {
        if format!("{progress:?}").starts_with(cut) {
            reached.send_replace(true);
        }
    };
    tokio::select! {
        biased;
        _ = reached_rx.wait_for(|reached| *reached) => {}
        issued = issuer.issue(&host, None, None, &progress) => drop(issued),
    }
}

#[tokio::test]
async fn a_journal_of_an_order_that_the_ca_has_forgotten_is_dropped() {
    let mut scene = Scene::start().await;
    let issuer = scene.issuer();
    issue(&issuer, "a.customer.test", None).await.0.unwrap();
    assert_eq!(issuer.unfinished().await.unwrap(), [subject("a.customer.test")]);
    scene.restart_pebble().await;
    issue(&scene.issuer(), "a.customer.test", None).await.0.unwrap();
}

#[tokio::test]
async fn a_torn_journal_is_no_order() {
    let scene = Scene::start().await;
    let issuer = scene.issuer();
    let key = format!("namegate/orders/{}/a.customer.test.json", issuer.key());
    scene.store.write(&key, b"{\"order\":").await.unwrap();
    issue(&issuer, "a.customer.test", None).await.0.unwrap();
}
