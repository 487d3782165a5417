use clock::Clock;

use super::{
    super::*,
    scene::{DAY, LIFE, Scene, Script, name, subject, tenant, until, within},
};

fn quick() -> Settings {
    Settings { lease: Duration::from_millis(300), ..Settings::default() }
}

fn patient() -> Settings {
    Settings { lease: Duration::from_secs(60), handshake_wait: Duration::from_secs(60), ..Settings::default() }
}

/// Starts a visit that is waited for later.
fn visit(scene: &Scene, text: &'static str) -> tokio::task::JoinHandle<Obtained> {
    let certificates = scene.certificates.clone();
    tokio::spawn(async move { certificates.obtain(&name(text), None).await })
}

#[tokio::test]
async fn visitors_of_two_edges_make_one_order_and_get_one_certificate() {
    let (one, two) = Scene::two(patient());
    one.ca.close_doors();
    let visits: Vec<_> = (0..200).map(|i| visit([&one, &two][i % 2], "a.example")).collect();
    one.ca.ordered(1).await;
    // Long enough for the other edge to have come and been sent to wait.
    tokio::time::sleep(Duration::from_millis(50)).await;
    one.ca.open_doors();
    let mut serials = std::collections::BTreeSet::new();
    for visit in visits {
        serials.insert(within(visit).await.unwrap().unwrap().serial().to_owned());
    }
    assert_eq!((serials.len(), one.ca.orders()), (1, 1));
    assert_eq!([one.ear.heard(), two.ear.heard()].concat(), ["a.example issued at attempt 1"], "one edge tells of it");
    until(|| one.store.leased().is_empty()).await;
}

#[tokio::test]
async fn a_failure_of_one_edge_is_heard_by_the_other_which_does_not_order_again() {
    let (one, two) = Scene::two(patient());
    one.ca.close_doors();
    one.ca.script(Script::Refuse("unauthorized"));
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    let second = visit(&two, "a.example");
    tokio::time::sleep(Duration::from_millis(50)).await;
    one.ca.open_doors();
    assert!(matches!(within(first).await.unwrap(), Err(ObtainError::Failed { .. })));
    let heard = within(second).await.unwrap().map(|_| ()).unwrap_err();
    assert!(matches!(&heard, ObtainError::BackingOff { failure, .. } if failure.attempts == 1), "{heard}");
    assert!(matches!(two.obtain("a.example").await, Err(ObtainError::BackingOff { .. })));
    assert_eq!(one.ca.orders(), 1);
    // The ladder goes on across edges, and a success on either clears it for both.
    one.clock.advance(Duration::from_secs(70));
    two.obtain("a.example").await.unwrap();
    assert_eq!(one.ca.orders(), 2);
    until(|| !two.ca.settled.lock().is_empty()).await;
    assert_eq!(
        one.obtain("a.example").await.unwrap().not_before(),
        two.obtain("a.example").await.unwrap().not_before()
    );
}

#[tokio::test]
async fn an_edge_that_dies_with_the_lease_is_followed_by_the_other_when_it_ends() {
    let (one, two) = Scene::two(quick());
    // A process that was killed: its lease stands, and nobody keeps it.
    let fleet = one.store.fleet().unwrap();
    fleet.lease("order/a.example", Duration::from_millis(300)).await.unwrap().unwrap();
    let begun = Instant::now();
    two.obtain("a.example").await.unwrap();
    assert!(Duration::from_millis(250) < begun.elapsed() && begun.elapsed() < Duration::from_secs(5));
    assert_eq!(two.ca.orders(), 1);
}

#[tokio::test]
async fn a_lease_is_kept_as_long_as_its_order_takes() {
    let (one, two) = Scene::two(quick());
    one.ca.close_doors();
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    let second = visit(&two, "a.example");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(one.ca.orders(), 1, "three lives of the lease have passed");
    one.ca.open_doors();
    let serial = within(first).await.unwrap().unwrap().serial().to_owned();
    assert_eq!(within(second).await.unwrap().unwrap().serial(), serial);
}

