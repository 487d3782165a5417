//! Counters of records of challenges. No label ever holds a name.

use std::time::Duration;

use certs::DnsError;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

/// From a name server of one's own to the longest wait that can be configured.
const SECONDS: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0];

pub(super) struct Metrics {
    records: IntCounterVec,
    propagation: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let records = Opts::new("namegate_edge_dns01_records_total", "Records of challenges by what came of them.");
        let propagation = HistogramOpts::new(
            "namegate_edge_dns01_propagation_seconds",
            "From a written record to every server of its zone showing it.",
        );
        let metrics = Self {
            records: IntCounterVec::new(records, &["action", "result"])?,
            propagation: Histogram::with_opts(propagation.buckets(SECONDS.to_vec()))?,
        };
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.propagation.clone()))?;
        for action in ["publish", "remove"] {
            metrics.records.with_label_values(&[action, "ok"]);
        }
        Ok(metrics)
    }

    pub(super) fn done(&self, action: &str, done: &Result<(), DnsError>) {
        let result = done.as_ref().map_or_else(|error| error.reason, |()| "ok");
        self.records.with_label_values(&[action, result]).inc();
    }

    pub(super) fn seen(&self, after: Duration) {
        self.propagation.observe(after.as_secs_f64());
    }
}
