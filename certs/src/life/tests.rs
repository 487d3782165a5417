use super::*;

const DAY: u64 = 24 * 3600;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn name() -> Subject {
    "shop.example".parse().unwrap()
}

fn ninety_days() -> Validity {
    Validity { not_before: at(0), not_after: at(90 * DAY) }
}

fn serving() -> State {
    State::Serving { not_after: at(90 * DAY), renew_at: at(60 * DAY) }
}

fn issuing(held_until: u64) -> State {
    State::Issuing { since: at(1), held_until: at(held_until), attempt: 1 }
}

#[test]
fn every_event_in_every_state_has_one_outcome() {
    let backoff = |until, held| State::Backoff { until: at(until), held_until: at(held), attempts: 2 };
    let refused = State::Refused { again_at: at(61 * DAY), held_until: at(90 * DAY) };
    let renewing = |now, attempt| State::Issuing { since: at(now), held_until: at(90 * DAY), attempt };
    let found = Event::Found { not_after: at(90 * DAY), renew_at: at(60 * DAY) };
    let cases = [
        // A name without a certificate.
        (
            State::Missing,
            Event::Wanted,
            5,
            State::Issuing { since: at(5), held_until: at(0), attempt: 1 },
            vec![Action::Order(Lane::New)],
        ),
        (issuing(0), Event::Wanted, 5, issuing(0), vec![]),
        (issuing(0), found, 5, serving(), vec![Action::Wake(at(60 * DAY))]),
        (
            issuing(0),
            Event::Failed { until: at(65), attempts: 1, held: None },
            5,
            State::Backoff { until: at(65), held_until: at(0), attempts: 1 },
            vec![Action::Forget],
        ),
        (backoff(65, 0), Event::Wanted, 64, backoff(65, 0), vec![]),
        (
            backoff(65, 0),
            Event::Wanted,
            65,
            State::Issuing { since: at(65), held_until: at(0), attempt: 3 },
            vec![Action::Order(Lane::New)],
        ),
        // A name with one.
        (serving(), Event::Wanted, 5, serving(), vec![]),
        (serving(), Event::Due, 59 * DAY, serving(), vec![Action::Wake(at(60 * DAY))]),
        (serving(), Event::Due, 60 * DAY, serving(), vec![Action::Ask]),
        (serving(), Event::Permitted, 60 * DAY, renewing(60 * DAY, 1), vec![Action::Order(Lane::Renewal)]),
        (serving(), Event::Stopped, 60 * DAY, refused, vec![Action::Wake(at(61 * DAY))]),
        (refused, Event::Due, 61 * DAY, refused, vec![Action::Ask]),
        (refused, Event::Permitted, 61 * DAY, renewing(61 * DAY, 1), vec![Action::Order(Lane::Renewal)]),
        (refused, Event::Due, 90 * DAY, State::Missing, vec![Action::Forget]),
        (refused, Event::Wanted, 61 * DAY, renewing(61 * DAY, 1), vec![Action::Order(Lane::New)]),
        (
            serving(),
            Event::Hinted { renew_at: at(7) },
            5,
            State::Serving { not_after: at(90 * DAY), renew_at: at(7) },
            vec![Action::Wake(at(7))],
        ),
        (issuing(0), Event::Hinted { renew_at: at(7) }, 5, issuing(0), vec![]),
        (issuing(0), Event::Permitted, 5, issuing(0), vec![]),
        (issuing(0), Event::Due, 5, issuing(0), vec![]),
        // A renewal that failed, far from the end and past it.
        (
            renewing(60 * DAY, 1),
            Event::Failed { until: at(61 * DAY), attempts: 1, held: Some(ninety_days()) },
            60 * DAY,
            State::Backoff { until: at(61 * DAY), held_until: at(90 * DAY), attempts: 1 },
            vec![Action::Wake(at(61 * DAY))],
        ),
        (
            backoff(61 * DAY, 90 * DAY),
            Event::Permitted,
            61 * DAY,
            renewing(61 * DAY, 3),
            vec![Action::Order(Lane::Retry)],
        ),
        (backoff(61 * DAY, 90 * DAY), Event::Due, 90 * DAY, State::Missing, vec![Action::Forget]),
        (serving(), Event::Wanted, 90 * DAY, renewing(90 * DAY, 1), vec![Action::Order(Lane::New)]),
    ];
    for (state, event, now, next, actions) in cases {
        assert_eq!(step(state, event, at(now)), (next, actions), "{state:?} {event:?} at {now}");
    }
}

#[test]
fn a_certificate_is_renewed_with_a_third_of_its_life_left_and_a_short_one_with_half() {
    const CASES: &[(u64, u64, u64)] = &[(90, 60, 63), (45, 30, 32), (6, 3, 4), (9, 4, 5)];
    for (days, earliest, latest) in CASES {
        let validity = Validity { not_before: at(0), not_after: at(days * DAY) };
        let renew_at = validity.renew_at(&name(), None);
        assert!(at(earliest * DAY) <= renew_at && renew_at <= at(latest * DAY), "{days}: {renew_at}");
    }
}

#[test]
fn the_window_of_the_ca_wins_until_the_emergency() {
    let hint = |start, end| Some(RenewalHint { start: at(start), end: at(end), ask_again: at(0) });
    let validity = ninety_days();
    let inside = validity.renew_at(&name(), hint(10 * DAY, 12 * DAY));
    assert!(at(10 * DAY) <= inside && inside < at(12 * DAY));
    assert_eq!(validity.renew_at(&name(), hint(10 * DAY, 12 * DAY)), inside, "the point never moves");
    assert_eq!(validity.renew_at(&name(), hint(89 * DAY, 90 * DAY)), at(90 * DAY - 90 * DAY / 20));
    assert_eq!(validity.renew_at(&name(), hint(5, 4)), at(5), "a window that ends before it starts is a point");
}

#[test]
fn in_the_last_twentieth_of_its_life_a_renewal_is_tried_despite_backoff_at_a_bounded_pace() {
    let validity = ninety_days();
    let emergency = 90 * DAY - 90 * DAY / 20;
    // Back-off of a day, told long before the emergency, is kept; one that reaches into it is cut to its start.
    assert_eq!(validity.retry_at(at(62 * DAY), at(61 * DAY)), at(62 * DAY));
    assert_eq!(validity.retry_at(at(88 * DAY), at(85 * DAY)), at(emergency));
    // Within it the pace rules.
    assert_eq!(validity.retry_at(at(89 * DAY), at(emergency)), at(emergency + 6 * 3600));
    let minute = Validity { not_before: at(0), not_after: at(60) };
    assert_eq!(minute.retry_at(at(120), at(58)), at(68));
}

#[test]
fn a_planned_name_costs_24_bytes_of_state() {
    assert_eq!(size_of::<State>(), 24);
}
