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

#[tokio::test]
async fn a_save_rings_the_bell_of_every_process() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let mut hints = two.hints();
    // Whoever listens may still be connecting: a hint may be lost, not all of them.
    let heard = async {
        loop {
            one.save(&name(A), &bundle(A)).await.unwrap();
            match tokio::time::timeout(Duration::from_millis(200), hints.recv()).await {
                Ok(Ok(hint)) if !hint.is_empty() => break hint,
                _ => {}
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
    assert_eq!(&*heard, crate::fleet::CERTIFICATES);
}

#[tokio::test]
async fn a_challenge_is_seen_by_the_others_until_it_is_withdrawn_or_too_old() {
    let bench = Bench::start().await;
    let (one, two) = (bench.open().await, bench.open().await);
    let offer = |token: &str| Offer {
        name: A.parse().unwrap(),
        kind: ChallengeKind::Http01,
        token: token.to_owned(),
        answer: format!("{token}.thumb"),
    };
    let first = one.offer(&offer("first")).await.unwrap();
    let second = one.offer(&offer("second")).await.unwrap();
    assert_eq!(two.offers().await.unwrap(), [(first, offer("first")), (second, offer("second"))]);
    assert_eq!(one.offers().await.unwrap(), [], "a process knows its own");
    two.withdraw(first).await.unwrap();
    assert_eq!(two.offers().await.unwrap().len(), 2, "an offer is taken back by whoever made it");
    one.withdraw(first).await.unwrap();
    assert_eq!(two.offers().await.unwrap(), [(second, offer("second"))]);
    bench.psql("UPDATE namegate_edge.offers SET expires = now() - interval '1 second', kind = 'odd'");
    assert_eq!(two.offers().await.unwrap(), []);
    one.offer(&offer("third")).await.unwrap();
    assert_eq!(bench.psql("SELECT count(*) FROM namegate_edge.offers"), "1", "what ran out is swept");
}
