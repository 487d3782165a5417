//! [`Pool`]: connections to origins between two requests.
//!
//! The one that was used last is used next, so that few stay busy and the others run out. Nothing watches an idle
//! connection: it is looked at when it is taken, and all of them once a second.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Place, wire::Wire};

/// Between two looks at all idle connections.
const SWEEP: Duration = Duration::from_secs(1);
/// Locks that the places are spread over.
const SHARDS: usize = 16;

/// Idle connections, at most so many.
pub(super) struct Pool {
    shards: [Mutex<Shard>; SHARDS],
    most: usize,
    kept: AtomicUsize,
    swept: AtomicBool,
}

type Shard = HashMap<Arc<Place>, Vec<Idle>>;

struct Idle {
    wire: Wire,
    until: Instant,
}

impl Pool {
    /// At most `most` connections to all places.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { shards, most, kept: AtomicUsize::new(0), swept: AtomicBool::new(false) })
    }

    fn shard(&self, place: &Place) -> &Mutex<Shard> {
        let [first, ..] = &self.shards;
        self.shards.get(place.hash % SHARDS).unwrap_or(first)
    }

    /// A connection to this place whose origin is still there.
    pub(super) fn take(&self, place: &Arc<Place>) -> Option<Wire> {
        let now = Instant::now();
        loop {
            let mut idle = self.shard(place).lock().get_mut(place)?.pop()?;
            self.kept.fetch_sub(1, Ordering::Relaxed);
            // Looked at without the lock: it costs a system call.
            if idle.until > now && idle.wire.is_idle() {
                return Some(idle.wire);
            }
        }
    }

    /// Keeps a connection for `time`.
    pub(super) fn put(self: &Arc<Self>, mut wire: Wire, time: Duration) {
        wire.rest();
        let place = wire.place().clone();
        let idle = Idle { wire, until: Instant::now() + time };
        let mut shard = self.shard(&place).lock();
        if self.kept.load(Ordering::Relaxed) >= self.most && !self.make_room(&mut shard) {
            return;
        }
        shard.entry(place).or_default().push(idle);
        self.kept.fetch_add(1, Ordering::Relaxed);
        drop(shard);
        if !self.swept.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Closes the neighbour that would run out first, so that new places get their turn.
    fn make_room(&self, shard: &mut Shard) -> bool {
        let oldest =
            shard.values_mut().filter(|idle| !idle.is_empty()).min_by_key(|idle| idle.first().map(|it| it.until));
        let Some(idle) = oldest else { return false };
        idle.remove(0);
        self.kept.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Closes what has waited too long or was left by its origin, until nothing is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.shards.iter().for_each(|shard| self.sweep_one(&mut shard.lock()));
            if self.is_empty() {
                self.swept.store(false, Ordering::Release);
                // Looked at again: one may have come that still counted on this task.
                if self.is_empty() || self.swept.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.kept.load(Ordering::Acquire) == 0
    }

    fn sweep_one(&self, shard: &mut Shard) {
        let now = Instant::now();
        for idle in shard.values_mut() {
            let before = idle.len();
            idle.retain_mut(|idle| idle.until > now && idle.wire.is_idle());
            self.kept.fetch_sub(before - idle.len(), Ordering::Relaxed);
        }
        shard.retain(|_, idle| !idle.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::{super::socket::Socket, *};

    const LONG: Duration = Duration::from_secs(3600);

    struct Scene {
        listener: TcpListener,
        place: Arc<Place>,
    }

    impl Scene {
        async fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let place = Arc::new(Place::new(listener.local_addr().unwrap(), None));
            Self { listener, place }
        }

        /// A connection and the origin's end of it.
        async fn connect(&self) -> (Wire, TcpStream) {
            let ours = TcpStream::connect(self.place.address).await.unwrap();
            let (theirs, _) = self.listener.accept().await.unwrap();
            (Wire::new(Socket::Plain(ours), self.place.clone()), theirs)
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_its_place_alone() {
        let (scene, other) = (Scene::new().await, Scene::new().await);
        let pool = Pool::new(10);
        let (wire, _theirs) = scene.connect().await;
        assert!(!wire.is_reused());
        pool.put(wire, LONG);
        assert!(pool.take(&other.place).is_none());
        let again = Arc::new(Place::new(scene.place.address, None));
        assert!(pool.take(&again).unwrap().is_reused());
        assert!(pool.take(&again).is_none());
    }

    #[tokio::test]
    async fn one_that_its_origin_has_left_or_spoken_on_is_not_used_again() {
        let scene = Scene::new().await;
        let pool = Pool::new(10);
        let (left, theirs) = scene.connect().await;
        let (spoken, mut speaks) = scene.connect().await;
        pool.put(left, LONG);
        pool.put(spoken, LONG);
        drop(theirs);
        tokio::io::AsyncWriteExt::write_all(&mut speaks, b"HTTP/1.1 408 Late\r\n\r\n").await.unwrap();
        // Both are closed by the next look at them, and the task that looks ends.
        while !pool.is_empty() || pool.swept.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(pool.take(&scene.place).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_neighbour_makes_room_and_time_runs_out() {
        let scene = Scene::new().await;
        let pool = Pool::new(2);
        let mut theirs = Vec::new();
        for seconds in [10, 20, 30] {
            let (wire, end) = scene.connect().await;
            theirs.push(end);
            pool.put(wire, Duration::from_secs(seconds));
        }
        assert_eq!(pool.kept.load(Ordering::Relaxed), 2);
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert!(pool.take(&scene.place).is_some(), "the youngest has time left");
        assert!(pool.take(&scene.place).is_none());
    }
}
