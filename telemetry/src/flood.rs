//! [`Flood`]: no place in the program writes more than so many lines within ten seconds; the rest is counted and told.
//!
//! Strangers decide how often some lines are written. Metrics count every time; a log that they can fill hides what is
//! worth reading and ends on a full disk. This is one rule for all lines, those of libraries included, so that no place
//! has to remember it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tracing::{Event, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::layer::{Context, Filter};

/// How often counting begins anew.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// The lines of every place within the window. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Flood(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: u64,
    places: RwLock<HashMap<Identifier, Arc<Place>>>,
    left_out: AtomicU64,
}

/// A place that writes lines: a callsite. There are as many as the program has.
#[derive(Debug)]
struct Place {
    metadata: &'static Metadata<'static>,
    written: AtomicU64,
}

impl Flood {
    /// At most `most` lines of one place within [`WINDOW`].
    pub(crate) fn new(most: u64) -> Self {
        let (places, left_out) = (RwLock::default(), AtomicU64::new(0));
        Self(Arc::new(Shared { most: most.max(1), places, left_out }))
    }

    /// Lines left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.left_out.load(Relaxed)
    }

    fn admits(&self, metadata: &'static Metadata<'static>) -> bool {
        let admitted = self.place(metadata).written.fetch_add(1, Relaxed) < self.0.most;
        if !admitted {
            self.0.left_out.fetch_add(1, Relaxed);
        }
        admitted
    }

    fn place(&self, metadata: &'static Metadata<'static>) -> Arc<Place> {
        let id = metadata.callsite();
        if let Some(place) = self.0.places.read().get(&id) {
            return Arc::clone(place);
        }
        let place = || Arc::new(Place { metadata, written: AtomicU64::new(0) });
        Arc::clone(self.0.places.write().entry(id).or_insert_with(place))
    }

    /// Begins a new window and tells what the last one left out. Never called from within an event.
    pub(crate) fn turn(&self) {
        let places: Vec<_> = self.0.places.read().values().cloned().collect();
        for place in places {
            let written = place.written.swap(0, Relaxed);
            let left_out = written.saturating_sub(self.0.most);
            if left_out > 0 {
                let (module, line) = (place.metadata.target(), place.metadata.line().unwrap_or_default());
                tracing::warn!(left_out, module, line, "lines were left out: one place wrote too many");
            }
        }
    }
}

impl<S: Subscriber> Filter<S> for Flood {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.admits(event.metadata())
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::*;
    use crate::Lines;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_place_writes_its_share_and_the_rest_is_a_count() {
        let (kept, flood) = (Kept::default(), Flood::new(3));
        let lines = Lines::to(kept.clone(), 1000, "kept").unwrap();
        let layer = tracing_subscriber::fmt::layer().json().with_writer(lines.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(flood.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let stranger = |n: usize| tracing::error!(n, "a stranger's doing");
            (0..50).for_each(stranger);
            tracing::info!("worth reading");
            flood.turn();
            (0..2).for_each(stranger);
            flood.turn();
        });
        lines.flush(Duration::from_secs(30));
        let text = String::from_utf8(kept.0.lock().clone()).unwrap();
        let count = |part: &str| text.matches(part).count();
        assert_eq!((count("a stranger's doing"), count("worth reading")), (3 + 2, 1), "{text}");
        assert_eq!((count("\"left_out\":47"), count("left_out")), (1, 1), "{text}");
        assert_eq!(flood.left_out(), 47);
    }
}
