//! After a restore, edges are told that the list is meant.

use std::time::Duration;

use crate::harness::on_both;

#[test]
fn a_restored_database_has_a_higher_epoch_and_is_confirmed_for_an_hour() {
    on_both(|bench| async move {
        // The whole of it: what is not named would be dropped with the closure, the folder of the database first.
        let bench = &bench;
        let before = bench.core.feed_standing().await.unwrap();
        assert!(!before.confirmed);
        bench.core.resume_from_backup().await.unwrap();
        let after = bench.core.feed_standing().await.unwrap();
        assert!(after.epoch > before.epoch && after.confirmed, "{before:?} {after:?}");
        bench.core.resume_from_backup().await.unwrap();
        assert!(bench.core.feed_standing().await.unwrap().epoch > after.epoch, "a second restore is another one");
        bench.clock.advance(Duration::from_hours(1));
        assert!(!bench.core.feed_standing().await.unwrap().confirmed);
    });
}
