//! [`Managed`]: the names of the configuration that have a certificate whether anybody visits them or not.
//!
//! A name that has one is renewed by the manager like any other. What is done here is to order where there is none: at
//! the start, after a failure when it may be tried again, and if a certificate should ever run out.

use std::{collections::HashSet, sync::Arc, time::Duration};

use certs::{Certificates, ObtainError};
use clock::{SharedClock, Timestamp};
use names::Subject;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Orders of listed names at once: few enough to leave the manager's slots to visitors.
const IN_FLIGHT: usize = 8;
/// How often it is looked whether every name has a certificate; a look costs a map entry for each.
const ROUND: Duration = Duration::from_secs(60);

/// The listed names.
pub struct Managed {
    /// Whose names they are.
    pub certificates: Certificates,
    /// The names.
    pub names: HashSet<Subject>,
    /// The time.
    pub clock: SharedClock,
}

impl Managed {
    /// Orders what is missing until `stop`; an order that is under way then is given up by nobody.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.work()).await;
    }

    async fn work(&self) {
        loop {
            let next = self.round().await;
            self.clock.sleep_until(next).await;
        }
    }

    /// Orders whatever has no certificate; when to look again.
    async fn round(&self) -> Timestamp {
        let (slots, mut orders) = (Arc::new(Semaphore::new(IN_FLIGHT)), JoinSet::new());
        for name in self.names.iter().filter(|name| !self.certificates.is_planned(name)) {
            let (slots, certificates, name) = (slots.clone(), self.certificates.clone(), name.clone());
            orders.spawn(async move {
                let _slot = slots.acquire_owned().await;
                certificates.obtain_ahead(&name, None).await.err()
            });
        }
        let mut next = self.clock.now() + ROUND;
        while let Some(done) = orders.join_next().await {
            if let Ok(Some(error)) = done {
                next = next.min(self.again(&error));
            }
        }
        // Whatever a clock or a failure says, nobody is asked in a tight loop.
        next.max(self.clock.now() + Duration::from_secs(1))
    }

    fn again(&self, error: &ObtainError) -> Timestamp {
        match error {
            ObtainError::BackingOff { until, .. } => *until,
            ObtainError::Failed { failure } => failure.next_order(),
            _ => Timestamp::NEVER,
        }
    }
}
