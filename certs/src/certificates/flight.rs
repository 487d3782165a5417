//! [`Flights`]: one piece of work per name at a time, its outcome for everybody who waits.
//!
//! The work belongs to nobody who waits: visitors come and go, it goes on. Its entry is freed by `Drop`, so neither a
//! panic nor a cancelled task can jam a name.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use names::Subject;
use parking_lot::Mutex;
use tokio::sync::watch;

/// All flights of one kind.
pub(super) struct Flights<T> {
    open: Mutex<HashMap<Subject, watch::Receiver<Option<T>>>>,
}

/// A seat on a flight: the outcome is waited for here.
pub(super) struct Ticket<T>(watch::Receiver<Option<T>>);

/// The duty to do the work and to tell its outcome. Dropped without that, everybody who waits is told nothing came.
pub(super) struct Pilot<T> {
    flights: Arc<Flights<T>>,
    name: Subject,
    outcome: watch::Sender<Option<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<T: Clone> Flights<T> {
    /// A seat on the flight of `name`; with the duty to fly it for whoever is first.
    pub(super) fn board(self: &Arc<Self>, name: &Subject) -> (Ticket<T>, Option<Pilot<T>>) {
        let mut open = self.open.lock();
        match open.entry(name.clone()) {
            hash_map::Entry::Occupied(flight) => (Ticket(flight.get().clone()), None),
            hash_map::Entry::Vacant(free) => {
                let (outcome, ticket) = watch::channel(None);
                free.insert(ticket.clone());
                let pilot = Pilot { flights: Arc::clone(self), name: name.clone(), outcome };
                (Ticket(ticket), Some(pilot))
            }
        }
    }

    /// A seat on the flight of `name`, if there is one.
    pub(super) fn find(&self, name: &Subject) -> Option<Ticket<T>> {
        self.open.lock().get(name).cloned().map(Ticket)
    }

    /// Whether work for `name` is under way.
    pub(super) fn is_open(&self, name: &Subject) -> bool {
        self.open.lock().contains_key(name)
    }

    /// How many flights are under way.
    pub(super) fn len(&self) -> usize {
        self.open.lock().len()
    }
}

impl<T: Clone> Ticket<T> {
    /// The outcome; `None` when the work died.
    pub(super) async fn outcome(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<T> Pilot<T> {
    /// Tells everybody the outcome and ends the flight.
    pub(super) fn land(self, outcome: T) {
        // Told before the entry goes: whoever boards in between gets this outcome too.
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T> Drop for Pilot<T> {
    fn drop(&mut self) {
        self.flights.open.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Subject {
        "a.example".parse().unwrap()
    }

    #[tokio::test]
    async fn the_second_boards_the_first_ones_flight_and_both_get_its_outcome() {
        let flights = Arc::new(Flights::<u32>::default());
        let (first, pilot) = flights.board(&name());
        let (second, none) = flights.board(&name());
        assert!(none.is_none());
        pilot.unwrap().land(7);
        assert_eq!((first.outcome().await, second.outcome().await), (Some(7), Some(7)));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_flight_that_dies_frees_the_name() {
        let flights = Arc::new(Flights::<u32>::default());
        let (ticket, pilot) = flights.board(&name());
        drop(pilot);
        assert_eq!(ticket.outcome().await, None);
        assert!(flights.board(&name()).1.is_some());
    }
}
