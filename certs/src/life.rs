//! The life of one certificate as data: [`step`] is told what happened and says what to do; the manager does it.
//!
//! Nothing here waits, reads a clock, or knows an issuer or a store. `held_until` is the end of the certificate that is
//! served meanwhile, [`Timestamp::EPOCH`] when there is none: kept so small because a fleet plans 100,000 names.

use std::time::Duration;

use clock::Timestamp;
use names::Subject;

use crate::{RenewalHint, jitter::jitter};

/// Certificates that live shorter than this are renewed at half of their life, as there are few days for retries.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 24 * 3600);
/// The last 1/20 of a life is an emergency: attempts despite back-off, and no later wish of the CA counts.
const EMERGENCY: u32 = 20;
/// Renewals are moved back by up to this part of the life left, so that certificates of one day spread.
const SPREAD: u32 = 10;
/// Attempts in an emergency are this part of the life apart …
const EMERGENCY_PACE: u32 = 200;
/// … but not closer than this, whatever the life …
const EMERGENCY_SHORTEST: Duration = Duration::from_secs(10);
/// … and not farther than this.
const EMERGENCY_LONGEST: Duration = Duration::from_secs(6 * 3600);
/// A name that the gate refused is asked about again after this time while its certificate lives.
const ASK_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Where a name's certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The last order failed.
    Backoff { until: Timestamp, held_until: Timestamp, attempts: u32 },
    /// An order is in flight.
    Issuing { since: Timestamp, held_until: Timestamp, attempt: u32 },
    /// There is no certificate that may be served.
    Missing,
    /// The gate does not want a renewal.
    Refused { again_at: Timestamp, held_until: Timestamp },
    /// A certificate is served.
    Serving { not_after: Timestamp, renew_at: Timestamp },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The moment that was asked for by [`Action::Wake`] has come.
    Due,
    /// The order failed; `until` is what the failure memory says.
    Failed { until: Timestamp, attempts: u32, held: Option<Validity> },
    /// A certificate was issued, met in the store, or imported.
    Found { not_after: Timestamp, renew_at: Timestamp },
    /// The issuer changed its mind about the renewal.
    Hinted { renew_at: Timestamp },
    /// The gate allows the renewal, or could not be asked: an outage of the gate takes no certificate away.
    Permitted,
    /// The gate refuses the renewal.
    Stopped,
    /// Somebody needs a certificate now and there is none.
    Wanted,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask the gate whether the name is still wanted.
    Ask,
    /// Leave the plan.
    Forget,
    /// Place an order.
    Order(Lane),
    /// Come back with [`Event::Due`].
    Wake(Timestamp),
}

/// Which queue an order stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// A name without a certificate; somebody waits.
    New,
    /// A renewal; nobody waits.
    Renewal,
    /// A renewal that failed before. Its wait is over, or cut short by the emergency: the failure memory's word on when
    /// to try is not asked for again, only its budget of failed authorizations.
    Retry,
}

/// A certificate's period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    fn life(self) -> Duration {
        self.not_after.since(self.not_before)
    }

    /// When the emergency starts.
    fn emergency(self) -> Timestamp {
        self.not_after - self.life() / EMERGENCY
    }

    /// When to renew by our own rule: with 1/3 of the life left, 1/2 of a short one, and a little later for some.
    fn ratio(self, name: &Subject) -> Timestamp {
        let left = match self.life() < SHORT_LIFE {
            true => self.life() / 2,
            false => self.life() / 3,
        };
        self.not_after - left + jitter(name, "renew", left / SPREAD)
    }

    /// When to renew: at the name's point of the window that the CA suggests, else by our own rule; never later than
    /// the start of the emergency.
    pub(crate) fn renew_at(self, name: &Subject, hint: Option<RenewalHint>) -> Timestamp {
        let wished = match hint {
            Some(hint) => hint.start + jitter(name, "window", hint.end.since(hint.start)),
            None => self.ratio(name),
        };
        wished.min(self.emergency())
    }

    /// When to try again after a failure for which the failure memory says `until`.
    fn retry_at(self, until: Timestamp, now: Timestamp) -> Timestamp {
        let pace = (self.life() / EMERGENCY_PACE).clamp(EMERGENCY_SHORTEST, EMERGENCY_LONGEST);
        until.min(self.emergency().max(now + pace))
    }
}

impl State {
    /// The end of the certificate that is served in this state, if any.
    pub(crate) fn held_until(self) -> Timestamp {
        match self {
            Self::Backoff { held_until, .. } | Self::Issuing { held_until, .. } | Self::Refused { held_until, .. } => {
                held_until
            }
            Self::Missing => Timestamp::EPOCH,
            Self::Serving { not_after, .. } => not_after,
        }
    }

