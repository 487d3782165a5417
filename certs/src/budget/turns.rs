//! [`Turns`]: a queue in which everybody who waits for something has a turn, however many somebody else has waiting.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Queues of type `Q` by key; the keys take turns. Only keys whose queue holds something are kept.
#[derive(Debug)]
pub(super) struct Turns<K, Q> {
    order: VecDeque<K>,
    queues: HashMap<K, Q>,
}

/// What gives back what was put in, one after the other.
pub(super) trait Queue {
    type Item;

    /// The next one.
    fn pop(&mut self) -> Option<Self::Item>;

    /// Whether nothing is left.
    fn is_empty(&self) -> bool;
}

impl<T> Queue for VecDeque<T> {
    type Item = T;

    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<K, Q> Default for Turns<K, Q> {
    fn default() -> Self {
        Self { order: VecDeque::new(), queues: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone, Q: Queue + Default> Turns<K, Q> {
    /// The queue of `key`, into which something has to be put.
    pub(super) fn queue(&mut self, key: K) -> &mut Q {
        self.queues.entry(key).or_insert_with_key(|key| {
            self.order.push_back(key.clone());
            Q::default()
        })
    }
}

impl<K: Eq + Hash + Clone, Q: Queue> Queue for Turns<K, Q> {
    type Item = Q::Item;

    fn pop(&mut self) -> Option<Q::Item> {
        let key = self.order.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let item = queue.pop();
        match queue.is_empty() {
            true => drop(self.queues.remove(&key)),
            false => self.order.push_back(key),
        }
        item
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_turns_and_so_do_keys_within_them() {
        let mut turns: Turns<&str, Turns<&str, VecDeque<u32>>> = Turns::default();
        for (tenant, domain, item) in
            [("a", "x", 1), ("a", "x", 2), ("a", "x", 3), ("a", "y", 4), ("b", "z", 5), ("b", "z", 6)]
        {
            turns.queue(tenant).queue(domain).push_back(item);
        }
        let all: Vec<u32> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(all, [1, 5, 4, 6, 2, 3]);
        assert!(turns.is_empty() && turns.queues.is_empty());
    }
}
