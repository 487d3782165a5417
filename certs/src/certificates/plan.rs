//! [`Plan`]: where every live name's certificate stands, and what comes due when.
//!
//! A fleet plans 100,000 names, so a name costs one map entry of 48 bytes and the text that it shares with whoever else
//! holds it. There is no timer per name: what comes due within [`HORIZON`] stands in two small heaps, which are filled
//! by one walk over the map each time the horizon is moved. Entries of the heaps are hints: they count only if the map
//! still says the same.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use clock::Timestamp;
use names::Subject;

use crate::life::{Action, Event, State, step};

/// How far ahead the heaps reach. A walk over 100,000 names takes about 2 ms.
const HORIZON: Duration = Duration::from_secs(600);
/// Certificates that end within these are shown as expiring.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The plan of all names with a certificate, and of those whose order is in flight.
pub(super) struct Plan {
    names: HashMap<Subject, Planned>,
    renewals: BinaryHeap<Reverse<(Timestamp, Subject)>>,
    hints: BinaryHeap<Reverse<(Timestamp, Subject)>>,
    horizon: Timestamp,
}

/// One name's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planned {
    state: State,
    hint_at: Seconds,
}

/// A moment in whole seconds since the epoch, which reach to 2106; half the size of a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seconds(u32);

impl Seconds {
    const NEVER: Self = Self(u32::MAX);
}

impl From<Timestamp> for Seconds {
    fn from(at: Timestamp) -> Self {
        Self(u32::try_from(at.as_secs()).unwrap_or(u32::MAX))
    }
}

impl From<Seconds> for Timestamp {
    fn from(Seconds(secs): Seconds) -> Self {
        match secs {
            u32::MAX => Self::NEVER,
            secs => Self::from_millis(u64::from(secs) * 1000),
        }
    }
}