    /// When something is to be done without anybody asking.
    pub(crate) fn due(self) -> Option<Timestamp> {
        match self {
            Self::Backoff { until, .. } => Some(until),
            Self::Issuing { .. } | Self::Missing => None,
            Self::Refused { again_at, .. } => Some(again_at),
            Self::Serving { renew_at, .. } => Some(renew_at),
        }
    }

    /// The stable word for logs and `explain`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Backoff { .. } => "backoff",
            Self::Issuing { .. } => "issuing",
            Self::Missing => "missing",
            Self::Refused { .. } => "refused",
            Self::Serving { .. } => "serving",
        }
    }

    fn attempts(self) -> u32 {
        match self {
            Self::Backoff { attempts, .. } => attempts,
            Self::Issuing { attempt, .. } => attempt,
            Self::Missing | Self::Refused { .. } | Self::Serving { .. } => 0,
        }
    }
}

/// What follows from `event` at `now`.
pub(crate) fn step(state: State, event: Event, now: Timestamp) -> (State, Vec<Action>) {
    match event {
        Event::Due => due(state, now),
        Event::Failed { until, attempts, held } => failed(until, attempts, held, now),
        Event::Found { not_after, renew_at } => (State::Serving { not_after, renew_at }, vec![Action::Wake(renew_at)]),
        Event::Hinted { renew_at } => hinted(state, renew_at),
        Event::Permitted => order(state, renewal_lane(state), now),
        Event::Stopped => stopped(state, now),
        Event::Wanted => wanted(state, now),
    }
}

/// The plan's moment has come: ask the gate, unless it came too early or there is nothing left to renew.
fn due(state: State, now: Timestamp) -> (State, Vec<Action>) {
    let Some(due) = state.due() else { return (state, Vec::new()) };
    if state.held_until() <= now {
        // Whoever visits the name orders anew; a name that nobody visits costs no order.
        return (State::Missing, vec![Action::Forget]);
    }
    match now < due {
        true => (state, vec![Action::Wake(due)]),
        false => (state, vec![Action::Ask]),
    }
}

fn failed(until: Timestamp, attempts: u32, held: Option<Validity>, now: Timestamp) -> (State, Vec<Action>) {
    match held.filter(|held| now < held.not_after) {
        Some(held) => {
            let until = held.retry_at(until, now);
            (State::Backoff { until, held_until: held.not_after, attempts }, vec![Action::Wake(until)])
        }
        None => (State::Backoff { until, held_until: Timestamp::EPOCH, attempts }, vec![Action::Forget]),
    }
}

fn hinted(state: State, renew_at: Timestamp) -> (State, Vec<Action>) {
    match state {
        State::Serving { not_after, .. } => (State::Serving { not_after, renew_at }, vec![Action::Wake(renew_at)]),
        State::Backoff { .. } | State::Issuing { .. } | State::Missing | State::Refused { .. } => (state, Vec::new()),
    }
}

fn stopped(state: State, now: Timestamp) -> (State, Vec<Action>) {
    let held_until = state.held_until();
    match held_until <= now {
        true => (State::Missing, vec![Action::Forget]),
        false => {
            let again_at = now + ASK_AGAIN;
            (State::Refused { again_at, held_until }, vec![Action::Wake(again_at)])
        }
    }
}

fn wanted(state: State, now: Timestamp) -> (State, Vec<Action>) {
    match state {
        State::Backoff { until, .. } if now < until => (state, Vec::new()),
        State::Issuing { .. } => (state, Vec::new()),
        State::Serving { not_after, .. } if now < not_after => (state, Vec::new()),
        State::Backoff { .. } | State::Missing | State::Refused { .. } | State::Serving { .. } => {
            order(state, Lane::New, now)
        }
    }
}

fn order(state: State, lane: Lane, now: Timestamp) -> (State, Vec<Action>) {
    match state {
        State::Issuing { .. } => (state, Vec::new()),
        State::Backoff { .. } | State::Missing | State::Refused { .. } | State::Serving { .. } => {
            let attempt = state.attempts().saturating_add(1);
            let held_until = state.held_until();
            (State::Issuing { since: now, held_until, attempt }, vec![Action::Order(lane)])
        }
    }
}

/// Whether the wait after a failure is behind this renewal.
fn renewal_lane(state: State) -> Lane {
    match state {
        State::Backoff { .. } => Lane::Retry,
        State::Issuing { .. } | State::Missing | State::Refused { .. } | State::Serving { .. } => Lane::Renewal,
    }
}

#[cfg(test)]
mod tests;
