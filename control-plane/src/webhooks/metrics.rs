//! What is counted of webhooks. No label holds a URL, a name or an id.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGauge, Registry};

use crate::{
    core::DisableReason,
    metrics::{add, counters, gauge, histogram},
};

/// A try ends after five seconds.
const ATTEMPT_BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// From at once to an hour of being held up.
const LAG_BUCKETS: [f64; 8] = [0.05, 0.2, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

/// Handles, made once.
#[derive(Debug, Clone)]
pub struct WebhookMetrics {
    attempts: IntCounterVec,
    attempt_seconds: Histogram,
    lag_seconds: Histogram,
    in_flight: IntGauge,
    disabled: IntCounterVec,
}

impl WebhookMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let took = histogram("webhook_attempt_duration_seconds", "Time of one attempt.", &ATTEMPT_BUCKETS)?;
        let lag = histogram("webhook_lag_seconds", "How late attempts begin.", &LAG_BUCKETS)?;
        let disabled = counters("webhook_endpoints_disabled_total", "Endpoints disabled by us.", &["reason"])?;
        Ok(Self {
            attempts: add(registry, counters("webhook_attempts_total", "Webhook attempts by outcome.", &["result"])?)?,
            attempt_seconds: add(registry, took)?,
            lag_seconds: add(registry, lag)?,
            in_flight: add(registry, gauge("webhooks_in_flight", "Webhook attempts under way.")?)?,
            disabled: add(registry, disabled)?,
        })
    }

    pub(crate) fn begin(&self, lag: Duration) {
        self.lag_seconds.observe(lag.as_secs_f64());
        self.in_flight.inc();
    }

    pub(crate) fn end(&self, result: &str, took: Duration) {
        self.in_flight.dec();
        self.attempt_seconds.observe(took.as_secs_f64());
        self.attempts.with_label_values(&[result]).inc();
    }

    pub(crate) fn disabled(&self, reason: DisableReason) {
        self.disabled.with_label_values(&[reason.as_str()]).inc();
    }
}
