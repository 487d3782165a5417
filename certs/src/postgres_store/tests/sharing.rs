use super::*;
use crate::{ChallengeKind, Offer};

#[tokio::test]
async fn edges_that_start_at_once_on_an_empty_database_all_get_a_store() {
    let bench = Bench::start().await;
    let opened = futures_of(6, || bench.open()).await;
    opened[0].save(&name(A), &bundle(A)).await.unwrap();
    for store in &opened {
        assert!(store.load(&name(A)).await.unwrap().is_some());
    }
}

async fn futures_of<T, F: Future<Output = T>>(count: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut open: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        open.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(out) => {
                done.push(out);
                false
            }
            std::task::Poll::Pending => true,
        });
        if open.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn nothing_of_a_key_is_in_the_database_in_clear() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    let kept = bundle(A);
    store.save(&name(A), &kept).await.unwrap();
    store.write("namegate/orders/x/a.json", br#"{"key":"-----BEGIN PRIVATE KEY-----"}"#).await.unwrap();
    let dump = bench.psql("SELECT encode(sealed_key, 'escape') FROM namegate_edge.certificates")
        + &bench.psql("SELECT encode(sealed, 'escape') FROM namegate_edge.documents");
    assert!(!dump.is_empty() && !dump.contains("PRIVATE KEY"), "{dump}");
    assert!(!format!("{store:?}").contains("postgres://"), "{store:?}");
}

#[tokio::test]
async fn changes_come_in_their_order_and_none_is_missed_by_a_reader_among_writers() {
    let bench = Bench::start().await;
    let (writer, reader) = (Arc::new(bench.open().await), bench.open().await);
    let start = reader.changes(None).await.unwrap();
    assert!(start.entries.is_empty());
    let writers: Vec<_> = (0..40)
        .map(|i| {
            let (store, text) = (Arc::clone(&writer), format!("n{i}.example.com"));
            tokio::spawn(async move { store.save(&name(&text), &bundle(&text)).await.unwrap() })
        })
        .collect();
    let (mut seq, mut seen) = (start.seq, std::collections::BTreeSet::new());
    while seen.len() < 40 {
        let changes = reader.changes(Some(seq)).await.unwrap();
        assert!(changes.seq >= seq);
        for entry in changes.entries {
            assert!(seen.insert(entry.name.to_string()), "{} came twice", entry.name);
        }
        if changes.seq == 40 {
            break;
        }
        seq = changes.seq;
    }
    assert_eq!(seen.len(), 40);
    for writer in writers {
        writer.await.unwrap();
    }
    let again = reader.changes(Some(40)).await.unwrap();
    assert_eq!((again.entries.len(), again.seq, again.more), (0, 40, false));
    // A database that was put back to an earlier day is read from its start.
    assert_eq!(reader.changes(Some(1000)).await.unwrap().entries.len(), 40);
}

/// More than one piece, of a store that others write to.
#[tokio::test]
async fn many_changes_come_in_pieces_the_oldest_first() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    store.save(&name(A), &bundle(A)).await.unwrap();
    bench.psql(
        "INSERT INTO namegate_edge.certificates
            SELECT 'n' || seq || '.example.com', issuer, chain_pem, sealed_key, meta, not_before, not_after, seq
            FROM (SELECT issuer, chain_pem, sealed_key, meta, not_before, not_after FROM namegate_edge.certificates) one,
                generate_series(2, 600) seq",
    );
    bench.psql("UPDATE namegate_edge.changes SET seq = 600");
    let (mut seq, mut seen) = (0, Vec::new());
    loop {
        let changes = store.changes(Some(seq)).await.unwrap();
        assert!(changes.entries.len() <= 300, "a piece is bounded");
        assert!(seq < changes.seq && changes.seq <= 600);
        seen.extend(changes.entries.into_iter().map(|entry| entry.name.to_string()));
        seq = changes.seq;
        if !changes.more {
            break;
        }
        assert_eq!(seq, seen.len() as u64, "the next look goes on behind what came");
    }
    let mut expected = vec![A.to_owned()];
    expected.extend((2..=600).map(|n| format!("n{n}.example.com")));
    assert_eq!((seq, seen), (600, expected));
}

