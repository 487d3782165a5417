//! Counters of what is done before anybody visits. No label ever holds a hostname.

use clock::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What became of a look at one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The order failed.
    Failed,
    /// There is nothing to be had for it: it is not listed, does not point here, or is denied.
    Gone,
    /// It had a certificate, of which the control plane was told.
    Held,
    /// It has a certificate now.
    Obtained,
    /// Another look is needed.
    Postponed {
        /// When.
        until: Timestamp,
    },
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Held => "held",
            Self::Obtained => "obtained",
            Self::Postponed { .. } => "postponed",
        }
    }
}

pub(super) struct Metrics {
    looks: IntCounterVec,
    overflows: IntCounter,
    waiting: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let looks = Opts::new("namegate_edge_ahead_looks_total", "Looks at names before their first visit, by result.");
        let metrics = Self {
            looks: IntCounterVec::new(looks, &["result"])?,
            overflows: IntCounter::new(
                "namegate_edge_ahead_overflows_total",
                "Names for which the queue had no room; a walk finds them again.",
            )?,
            waiting: IntGauge::new("namegate_edge_ahead_waiting", "Names that wait for a look.")?,
        };
        registry.register(Box::new(metrics.looks.clone()))?;
        registry.register(Box::new(metrics.overflows.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        for word in ["failed", "gone", "held", "obtained", "postponed"] {
            metrics.looks.with_label_values(&[word]);
        }
        Ok(metrics)
    }

    pub(super) fn looked(&self, outcome: &Outcome) {
        self.looks.with_label_values(&[outcome.word()]).inc();
    }

    pub(super) fn overflowed(&self) {
        self.overflows.inc();
    }

    pub(super) fn waiting(&self, names: usize) {
        self.waiting.set(i64::try_from(names).unwrap_or(i64::MAX));
    }
}
