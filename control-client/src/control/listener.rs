//! Who else wants to know: the manager of certificates, which orders ahead.

use names::{Hostname, Tenant};
use tokio::sync::mpsc::Sender;

/// What the feed said of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is not to be served any more.
    Gone {
        /// The name.
        name: Hostname,
        /// Whose it was, where that was told.
        tenant: Option<Tenant>,
    },
    /// It is new or has changed.
    Known {
        /// The name.
        name: Hostname,
        /// It is verified and its DNS points here: a certificate can be had.
        pointing: bool,
        /// Whose it is, where that was told.
        tenant: Option<Tenant>,
    },
    /// It is about to become another tenant's than it was.
    Moving {
        /// The name.
        name: Hostname,
        /// Whose it will be.
        to: Tenant,
    },
}

/// Hears every change after it is live at the gate, but for [`Event::Moving`], which comes before: what belongs to the
/// former tenant must be out of reach when the new one is served.
///
/// Called on the feed's task: it must not block. `false` says that the event was lost (it is counted); nothing repeats
/// it.
pub trait Listener: Send + Sync + 'static {
    /// One event.
    fn hear(&self, event: Event) -> bool;
}

/// A bounded channel is a listener that loses what it has no room for.
impl Listener for Sender<Event> {
    fn hear(&self, event: Event) -> bool {
        self.try_send(event).is_ok()
    }
}