/// Waits for a hint about this, and passes over others.
async fn hint(hints: &mut broadcast::Receiver<Arc<str>>, about: &str) {
    while *hints.recv().await.unwrap() != *about {}
}

/// Waits until a process hears of what another one does again and again.
async fn hears<F: Future<Output = ()>>(store: &PostgresStore, about: &str, act: impl Fn() -> F) {
    let mut hints = store.hints();
    let begun = std::time::Instant::now();
    loop {
        act().await;
        // Whoever listens may still be connecting: a hint may be lost, not all of them.
        if tokio::time::timeout(Duration::from_millis(200), hint(&mut hints, about)).await.is_ok() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody is told of {about}");
    }
}

#[tokio::test]
async fn a_save_rings_the_bell_of_every_process() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    hears(&two, crate::fleet::CERTIFICATES, async || one.save(&name(A), &bundle(A)).await.unwrap()).await;
}

#[tokio::test]
async fn whoever_waits_for_a_lease_or_a_challenge_hears_of_it() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let give_back = async || {
        let lease = one.lease("order/a", LIFE).await.unwrap().unwrap();
        one.release(&lease).await.unwrap();
    };
    hears(&two, "order/a", give_back).await;
    let shown = std::cell::Cell::new(0);
    hears(&two, crate::fleet::OFFERS, async || shown.set(one.offer(&offer("token")).await.unwrap())).await;
    hears(&two, crate::fleet::OFFERS, async || one.withdraw(shown.get()).await.unwrap()).await;
}

/// What a listener missed while it was away may have been anything.
#[tokio::test]
async fn whoever_listens_anew_is_told_to_look() {
    let bench = Bench::start().await;
    let store = bench.open().await;
    hears(&store, crate::fleet::CERTIFICATES, async || store.save(&name(A), &bundle(A)).await.unwrap()).await;
    let mut hints = store.hints();
    bench.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    tokio::time::timeout(Duration::from_secs(20), hint(&mut hints, "")).await.unwrap();
}

fn offer(token: &str) -> Offer {
    Offer {
        name: A.parse().unwrap(),
        kind: ChallengeKind::Http01,
        token: token.to_owned(),
        answer: format!("{token}.thumb"),
    }
}

#[tokio::test]
async fn a_challenge_is_seen_by_the_others_until_it_is_withdrawn_or_too_old() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let first = one.offer(&offer("first")).await.unwrap();
    let second = one.offer(&offer("second")).await.unwrap();
    assert_eq!(two.offers().await.unwrap(), [(first, offer("first")), (second, offer("second"))]);
    assert_eq!(one.offers().await.unwrap(), [], "a process knows its own");
    two.withdraw(first).await.unwrap();
    assert_eq!(two.offers().await.unwrap().len(), 2, "an offer is taken back by whoever made it");
    one.withdraw(first).await.unwrap();
    assert_eq!(two.offers().await.unwrap(), [(second, offer("second"))]);
    let stands = "SELECT bool_and(expires - now() BETWEEN '15 minutes' AND '20 minutes') FROM namegate_edge.offers";
    assert_eq!(bench.psql(stands), "t", "longer than an order, and not for ever");
    bench.psql("UPDATE namegate_edge.offers SET expires = now() - interval '1 second'");
    assert_eq!(two.offers().await.unwrap(), []);
    bench.psql("UPDATE namegate_edge.offers SET expires = now() + interval '1 second', kind = 'odd'");
    assert_eq!(two.offers().await.unwrap(), [], "what cannot be understood is passed over");
    bench.psql("UPDATE namegate_edge.offers SET expires = now() - interval '1 second'");
    one.offer(&offer("third")).await.unwrap();
    assert_eq!(bench.psql("SELECT count(*) FROM namegate_edge.offers"), "1", "what ran out is swept");
}
