use clock::ManualClock;

use super::*;
use crate::memory_store::MemoryStore;

fn name() -> Subject {
    "shop.example".parse().unwrap()
}

fn issuer() -> IssuerKey {
    IssuerKey::new("ca")
}

fn refused(kind: &str, retry_after: Option<Duration>) -> Attempt {
    Attempt::new(
        &issuer(),
        &IssueError::Refused {
            kind: kind.to_owned(),
            detail: "no".to_owned(),
            problem: serde_json::json!({"type": kind, "subproblems": []}),
            retry_after,
            authorization: true,
        },
    )
}

fn unreachable() -> Attempt {
    Attempt::new(&issuer(), &IssueError::Unreachable { problem: "refused".to_owned(), retry_after: None })
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

/// The waits of failures that follow one another as soon as they may.
fn waits(attempt: &Attempt, count: usize) -> Vec<u64> {
    let mut failure = Failure::default();
    let mut now = at(1_000_000);
    let mut waits = Vec::new();
    for _ in 0..count {
        failure = failure.after(&name(), vec![attempt.clone()], 0, now);
        waits.push(failure.next_order().since(now).as_secs());
        now = failure.next_order();
    }
    waits
}

#[test]
fn a_name_at_fault_waits_a_minute_ten_a_hundred_and_then_a_day() {
    let waits = waits(&refused("dns", None), 5);
    for (wait, rung) in waits.iter().zip([60, 600, 6000, 86_400, 86_400]) {
        assert!((rung..=rung + rung / 10).contains(wait), "{wait} after {rung}");
    }
}

#[test]
fn a_ca_that_is_down_costs_the_name_seconds_and_no_attempt() {
    let waits = waits(&unreachable(), 9);
    assert!((5..=6).contains(&waits[0]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 330), "{waits:?}");
    let failure = Failure::default().after(&name(), vec![unreachable()], 0, at(5));
    assert_eq!((failure.attempts, failure.outages), (0, 1));
    assert!(!failure.is_the_names());
}

#[test]
fn retry_after_raises_the_wait_and_never_lowers_it() {
    let wait = |retry_after| waits(&refused("dns", Some(Duration::from_secs(retry_after))), 1)[0];
    assert!((3600..=3960).contains(&wait(3600)));
    assert!((60..=66).contains(&wait(5)));
    assert!(wait(u64::MAX / 4000) <= 8 * 24 * 3600, "a CA cannot silence a name for ever");
}

#[test]
fn a_limit_of_the_ca_is_honoured_to_the_second_without_climbing_the_ladder() {
    let failure =
        Failure::default().after(&name(), vec![refused("rateLimited", Some(Duration::from_secs(7200)))], 0, at(0));
    assert_eq!(failure.attempts, 0);
    assert!(failure.next_order() >= at(7200));
    assert!(failure.is_the_names(), "a restart must not forget it");
}

#[test]
fn no_hour_sees_more_than_four_failed_authorizations_of_a_name() {
    let mut failure = Failure::default();
    let mut times = Vec::new();
    let mut now = at(1_000_000);
    while times.len() < 40 {
        // The ladder is taken away: the budget alone must hold.
        now = now.max(failure.next_authorization()) + Duration::from_secs(1);
        failure = failure.after(&name(), vec![refused("unauthorized", None)], 2, now);
        times.extend([now, now]);
    }
    for window in times.windows(5) {
        assert!(window[4].since(window[0]) >= AUTHORIZATION_WINDOW, "{window:?}");
    }
}

#[tokio::test]
async fn a_failure_outlives_the_process_and_a_success_removes_it() {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let open = || Failures::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&clock) as SharedClock);
    let (recorded, saved) = open().record(&name(), vec![refused("caa", None)], 1).await;
    saved.unwrap();
    let loaded = open().load(&name()).await.unwrap().unwrap();
    assert_eq!(loaded, recorded);
    assert_eq!(loaded.last[0].reason, "caa");
    assert_eq!(loaded.last[0].problem, Some(serde_json::json!({"type": "caa", "subproblems": []})));
    open().clear(&name()).await.unwrap();
    assert_eq!(open().load(&name()).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_counts_as_none_and_a_store_error_does_not() {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let failures = Failures::new(Arc::clone(&store) as Arc<dyn Store>, clock);
    store.write(&key(&name()), b"{ torn").await.unwrap();
    assert_eq!(failures.load(&name()).await.unwrap(), None);
    store.break_down();
    assert!(failures.load(&name()).await.is_err());
}

#[test]
fn a_huge_problem_is_cut() {
    let mut text = "ü".repeat(10_000);
    truncate(&mut text);
    assert!(text.len() <= PROBLEM_LONGEST && text.len() > PROBLEM_LONGEST - 4);
}

fn obstacle() -> Attempt {
    let obstacle = crate::Obstacle { code: "caa_forbids", found: "no".to_owned(), remedy: "yes".to_owned() };
    Attempt::new(&issuer(), &IssueError::Obstacle(obstacle))
}

#[test]
fn an_obstacle_climbs_a_ladder_of_its_own_and_is_forgotten_with_the_process() {
    let waits = waits(&obstacle(), 20);
    for (wait, rung) in waits.iter().zip([60, 120, 240, 480].into_iter().chain(std::iter::repeat(600))) {
        assert!((rung..=rung + rung / 10).contains(wait), "{wait} after {rung}");
    }
    let failure = Failure::default().after(&name(), vec![obstacle()], 0, at(5));
    assert_eq!((failure.attempts, failure.in_a_row()), (0, 1));
    assert!(!failure.is_the_names());
}

#[test]
fn an_obstacle_at_one_ca_never_keeps_another_that_was_down_from_being_tried_soon() {
    let wait = |attempts: &[Attempt]| {
        let failure = Failure::default().after(&name(), attempts.to_vec(), 0, at(1000));
        failure.next_order().since(at(1000)).as_secs()
    };
    assert!((5..=6).contains(&wait(&[obstacle(), unreachable()])));
    let refused = refused("unauthorized", None);
    assert!((60..=66).contains(&wait(&[obstacle(), refused.clone()])));
    let after = Failure::default().after(&name(), vec![obstacle(), refused], 1, at(1000));
    assert_eq!(after.attempts, 1);
}
