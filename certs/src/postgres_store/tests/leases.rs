use super::*;

#[tokio::test]
async fn a_lease_is_one_processes_until_it_gives_it_back_or_it_ends() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let first = one.lease("order/a", LIFE).await.unwrap().unwrap();
    assert_eq!(two.lease("order/a", LIFE).await.unwrap(), None);
    assert!(two.lease("order/b", LIFE).await.unwrap().is_some());
    assert!(one.keep(&first, LIFE).await.unwrap());
    one.release(&first).await.unwrap();
    let second = two.lease("order/a", LIFE).await.unwrap().unwrap();
    assert_ne!(first.token, second.token);
    assert!(!one.keep(&first, LIFE).await.unwrap(), "an old token fits no new lease");
    one.release(&first).await.unwrap();
    assert_eq!(one.lease("order/a", LIFE).await.unwrap(), None, "nor does it give one back");
    // The second runs out: it is given no more life.
    assert!(two.keep(&second, Duration::ZERO).await.unwrap());
    let third = one.lease("order/a", LIFE).await.unwrap().unwrap();
    assert!(!two.keep(&second, LIFE).await.unwrap());
    assert!(one.keep(&third, LIFE).await.unwrap());
}

#[tokio::test]
async fn of_many_that_come_at_once_one_gets_the_lease() {
    let bench = Bench::start().await;
    let stores = [Arc::new(bench.open().await), Arc::new(bench.open().await)];
    for round in 0..10 {
        let tries: Vec<_> = (0..20)
            .map(|i| {
                let (store, what) = (Arc::clone(&stores[i % 2]), format!("order/{round}"));
                tokio::spawn(async move { store.lease(&what, LIFE).await.unwrap() })
            })
            .collect();
        let mut granted = 0;
        for one in tries {
            granted += usize::from(one.await.unwrap().is_some());
        }
        assert_eq!(granted, 1);
    }
}

#[tokio::test]
async fn an_empty_or_senseless_lease_is_none() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    for row in [
        "('order/a', NULL, NULL, NULL)",
        "('order/a', 7, NULL, now() + interval '1 minute')",
        "('order/a', NULL, 'x', now() + interval '1 minute')",
        "('order/a', 9223372036854775807, 'x', 'infinity')",
        "('order/a', -1, '', now() + interval '10 years')",
        "('order/a', 7, 'x', '-infinity')",
    ] {
        bench.psql(&format!("TRUNCATE namegate_edge.leases; INSERT INTO namegate_edge.leases VALUES {row}"));
        assert!(store.lease("order/a", LIFE).await.unwrap().is_some(), "{row}");
    }
}

#[tokio::test]
async fn a_late_writer_changes_nothing() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let late = one.lease("order/a", Duration::ZERO).await.unwrap().unwrap();
    // The first was stopped for longer than its lease; the second orders and stores.
    let lease = two.lease("order/a", LIFE).await.unwrap().unwrap();
    let (stale, fresh) = (bundle(A), bundle(A));
    assert!(two.save_under(&lease, &name(A), &fresh).await.unwrap());
    assert!(!one.save_under(&late, &name(A), &stale).await.unwrap());
    two.release(&lease).await.unwrap();
    assert!(!one.save_under(&late, &name(A), &stale).await.unwrap(), "a lease that nobody has is not the old one");
    assert_eq!(one.load(&name(A)).await.unwrap().unwrap().chain_pem, fresh.chain_pem);
    assert_eq!(bench.psql("SELECT seq FROM namegate_edge.changes"), "1");
}

#[tokio::test]
async fn a_lease_that_ran_out_and_that_nobody_took_still_stores() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    let lease = store.lease("order/a", Duration::ZERO).await.unwrap().unwrap();
    assert!(store.save_under(&lease, &name(A), &bundle(A)).await.unwrap());
}

/// A takeover that comes between the look at the lease and the save would let both write.
#[tokio::test]
async fn of_a_save_and_a_takeover_at_once_one_is_first() {
    let bench = Bench::start().await;
    let (one, two) = (Arc::new(bench.open().await), bench.open().await);
    let (old, new) = (bundle(A), bundle(A));
    for round in 0..30 {
        let what = format!("order/{round}");
        let lease = one.lease(&what, Duration::ZERO).await.unwrap().unwrap();
        let (writer, late) = (Arc::clone(&one), old.clone());
        let saving = tokio::spawn(async move { writer.save_under(&lease, &name(A), &late).await.unwrap() });
        let taken = two.lease(&what, LIFE).await.unwrap().unwrap();
        assert!(two.save_under(&taken, &name(A), &new).await.unwrap());
        saving.await.unwrap();
        let kept = two.load(&name(A)).await.unwrap().unwrap();
        assert_eq!(kept.chain_pem, new.chain_pem, "round {round}: what was saved last, under the newer lease, stands");
    }
}

/// Whoever takes a lease over and has not come to an end with that yet: the save waits, and finds the lease gone.
#[tokio::test]
async fn a_save_waits_for_a_takeover_that_has_begun() {
    let bench = Bench::start().await;
    let store = Arc::new(bench.open().await);
    let lease = store.lease("order/a", LIFE).await.unwrap().unwrap();
    let takeover = bench.hold("UPDATE namegate_edge.leases SET token = nextval('namegate_edge.lease_tokens')").await;
    let (writer, fresh) = (Arc::clone(&store), bundle(A));
    let saving = tokio::spawn(async move { writer.save_under(&lease, &name(A), &fresh).await.unwrap() });
    bench.until_somebody_waits(&saving).await;
    takeover.commit().await.unwrap();
    assert!(!saving.await.unwrap());
    assert!(store.load(&name(A)).await.unwrap().is_none());
}
