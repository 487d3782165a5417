//! Idempotency keys: the matrix of same and other, under way and done, dead and expired.

use std::time::Duration;

use control_plane::core::{Begun, CoreError, Replay};

use crate::harness::on_both;

#[test]
fn a_key_is_done_once_and_answered_as_often_as_it_is_sent() {
    on_both(|bench| async move {
        let account = bench.tenant("a").await.caller.account_id;
        let other = bench.tenant("b").await.caller.account_id;
        let core = &bench.core;
        let begin = async |account: &str, key: &str, print: &[u8]| core.begin_idempotent(account, key, print).await;
        assert_eq!(begin(&account, "k", b"1").await.unwrap(), Begun::Fresh);
        assert!(matches!(begin(&account, "k", b"1").await, Err(CoreError::IdempotencyInFlight)));
        assert!(matches!(begin(&account, "k", b"2").await, Err(CoreError::IdempotencyReused)));
        assert_eq!(begin(&other, "k", b"2").await.unwrap(), Begun::Fresh, "keys are an account's own");

        let answer = Replay { status: 201, body: "{}".to_owned() };
        let mut tx = core.begin().await.unwrap();
        core.finish_idempotent(&mut tx, &account, "k", &answer).await.unwrap();
        drop(tx);
        let undone = begin(&account, "k", b"1").await;
        assert!(matches!(undone, Err(CoreError::IdempotencyInFlight)), "what was not committed was not answered");
        let mut tx = core.begin().await.unwrap();
        core.finish_idempotent(&mut tx, &account, "k", &answer).await.unwrap();
        core.commit(tx).await.unwrap();
        assert_eq!(begin(&account, "k", b"1").await.unwrap(), Begun::Replay(answer));
        assert!(matches!(begin(&account, "k", b"2").await, Err(CoreError::IdempotencyReused)));

        bench.clock.advance(Duration::from_hours(24));
        assert_eq!(begin(&account, "k", b"2").await.unwrap(), Begun::Fresh, "a day later it is free");
        core.abandon_idempotent(&account, "k").await.unwrap();
        assert_eq!(begin(&account, "k", b"3").await.unwrap(), Begun::Fresh, "a failed request frees it");
        bench.clock.advance(Duration::from_mins(2));
        assert_eq!(begin(&account, "k", b"3").await.unwrap(), Begun::Fresh, "a dead request frees it");
    });
}
