use super::*;
use crate::memory_store::MemoryStore;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_piece_of_work_of_another_process_is_waited_for_a_minute_and_no_longer_than_it_takes() {
    let store = MemoryStore::default();
    store.share();
    let lease = store.lease("account/x", HOUR).await.unwrap().unwrap();
    let begun = Instant::now();
    let waited = tokio::time::timeout(HOUR, alone(&store, "account/x", HOUR)).await.unwrap();
    assert!(matches!(waited, Err(StoreError::Io { .. })), "{waited:?}");
    assert!((60..62).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());

    let (begun, given_back) = (Instant::now(), Duration::from_secs(5));
    let give_back = async {
        tokio::time::sleep(given_back).await;
        store.release(&lease).await.unwrap();
    };
    let (taken, ()) = tokio::join!(alone(&store, "account/x", HOUR), give_back);
    assert!(taken.unwrap().is_some());
    assert!(begun.elapsed() - given_back < LOOK / 2, "it is told: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn hints_about_other_things_end_no_wait() {
    let store = MemoryStore::default();
    store.share();
    let mut hints = store.hints();
    let begun = Instant::now();
    store.hint("certificates");
    hinted(&mut hints, "offers", HOUR).await;
    assert_eq!(begun.elapsed(), HOUR);
    for about in ["offers", ""] {
        store.hint(about);
        hinted(&mut hints, "offers", HOUR).await;
    }
    assert_eq!(begun.elapsed(), HOUR, "one about it and one about nothing in particular do");
}
