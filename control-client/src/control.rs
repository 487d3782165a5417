//! The edge's line to a control plane of our own: which names it knows, and what became of their certificates.
//!
//! A [`Feed`] keeps a [`Directory`] of all known names up to date (snapshot, then changes), and on disk; the
//! [`Gate`](crate::Gate) answers from it without a question. A [`Reporter`] takes what happened to certificates, and
//! its [`Delivery`] brings it to the control plane at least once.
//!
//! The control plane may be gone for days: what the edge knows goes on serving, from memory and, after a restart, from
//! disk. What comes back must not be older than what is known.

mod backoff;
mod changer;
mod client;
mod delivery;
mod directory;
mod error;
mod feed;
mod index;
mod known;
mod listener;
mod metrics;
mod origins;
mod settings;
mod snapshot;
mod spool;
mod store;
mod sync;
mod token;
mod tombs;

#[cfg(test)]
mod tests;

use std::{io, path::Path, sync::Arc};

use clock::SharedClock;
use prometheus::Registry;

pub(crate) use self::directory::Forget;
use self::{client::Client, metrics::Metrics, spool::Spool, store::Store};
pub use self::{
    delivery::{Delivery, Reporter},
    directory::{Directory, Listed},
    error::ControlError,
    feed::Feed,
    listener::{Event, Listener},
    settings::{ControlLimits, ControlSettings},
};

/// Everything that the edge needs of a control plane. The two tasks must be run; the two handles are cheap to clone.
pub struct Control {
    /// What the gate answers from: [`Gate::with_directory`](crate::Gate::with_directory).
    pub directory: Directory,
    /// The task that keeps it up to date.
    pub feed: Feed,
    /// Where reports of certificates go.
    pub reporter: Reporter,
    /// The task that brings them to the control plane.
    pub delivery: Delivery,
}

impl Control {
    /// Loads what is on disk (blocking: about a second for a million names) and sets up the client. Sends nothing.
    ///
    /// `listener` hears of every change that the feed brings. What is known from before is no news: it is there to be
    /// walked over ([`Directory::each_pointing`]).
    ///
    /// # Errors
    /// The token cannot be read, the URL is neither http nor https, the folder cannot be used, or the metrics are
    /// registered already. What is broken on disk is no error: it is counted, logged and left out.
    pub fn open(
        settings: ControlSettings,
        listener: Option<Arc<dyn Listener>>,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, ControlError> {
        let metrics = Arc::new(Metrics::new(registry)?);
        let client = Arc::new(Client::new(&settings)?);
        let limits = Arc::new(settings.limits);
        let directory = Directory::new(Arc::clone(&limits), listener, Arc::clone(&clock), Arc::clone(&metrics));
        let store = Store::open(&settings.folder, &directory).map_err(|source| unusable(&settings.folder, source))?;
        let reports = settings.folder.join("reports");
        let spool = Spool::open(&reports, limits.reports).map_err(|source| unusable(&reports, source))?;
        let feed = Feed::new(directory.clone(), Arc::clone(&client), store, Arc::clone(&clock), Arc::clone(&metrics));
        let (reporter, delivery) = delivery::start(spool, client, limits, clock, metrics);
        Ok(Self { directory, feed, reporter, delivery })
    }
}

fn unusable(path: &Path, source: io::Error) -> ControlError {
    ControlError::Folder { path: path.to_owned(), source }
}
