//! [`Lanes`]: one per endpoint, so many at a time.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The lanes that are open.
#[derive(Debug)]
pub(crate) struct Lanes {
    most: usize,
    most_failing: usize,
    /// By endpoint: whether it fails.
    open: Mutex<HashMap<String, bool>>,
    freed: Notify,
}

/// The right to send to an endpoint. Dropped, a panic included: the next one may.
#[derive(Debug)]
pub(crate) struct Lane {
    lanes: Arc<Lanes>,
    endpoint_id: String,
    is_failing: bool,
}

impl Lanes {
    pub(crate) fn new(most: usize, most_failing: usize) -> Self {
        Self { most, most_failing, open: Mutex::new(HashMap::new()), freed: Notify::new() }
    }

    /// Opens the lane of an endpoint unless it is open or there is no room.
    pub(crate) fn open(self: &Arc<Self>, endpoint_id: &str, is_failing: bool) -> Option<Lane> {
        let mut open = self.open.lock();
        let failing = open.values().filter(|failing| **failing).count();
        let has_room = open.len() < self.most && !(is_failing && failing >= self.most_failing);
        if !has_room || open.contains_key(endpoint_id) {
            return None;
        }
        open.insert(endpoint_id.to_owned(), is_failing);
        Some(Lane { lanes: Arc::clone(self), endpoint_id: endpoint_id.to_owned(), is_failing })
    }

    /// Ends when a lane has ended since the last time.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl Lane {
    pub(crate) fn endpoint_id(&self) -> &str {
        &self.endpoint_id
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.open.lock().remove(&self.endpoint_id);
        // Kept until somebody asks: what became due while the lane was open is seen in the look after it.
        self.lanes.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_fail_leave_room_for_those_that_do_not() {
        let lanes = Arc::new(Lanes::new(3, 2));
        let first = lanes.open("a", true).unwrap();
        let _second = lanes.open("b", true).unwrap();
        assert!(lanes.open("c", true).is_none(), "two of them are all");
        let _third = lanes.open("d", false).unwrap();
        assert!(lanes.open("e", false).is_none(), "three are all");
        drop(first);
        assert!(lanes.open("d", false).is_none(), "an endpoint has one lane");
        assert!(lanes.open("c", true).is_some());
    }
}
