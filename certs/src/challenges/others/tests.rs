use tokio::time::Instant;

use super::super::Challenges;
use super::*;
use crate::memory_store::MemoryStore;

const TOKEN: &str = "token";

/// An edge's challenges, and the store that it shares with others.
fn shared() -> (Arc<MemoryStore>, Arc<Challenges>) {
    let store = Arc::new(MemoryStore::default());
    store.share();
    let dynamic: Arc<dyn Store> = store.clone();
    let challenges = Arc::new(Challenges::shared(&dynamic, &prometheus::Registry::new()).unwrap());
    (store, challenges)
}

fn follow(challenges: &Arc<Challenges>) {
    tokio::spawn(challenges.clone().follow(tokio_util::sync::CancellationToken::new()));
}

fn name() -> Hostname {
    "a.example".parse().unwrap()
}

fn offer() -> Offer {
    Offer { name: name(), kind: ChallengeKind::Http01, token: TOKEN.into(), answer: "answer".into() }
}

async fn looked(store: &MemoryStore, times: usize) {
    store.looks().wait_for(|looks| *looks >= times).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn strangers_questions_cause_twenty_looks_in_a_second_at_most() {
    let (store, challenges) = shared();
    follow(&challenges);
    looked(&store, 1).await;
    let (begun, before) = (Instant::now(), *store.looks().borrow());
    while begun.elapsed() < Duration::from_secs(5) {
        assert_eq!(challenges.search_http(&name(), TOKEN).await, None);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let looks = *store.looks().borrow() - before;
    assert!((50..=101).contains(&looks), "{looks} looks in {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_by_what_is_offered_when_it_comes() {
    let (store, challenges) = shared();
    store.let_looks_end(false);
    follow(&challenges);
    // This look has seen nothing, and has not come to its end when the authority asks.
    looked(&store, 1).await;
    store.others_offer(offer());
    let asked = tokio::spawn({
        let challenges = challenges.clone();
        async move { challenges.search_http(&name(), TOKEN).await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    store.let_looks_end(true);
    assert_eq!(asked.await.unwrap().as_deref(), Some("answer"));
    assert!(begun.elapsed() < LOOK / 2, "a question causes a look: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_two_seconds_for_a_store_that_hangs() {
    let (store, challenges) = shared();
    store.let_looks_end(false);
    follow(&challenges);
    let begun = Instant::now();
    assert_eq!(challenges.search_http(&name(), TOKEN).await, None);
    assert!(challenges.search_alpn(&name()).await.is_none());
    assert_eq!(begun.elapsed().as_secs(), 4, "each for itself");
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_known_at_its_hint_and_without_one_within_a_second() {
    let (store, challenges) = shared();
    follow(&challenges);
    for (hint, within) in [(Some(OFFERS), Duration::from_millis(100)), (None, Duration::from_millis(1100))] {
        assert_eq!(challenges.find_http(&name(), TOKEN), None);
        tokio::time::sleep(GAP * 2).await;
        let begun = Instant::now();
        store.others_offer(offer());
        hint.into_iter().for_each(|hint| store.hint(hint));
        while challenges.find_http(&name(), TOKEN).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(begun.elapsed() <= within, "{hint:?}: {:?}", begun.elapsed());
        }
        store.nobody_offers();
        while challenges.find_http(&name(), TOKEN).is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_to_others_is_taken_back_with_its_order() {
    let (store, challenges) = shared();
    let mut guard = challenges.offer_http(&name(), TOKEN, "answer").unwrap();
    guard.show().await.unwrap();
    assert_eq!(store.withdrawn(), [0; 0]);
    drop(guard);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(store.withdrawn(), [7]);
}