#[tokio::test]
async fn a_late_writer_serves_what_the_store_has() {
    let (one, two) = Scene::two(patient());
    one.ca.close_doors();
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    // The process stands still for longer than its lease; another one has ordered meanwhile.
    one.store.steal_leases();
    let theirs = one.ca.bundle(&subject("a.example"), one.clock.now() - DAY);
    two.certificates.insert(&subject("a.example"), &theirs).await.unwrap();
    one.ca.open_doors();
    let served = within(first).await.unwrap().unwrap();
    assert_eq!(served.serial(), two.obtain("a.example").await.unwrap().serial());
    let stored = one.store.load(&subject("a.example")).await.unwrap().unwrap();
    assert_eq!(stored.chain_pem, theirs.chain_pem);
    assert_eq!(one.ear.heard(), [""; 0], "nothing was issued here");
}

#[tokio::test]
async fn an_order_whose_lease_is_lost_is_given_up_while_it_runs() {
    let (one, _two) = Scene::two(quick());
    one.ca.close_doors();
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    one.store.steal_leases();
    // It waits for the other one, whose lease ends without a certificate; then it orders once more, while the first order
    // would still be waiting for the CA.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(one.ca.orders(), 1);
    one.store.end_leases();
    one.ca.ordered(2).await;
    one.ca.open_doors();
    within(first).await.unwrap().unwrap();
    assert_eq!(one.ca.orders(), 2);
}

/// It may have been taken over meanwhile.
#[tokio::test]
async fn an_order_is_given_up_when_the_store_cannot_be_asked_for_as_long_as_its_lease_lasts() {
    let (one, _two) = Scene::two(quick());
    one.ca.close_doors();
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    one.store.break_down();
    assert!(matches!(within(first).await.unwrap(), Err(ObtainError::Load(LoadError::Store(_)))));
}

#[tokio::test]
async fn a_store_that_fails_for_a_moment_costs_no_order() {
    let (one, _two) = Scene::two(Settings { lease: Duration::from_secs(6), ..patient() });
    one.ca.close_doors();
    let first = visit(&one, "a.example");
    one.ca.ordered(1).await;
    // The lease is kept every two seconds: once it fails.
    one.store.break_down();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    one.store.mend();
    one.ca.open_doors();
    within(first).await.unwrap().unwrap();
    assert_eq!(one.ca.orders(), 1);
}

#[tokio::test]
async fn without_the_store_nothing_is_ordered_and_known_names_are_served() {
    let (one, two) = Scene::two(patient());
    one.obtain("a.example").await.unwrap();
    two.obtain("a.example").await.unwrap();
    one.store.break_down();
    for scene in [&one, &two] {
        assert!(scene.certificates.find(&name("a.example"), None).is_some());
        assert!(matches!(scene.obtain("b.example").await, Err(ObtainError::Load(LoadError::Store(_)))));
    }
    assert_eq!(one.ca.orders(), 1);
}

#[tokio::test]
async fn a_certificate_of_another_edge_takes_the_place_of_the_one_in_memory() {
    let (one, two) = Scene::two(patient());
    let _running = (one.run(), two.run());
    one.certificates.scanned().await;
    two.certificates.scanned().await;
    let old = one.obtain("a.example").await.unwrap();
    two.obtain("a.example").await.unwrap();
    one.clock.advance(DAY);
    let young = one.ca.bundle(&subject("a.example"), one.clock.now());
    one.certificates.insert(&subject("a.example"), &young).await.unwrap();
    until(|| two.certificates.find(&name("a.example"), None).is_some_and(|leaf| leaf.serial() != old.serial())).await;
    assert!(!two.certificates.is_planned(&subject("b.example")));
    one.obtain("b.example").await.unwrap();
    until(|| two.certificates.is_planned(&subject("b.example"))).await;
}

