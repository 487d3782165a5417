//! Names that were deleted, with the generation of the deletion: what is older must not bring them back.

use std::collections::{HashMap, VecDeque};

use names::Hostname;

/// The last so many deleted names.
pub(super) struct Tombs {
    generations: HashMap<Hostname, u64>,
    /// In the order of deletion; a name that came back and went again stands here more than once.
    order: VecDeque<(Hostname, u64)>,
    limit: usize,
}

impl Tombs {
    pub(super) fn new(limit: usize) -> Self {
        Self { generations: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn find(&self, name: &Hostname) -> Option<u64> {
        self.generations.get(name).copied()
    }

    /// Never lowers a generation.
    pub(super) fn put(&mut self, name: &Hostname, generation: u64) {
        let kept = self.generations.entry(name.clone()).or_default();
        *kept = generation.max(*kept);
        self.order.push_back((name.clone(), *kept));
        while self.order.len() > self.limit {
            self.forget_oldest();
        }
    }

    pub(super) fn remove(&mut self, name: &Hostname) {
        self.generations.remove(name);
    }

    pub(super) fn clear(&mut self) {
        self.generations.clear();
        self.order.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.generations.len()
    }

    /// Oldest first.
    pub(super) fn all(&self) -> Vec<(Hostname, u64)> {
        let current = |entry: &&(Hostname, u64)| self.find(&entry.0) == Some(entry.1);
        self.order.iter().filter(current).cloned().collect()
    }

    fn forget_oldest(&mut self) {
        let Some((name, generation)) = self.order.pop_front() else { return };
        if self.find(&name) == Some(generation) {
            self.generations.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_deletions_are_forgotten_and_none_is_lowered() {
        let name = |text: &str| text.parse::<Hostname>().unwrap();
        let mut tombs = Tombs::new(3);
        tombs.put(&name("a.example"), 5);
        tombs.put(&name("a.example"), 4);
        assert_eq!(tombs.find(&name("a.example")), Some(5));
        tombs.put(&name("b.example"), 1);
        tombs.remove(&name("b.example"));
        tombs.put(&name("c.example"), 1);
        tombs.put(&name("d.example"), 1);
        assert_eq!((tombs.find(&name("b.example")), tombs.len()), (None, 2));
        assert_eq!(tombs.all(), [(name("c.example"), 1), (name("d.example"), 1)]);
    }
}
