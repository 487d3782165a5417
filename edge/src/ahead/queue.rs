//! [`Queue`]: which name is looked at next. No I/O, no clock.
//!
//! What the feed has just told of and what has waited (for its next attempt, or since a walk found it) take turns: a
//! customer who is watching is not put behind a hundred thousand old names, and those are not starved by new ones.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
};

use clock::Timestamp;
use names::Hostname;

pub(super) struct Queue {
    /// Most names that are queued, and most that wait for a moment.
    limit: usize,
    news: VecDeque<Hostname>,
    old: VecDeque<Hostname>,
    /// All names of `news` and `old`.
    queued: HashSet<Hostname>,
    /// Names that wait for a moment. Entries of the heap count only if this still says the same.
    moments: HashMap<Hostname, Timestamp>,
    alarms: BinaryHeap<Reverse<(Timestamp, Hostname)>>,
    /// Whose turn it is.
    old_next: bool,
    /// Some names are neither here nor looked at: a walk must find them.
    left_out: bool,
}

impl Queue {
    /// An empty queue, which wants a walk: what stood before the process did is in no queue.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            news: VecDeque::new(),
            old: VecDeque::new(),
            queued: HashSet::new(),
            moments: HashMap::new(),
            alarms: BinaryHeap::new(),
            old_next: false,
            left_out: true,
        }
    }

    /// How many names are here.
    pub(super) fn len(&self) -> usize {
        self.queued.len() + self.moments.len()
    }

    /// Queues a name that was just heard of, whatever it waits for. `false` when there is no room.
    pub(super) fn push(&mut self, name: &Hostname) -> bool {
        self.moments.remove(name);
        if self.enter(name) {
            self.news.push_back(name.clone());
        }
        self.queued.contains(name)
    }

    /// Queues a name that a walk has found, unless it waits for something.
    pub(super) fn push_old(&mut self, name: &Hostname) {
        if !self.moments.contains_key(name) && self.enter(name) {
            self.old.push_back(name.clone());
        }
    }

    /// Queues a name for a moment; the earlier of two counts. `false` when there is no room.
    pub(super) fn push_at(&mut self, name: &Hostname, at: Timestamp) -> bool {
        let standing = self.moments.get(name).copied();
        if standing.is_none() && self.moments.len() >= self.limit {
            self.left_out = true;
            return false;
        }
        if standing.is_none_or(|standing| at < standing) {
            self.moments.insert(name.clone(), at);
            self.alarms.push(Reverse((at, name.clone())));
        }
        true
    }

    /// The name is not worth a look any more. One that is queued is passed over at its turn by whoever looks.
    pub(super) fn forget(&mut self, name: &Hostname) {
        self.moments.remove(name);
    }

    /// The next name.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Hostname> {
        let name = match self.old_next {
            true => self.pop_old(now).or_else(|| self.news.pop_front()),
            false => self.news.pop_front().or_else(|| self.pop_old(now)),
        }?;
        self.old_next = !self.old_next;
        self.queued.remove(&name);
        Some(name)
    }

    /// When the next moment comes that a name waits for.
    pub(super) fn next(&self) -> Timestamp {
        self.alarms.peek().map_or(Timestamp::NEVER, |Reverse((at, _))| *at)
    }

    /// Something has happened to names that nobody can list.
    pub(super) fn want_walk(&mut self) {
        self.left_out = true;
    }

    /// Whether names were left out, and there is room for them again.
    pub(super) fn wants_walk(&self) -> bool {
        self.left_out && self.queued.is_empty()
    }

    /// A walk begins; what it finds no room for is left out again.
    pub(super) fn begin_walk(&mut self) {
        self.left_out = false;
    }

    fn pop_old(&mut self, now: Timestamp) -> Option<Hostname> {
        while self.next() <= now {
            let Reverse((at, name)) = self.alarms.pop()?;
            if self.moments.get(&name) == Some(&at) {
                self.moments.remove(&name);
                return Some(name);
            }
        }
        self.old.pop_front()
    }

    /// Whether the name is new here and there is room for it.
    fn enter(&mut self, name: &Hostname) -> bool {
        if self.queued.contains(name) {
            return false;
        }
        if self.queued.len() >= self.limit {
            self.left_out = true;
            return false;
        }
        self.queued.insert(name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn drain(queue: &mut Queue, now: Timestamp) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(now)).map(|name| name.to_string()).collect()
    }

    #[test]
    fn news_and_what_has_waited_take_turns() {
        let mut queue = Queue::new(10);
        ["o1.test", "o2.test", "o3.test"].iter().for_each(|old| queue.push_old(&name(old)));
        ["n1.test", "n2.test"].iter().for_each(|new| assert!(queue.push(&name(new))));
        assert!(queue.push_at(&name("due.test"), at(5)));
        assert_eq!(drain(&mut queue, at(5)), ["n1.test", "due.test", "n2.test", "o1.test", "o2.test", "o3.test"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_name_is_queued_once_and_waits_for_the_earlier_of_two_moments() {
        let mut queue = Queue::new(10);
        assert!(queue.push(&name("a.test")) && queue.push(&name("a.test")));
        queue.push_old(&name("a.test"));
        assert_eq!(drain(&mut queue, at(0)), ["a.test"]);
        assert!(queue.push_at(&name("a.test"), at(9)) && queue.push_at(&name("a.test"), at(5)));
        assert!(queue.push_at(&name("a.test"), at(7)));
        queue.push_old(&name("a.test"));
        assert_eq!(drain(&mut queue, at(4)), [""; 0], "a walk does not cut its wait short");
        assert_eq!(queue.next(), at(5));
        assert_eq!(drain(&mut queue, at(10)), ["a.test"]);
    }

    #[test]
    fn news_end_a_wait_and_a_deletion_ends_it_without_a_look() {
        let mut queue = Queue::new(10);
        assert!(queue.push_at(&name("a.test"), at(9)) && queue.push_at(&name("b.test"), at(9)));
        assert!(queue.push(&name("a.test")));
        assert_eq!(drain(&mut queue, at(0)), ["a.test"]);
        queue.forget(&name("b.test"));
        assert_eq!(drain(&mut queue, at(10)), [""; 0]);
    }

    #[test]
    fn what_has_no_room_is_left_to_a_walk_once_there_is_room_again() {
        let mut queue = Queue::new(2);
        assert!(queue.wants_walk(), "at first");
        queue.begin_walk();
        assert!(!queue.wants_walk());
        assert!(queue.push(&name("a.test")) && queue.push(&name("b.test")));
        assert!(!queue.push(&name("c.test")));
        assert!(!queue.wants_walk(), "there is no room yet");
        drain(&mut queue, at(0));
        assert!(queue.wants_walk());
        queue.begin_walk();
        assert!(queue.push_at(&name("a.test"), at(1)) && queue.push_at(&name("b.test"), at(1)));
        assert!(!queue.push_at(&name("c.test"), at(1)));
        assert!(queue.wants_walk());
    }
}
