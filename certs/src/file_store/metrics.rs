//! What a store counts, whichever it is.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Handles of the store's metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Time of an operation by `op`, waiting for its turn included.
    pub(crate) duration: HistogramVec,
    /// Operations that failed, by `op`.
    pub(crate) errors: IntCounterVec,
    /// Stored certificates that could not be understood.
    pub(crate) broken: IntCounter,
    /// Operations running or waiting for their turn.
    pub(crate) in_flight: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let duration =
            HistogramOpts::new("namegate_edge_store_operation_duration_seconds", "Time of a store operation")
                .buckets(vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]);
        let errors = Opts::new("namegate_edge_store_errors_total", "Store operations that failed");
        let metrics = Self {
            duration: HistogramVec::new(duration, &["op"])?,
            errors: IntCounterVec::new(errors, &["op"])?,
            broken: IntCounter::new(
                "namegate_edge_store_broken_entries_total",
                "Stored certificates that could not be understood",
            )?,
            in_flight: IntGauge::new(
                "namegate_edge_store_operations_in_flight",
                "Store operations running or waiting for their turn",
            )?,
        };
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.broken.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        Ok(metrics)
    }
}
