//! One question in flight per name.
//!
//! The first to need an answer gets a [`Slot`] and flies the question in a task of its own; whoever comes meanwhile
//! waits for the same outcome. A slot that is dropped without an outcome (a panic, a runtime that ends) frees the name
//! and sends its waiters away: nothing can jam a name.

use std::{collections::HashMap, sync::Arc};

use names::Hostname;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Waits for the outcome of a flight.
pub(crate) struct Ticket<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Ticket<T> {
    /// The outcome, or `None` when the flight ended without one.
    pub(crate) async fn outcome(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}

/// The right and the duty to fly the question of one name.
pub(crate) struct Slot<T> {
    flights: Arc<Flights<T>>,
    name: Hostname,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Slot<T> {
    /// Whose question it is.
    pub(crate) fn name(&self) -> &Hostname {
        &self.name
    }

    /// Ends the flight with an outcome for everyone who waits.
    pub(crate) fn land(self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        self.flights.waiting.lock().remove(&self.name);
    }
}

/// What boarding gives.
pub(crate) enum Boarding<T> {
    /// Too many flights.
    Full,
    /// Somebody flies it already.
    Join(Ticket<T>),
    /// A flight has landed between the caller's look at the memory and now.
    Landed(T),
    /// The caller flies it.
    Lead(Slot<T>, Ticket<T>),
}

/// All questions in flight.
pub(crate) struct Flights<T> {
    waiting: Mutex<HashMap<Hostname, watch::Receiver<Option<T>>>>,
    limit: usize,
}

impl<T> Flights<T> {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), limit })
    }

    /// How many are in flight.
    pub(crate) fn count(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Joins the flight of `name` or starts it. `remembered` looks at the memory once more, under the lock: a flight
    /// writes its answer there before it frees its slot, so no name is asked twice by two who came together.
    pub(crate) fn board(self: &Arc<Self>, name: &Hostname, remembered: impl FnOnce() -> Option<T>) -> Boarding<T> {
        let mut waiting = self.waiting.lock();
        if let Some(outcome) = waiting.get(name) {
            return Boarding::Join(Ticket(outcome.clone()));
        }
        if let Some(outcome) = remembered() {
            return Boarding::Landed(outcome);
        }
        if waiting.len() >= self.limit {
            return Boarding::Full;
        }
        let (sender, receiver) = watch::channel(None);
        waiting.insert(name.clone(), receiver.clone());
        let slot = Slot { flights: Arc::clone(self), name: name.clone(), outcome: sender };
        Boarding::Lead(slot, Ticket(receiver))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_flight_that_panics_frees_its_name_and_sends_its_waiters_away() {
        let flights = Flights::<u8>::new(8);
        let Boarding::Lead(slot, first) = flights.board(&name("a.test"), || None) else { panic!("must lead") };
        let Boarding::Join(second) = flights.board(&name("a.test"), || None) else { panic!("must join") };
        let flight = tokio::spawn(async move {
            let _slot = slot;
            panic!("on purpose");
        });
        assert_eq!((first.outcome().await, second.outcome().await), (None, None));
        assert!(flight.await.unwrap_err().is_panic());
        assert!(matches!(flights.board(&name("a.test"), || None), Boarding::Lead(..)));
    }

    #[tokio::test]
    async fn an_outcome_reaches_all_and_the_limit_holds_for_new_names_only() {
        let flights = Flights::<u8>::new(1);
        let Boarding::Lead(slot, first) = flights.board(&name("a.test"), || None) else { panic!("must lead") };
        assert!(matches!(flights.board(&name("b.test"), || None), Boarding::Full));
        let Boarding::Join(second) = flights.board(&name("a.test"), || None) else { panic!("must join") };
        slot.land(7);
        assert_eq!((first.outcome().await, second.outcome().await), (Some(7), Some(7)));
        assert_eq!(flights.count(), 0);
        assert!(matches!(flights.board(&name("a.test"), || Some(7)), Boarding::Landed(7)));
    }

    /// Names that a key made of several texts, or of a part of one, would take for each other.
    fn names() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &["a", "A", "b", "ab", "a.", "b.", "a-", "B.", "1"];
        const ENDS: &[&str] = &["test", "TEST", "test.", "tes.t", "xn--bcher-kva", "b\u{fc}cher"];
        let name = (prop::collection::vec(prop::sample::select(PIECES), 1..4), prop::sample::select(ENDS));
        name.prop_map(|(pieces, end)| format!("{}.{end}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// One question's answer is for one name: whoever asks about another name flies for himself.
        #[test]
        fn two_names_never_share_a_flight(one in names(), other in names()) {
            let (Ok(one), Ok(other)) = (one.parse::<Hostname>(), other.parse::<Hostname>()) else { return Ok(()) };
            let flights = Flights::<u8>::new(8);
            let Boarding::Lead(slot, _ticket) = flights.board(&one, || None) else { panic!("must lead") };
            prop_assert_eq!(slot.name(), &one);
            let joined = matches!(flights.board(&other, || None), Boarding::Join(_));
            prop_assert_eq!(joined, one.as_str() == other.as_str(), "{} {}", one, other);
        }
    }
}
