//! Counters of looks. No label ever holds a name.

use prometheus::{Histogram, HistogramOpts, HistogramTimer, IntCounterVec, IntGauge, Opts, Registry};

/// From a resolver on the same machine to the longest time that can be configured.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

pub(super) struct Metrics {
    looks: IntCounterVec,
    seconds: Histogram,
    in_flight: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let looks = Opts::new("namegate_edge_preflights_total", "Looks at names before orders by what came of them.");
        let seconds = HistogramOpts::new(
            "namegate_edge_preflight_duration_seconds",
            "Time to gather what is to be known of a name before an order.",
        );
        let in_flight = "namegate_edge_preflights_in_flight";
        let metrics = Self {
            looks: IntCounterVec::new(looks, &["result"])?,
            seconds: Histogram::with_opts(seconds.buckets(SECONDS.to_vec()))?,
            in_flight: IntGauge::new(in_flight, "Looks at names under way.")?,
        };
        registry.register(Box::new(metrics.looks.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        for result in ["clear", "unsure"].into_iter().chain(super::judge::CODES) {
            metrics.looks.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    pub(super) fn done(&self, result: &str) {
        self.looks.with_label_values(&[result]).inc();
    }
}

/// A look under way. Dropped: it is over, and its time is told.
pub(super) struct Looking<'a> {
    metrics: &'a Metrics,
    _timer: HistogramTimer,
}

impl<'a> Looking<'a> {
    pub(super) fn start(metrics: &'a Metrics) -> Self {
        metrics.in_flight.inc();
        Self { metrics, _timer: metrics.seconds.start_timer() }
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}