#[tokio::test]
async fn a_renewal_is_planned_by_all_and_ordered_by_one() {
    let (one, two) = Scene::two(patient());
    for i in 0..20 {
        one.stored(&format!("n{i}.example"), LIFE * 2 / 3 - DAY).await;
    }
    let _running = (one.run(), two.run());
    one.certificates.scanned().await;
    two.certificates.scanned().await;
    until(|| {
        one.clock.advance(Duration::from_secs(600));
        one.ca.orders() >= 20
    })
    .await;
    // Whoever did not order has taken the new ones over, and has nothing to do.
    for _ in 0..20 {
        one.clock.advance(Duration::from_secs(3600));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(one.ca.orders(), 20);
    let renewed = [one.ear.heard(), two.ear.heard()].concat();
    assert_eq!(renewed.iter().filter(|told| told.contains("renewed")).count(), 20, "{renewed:?}");
}

#[tokio::test]
async fn a_renewal_takes_over_only_what_is_younger_valid_and_of_the_same_tenant() {
    let now = Scene::new().clock.now();
    let aged = |days: u32| now - DAY * days;
    let [long_ago, valid] = [aged(400), aged(60)];
    for (what, held, stored, tenant_of_stored, takes_over) in [
        ("younger", valid, aged(1), "app_1", true),
        ("of the same second", valid, valid, "app_1", true),
        ("older", valid, aged(61), "app_1", false),
        ("over", long_ago, aged(300), "app_1", false),
        ("not valid yet", valid, now + DAY, "app_1", false),
        ("another tenant's", valid, aged(1), "app_2", false),
    ] {
        let (one, _two) = Scene::two(patient());
        let (name, ours) = (subject("a.example"), tenant("app_1"));
        one.hand_over("a.example", "app_1");
        let held = one.ca.bundle(&name, held).of(Some(&ours));
        let stored = one.ca.bundle(&name, stored).of(Some(&tenant(tenant_of_stored)));
        one.store.save(&name, &stored).await.unwrap();
        let shared = &one.certificates.0;
        let leaf = within(shared.try_order(&name, Some(&ours), Lane::Renewal, Some(&held))).await.unwrap();
        let serial = parse(&stored).unwrap().serial().to_owned();
        assert_eq!((leaf.serial() == serial, one.ca.orders()), (takes_over, usize::from(!takes_over)), "{what}");
    }
}

#[tokio::test]
async fn of_what_other_edges_store_only_what_is_younger_and_valid_is_taken_up() {
    let (one, two) = Scene::two(patient());
    assert!(two.certificates.load(&name("missing.example"), None).await.unwrap().is_none());
    let _running = two.run();
    two.certificates.scanned().await;
    let kept = [two.obtain("a.example").await.unwrap(), two.obtain("b.example").await.unwrap()];
    let now = one.clock.now();
    let bundle = |text: &str, from| one.ca.bundle(&subject(text), from);
    for (text, bundle) in [
        ("a.example", bundle("a.example", now - DAY)),
        ("b.example", bundle("b.example", now + DAY)),
        ("*.wild.example", bundle("*.wild.example", now)),
        ("expired.example", bundle("expired.example", now - LIFE - DAY)),
        ("missing.example", bundle("missing.example", now)),
        // Whoever has taken this one up has looked at all before it.
        ("last.example", bundle("last.example", now)),
    ] {
        one.store.save(&subject(text), &bundle).await.unwrap();
    }
    until(|| two.certificates.is_planned(&subject("last.example"))).await;
    for (text, kept) in ["a.example", "b.example"].into_iter().zip(kept) {
        assert_eq!(two.certificates.find(&name(text), None).unwrap().serial(), kept.serial(), "{text}");
    }
    for text in ["*.wild.example", "expired.example"] {
        assert!(!two.certificates.is_planned(&subject(text)), "{text}");
    }
    let found = two.certificates.load(&name("missing.example"), None).await.unwrap();
    assert!(found.is_some(), "a name that was missing is looked for again");
}

#[tokio::test]
async fn while_another_edge_orders_this_one_has_room_for_its_own_names() {
    let (one, two) = Scene::two(Settings { orders_in_flight: 1, ..patient() });
    let fleet = one.store.fleet().unwrap();
    let lease = fleet.lease("order/a.example", LIFE).await.unwrap().unwrap();
    let waiting = visit(&two, "a.example");
    until(|| two.store.loads() > 1).await;
    let begun = Instant::now();
    within(two.obtain("b.example")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    fleet.release(&lease).await.unwrap();
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_order_of_another_edge_is_waited_for_ten_minutes() {
    let (one, two) = Scene::two(patient());
    one.store.fleet().unwrap().lease("order/a.example", LIFE).await.unwrap().unwrap();
    let (begun, a) = (Instant::now(), subject("a.example"));
    let waited = tokio::time::timeout(Duration::from_secs(3600), two.certificates.obtain_ahead(&a, None));
    assert!(matches!(waited.await.unwrap(), Err(ObtainError::StillIssuing { .. })));
    assert!((600..610).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(one.ca.orders(), 0);
}
