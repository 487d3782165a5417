//! Tells the operator of a new connection whose name a person should look at: a line in the log, and a count.

use names::Suspicion;

use crate::{core::Connection, metrics::Metrics};

/// What is to be told of a connection once it is made.
pub(crate) struct Review {
    id: String,
    hostname: String,
    suspicions: Vec<Suspicion>,
}

impl Review {
    pub(crate) fn of(made: &Connection) -> Self {
        let claim = &made.claim;
        Self { id: claim.id.clone(), hostname: claim.hostname.to_string(), suspicions: made.review.clone() }
    }

    /// After the commit: what was not made is nobody's concern.
    pub(crate) fn tell(&self, metrics: &Metrics) {
        if self.suspicions.is_empty() {
            return;
        }
        let words: Vec<_> = self.suspicions.iter().map(|suspicion| suspicion.code()).collect();
        for word in &words {
            metrics.to_review.with_label_values(&[word]).inc();
        }
        let Self { id, hostname, .. } = self;
        tracing::warn!(
            connection = id,
            hostname,
            review = words.join(","),
            "a new connection's name is to be reviewed"
        );
    }
}