/// How many certificates end soon.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiring {
    pub(super) within_day: usize,
    pub(super) within_week: usize,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self { names: HashMap::new(), renewals: BinaryHeap::new(), hints: BinaryHeap::new(), horizon: Timestamp::EPOCH }
    }

    /// Where `name` stands.
    pub(super) fn state(&self, name: &Subject) -> Option<State> {
        self.names.get(name).map(|planned| planned.state)
    }

    /// How many names are planned.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// What follows from `event`: the state is kept, what is left to be done is returned.
    pub(super) fn apply(&mut self, name: &Subject, event: Event, now: Timestamp) -> Vec<Action> {
        let state = self.state(name).unwrap_or(State::Missing);
        self.apply_from(name, state, event, now)
    }

    /// The same from a state that the caller knows better.
    pub(super) fn apply_from(&mut self, name: &Subject, state: State, event: Event, now: Timestamp) -> Vec<Action> {
        let (state, actions) = step(state, event, now);
        match actions.contains(&Action::Forget) {
            true => drop(self.names.remove(name)),
            false => self.set_state(name, state),
        }
        actions.iter().for_each(|action| {
            if let Action::Wake(at) = action {
                self.wake(name, *at);
            }
        });
        actions
    }

    /// Asks the issuer about the renewal at `at`.
    pub(super) fn ask_at(&mut self, name: &Subject, at: Timestamp) {
        let Some(planned) = self.names.get_mut(name) else { return };
        planned.hint_at = at.into();
        if Timestamp::from(planned.hint_at) < self.horizon {
            self.hints.push(Reverse((planned.hint_at.into(), name.clone())));
        }
    }

    /// Takes a name out, unless its order is in flight: that one's end decides.
    pub(super) fn forget(&mut self, name: &Subject) {
        if !matches!(self.state(name), Some(State::Issuing { .. })) {
            self.names.remove(name);
        }
    }

    /// Moves the horizon if it has come near; returns what the walk has counted, if there was one.
    pub(super) fn look_ahead(&mut self, now: Timestamp) -> Option<Expiring> {
        if now + HORIZON / 2 < self.horizon && self.horizon <= now + HORIZON {
            return None;
        }
        self.horizon = now + HORIZON;
        self.renewals.clear();
        self.hints.clear();
        let mut expiring = Expiring::default();
        for (name, planned) in &self.names {
            if let Some(due) = planned.state.due().filter(|due| *due < self.horizon) {
                self.renewals.push(Reverse((due, name.clone())));
            }
            if Timestamp::from(planned.hint_at) < self.horizon {
                self.hints.push(Reverse((planned.hint_at.into(), name.clone())));
            }
            let held_until = planned.state.held_until();
            expiring.within_day += usize::from(now < held_until && held_until < now + DAY);
            expiring.within_week += usize::from(now < held_until && held_until < now + WEEK);
        }
        Some(expiring)
    }

    /// The next name whose renewal is due.
    pub(super) fn pop_renewal(&mut self, now: Timestamp) -> Option<Subject> {
        while let Some(Reverse((due, name))) = take_due(&mut self.renewals, now) {
            if self.state(&name).and_then(State::due) == Some(due) {
                return Some(name);
            }
        }
        None
    }

    /// The next name whose issuer is to be asked about the renewal. It is not asked again before [`ask_at`](Self::ask_at).
    pub(super) fn pop_hint(&mut self, now: Timestamp) -> Option<Subject> {
        while let Some(Reverse((due, name))) = take_due(&mut self.hints, now) {
            if let Some(planned) = self.names.get_mut(&name)
                && Timestamp::from(planned.hint_at) == due
            {
                planned.hint_at = Seconds::NEVER;
                return Some(name);
            }
        }
        None
    }

    /// Puts back a name for which there was no slot.
    pub(super) fn push_back(&mut self, name: Subject) {
        if let Some(due) = self.state(&name).and_then(State::due) {
            self.renewals.push(Reverse((due, name)));
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Timestamp {
        let first = |heap: &BinaryHeap<Reverse<(Timestamp, Subject)>>| heap.peek().map(|Reverse((due, _))| *due);
        let dues = [first(&self.renewals), first(&self.hints), Some(self.horizon - HORIZON / 2)];
        dues.into_iter().flatten().min().unwrap_or(Timestamp::EPOCH)
    }

    fn set_state(&mut self, name: &Subject, state: State) {
        match self.names.get_mut(name) {
            Some(planned) => planned.state = state,
            None => drop(self.names.insert(name.clone(), Planned { state, hint_at: Seconds::NEVER })),
        }
    }

    fn wake(&mut self, name: &Subject, at: Timestamp) {
        if at < self.horizon {
            self.renewals.push(Reverse((at, name.clone())));
        }
    }
}

type Entry = Reverse<(Timestamp, Subject)>;

fn take_due(heap: &mut BinaryHeap<Entry>, now: Timestamp) -> Option<Entry> {
    let Reverse((due, _)) = heap.peek()?;
    match *due <= now {
        true => heap.pop(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn name(text: &str) -> Subject {
        text.parse().unwrap()
    }

    fn found(renew_at: u64) -> Event {
        Event::Found { not_after: at(1_000_000), renew_at: at(renew_at) }
    }

    #[test]
    fn names_come_due_in_the_order_of_their_moments_and_once() {
        let mut plan = Plan::new();
        plan.look_ahead(at(0));
        plan.apply(&name("late.example"), found(50_000), at(0));
        plan.apply(&name("b.example"), found(20), at(0));
        plan.apply(&name("a.example"), found(10), at(0));
        assert_eq!(plan.next(), at(10));
        assert_eq!(plan.pop_renewal(at(9)), None);
        assert_eq!(plan.pop_renewal(at(30)), Some(name("a.example")));
        assert_eq!(plan.pop_renewal(at(30)), Some(name("b.example")));
        assert_eq!(plan.pop_renewal(at(30)), None);
        assert!(plan.look_ahead(at(50_000)).is_some());
        assert_eq!(plan.pop_renewal(at(50_000)), Some(name("a.example")), "still due: nobody said what became of it");
    }

    #[test]
    fn an_entry_that_the_map_no_longer_knows_is_passed_over() {
        let mut plan = Plan::new();
        plan.look_ahead(at(0));
        plan.apply(&name("a.example"), found(10), at(0));
        plan.apply(&name("a.example"), found(20), at(0));
        assert_eq!(plan.pop_renewal(at(15)), None);
        assert_eq!(plan.pop_renewal(at(20)), Some(name("a.example")));
        plan.push_back(name("a.example"));
        assert_eq!(plan.pop_renewal(at(20)), Some(name("a.example")));
    }

    #[test]
    fn hints_are_asked_for_once_and_counted_from_the_map() {
        let mut plan = Plan::new();
        plan.look_ahead(at(0));
        plan.apply(&name("a.example"), found(900_000), at(0));
        plan.ask_at(&name("a.example"), at(5));
        assert_eq!(plan.pop_hint(at(5)), Some(name("a.example")));
        assert_eq!(plan.pop_hint(at(5)), None);
        let expiring = plan.look_ahead(at(950_000)).unwrap();
        assert_eq!(expiring, Expiring { within_day: 1, within_week: 1 });
        assert_eq!(plan.look_ahead(at(950_001)), None);
    }

    #[test]
    fn a_name_that_was_let_go_comes_due_no_more_and_an_order_in_flight_is_left_alone() {
        let mut plan = Plan::new();
        plan.look_ahead(at(0));
        plan.apply(&name("a.example"), found(10), at(0));
        plan.forget(&name("a.example"));
        assert_eq!((plan.pop_renewal(at(20)), plan.len()), (None, 0));
        plan.apply(&name("b.example"), Event::Wanted, at(0));
        plan.forget(&name("b.example"));
        assert_eq!(plan.len(), 1);
    }

    #[test]
    fn a_planned_name_costs_48_bytes_beside_its_text() {
        assert_eq!(size_of::<(Subject, Planned)>(), 48);
    }
}
