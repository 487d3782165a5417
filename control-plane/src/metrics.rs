//! What is counted. Names begin with `namegate_control_`; no label ever holds a hostname, an id or a key.

use names::Suspicion;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

/// Handles, made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests by route, method and status.
    pub requests: IntCounterVec,
    /// Their time by route.
    pub request_seconds: HistogramVec,
    /// Asks that were allowed.
    pub ask_allowed: IntCounter,
    /// Asks that were denied.
    pub ask_denied: IntCounter,
    /// Asks that could not be answered.
    pub ask_failed: IntCounter,
    /// Asks that wait for their answer; at most those of the queue to the database.
    pub asks_waiting: IntGauge,
    /// Server time of asks.
    pub ask_seconds: Histogram,
    /// Jobs done, by kind and result.
    pub jobs: IntCounterVec,
    /// How late checks began.
    pub check_lag_seconds: Histogram,
    /// Checks under way.
    pub checks_in_flight: IntGauge,
    /// Looks that a client asked for too often.
    pub checks_refused: IntCounter,
    /// Edges that wait for changes.
    pub feed_waiting: IntGauge,
    /// New connections whose name a person should look at, by reason.
    pub to_review: IntCounterVec,
}

/// From a cached page to a slow disk.
const ASK_BUCKETS: [f64; 9] = [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1];
/// The promise is ten seconds.
const LAG_BUCKETS: [f64; 8] = [0.05, 0.2, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let asks = add(registry, counters("ask_requests_total", "Asks by answer.", &["result"])?)?;
        let to_review = add(registry, {
            let help = "New connections whose name a person should look at, by reason.";
            counters("connections_to_review_total", help, &["reason"])?
        })?;
        // From the start, so that the first one is an increase.
        for suspicion in Suspicion::ALL {
            to_review.with_label_values(&[suspicion.code()]);
        }
        Ok(Self {
            requests: add(registry, counters("http_requests_total", "Requests.", &["route", "method", "status"])?)?,
            request_seconds: add(registry, {
                let options = HistogramOpts::new("namegate_control_http_request_duration_seconds", "Server time.");
                HistogramVec::new(options, &["route"])?
            })?,
            ask_allowed: asks.with_label_values(&["allowed"]),
            ask_denied: asks.with_label_values(&["denied"]),
            ask_failed: asks.with_label_values(&["failed"]),
            asks_waiting: add(registry, gauge("asks_waiting", "Asks that wait for their answer.")?)?,
            ask_seconds: add(registry, histogram("ask_duration_seconds", "Server time of asks.", &ASK_BUCKETS)?)?,
            jobs: add(registry, counters("jobs_total", "Jobs done.", &["kind", "result"])?)?,
            check_lag_seconds: add(registry, histogram("check_lag_seconds", "How late checks begin.", &LAG_BUCKETS)?)?,
            checks_in_flight: add(registry, gauge("checks_in_flight", "Checks under way.")?)?,
            checks_refused: add(registry, {
                let help = "Looks that were refused because a client asked for them too often.";
                IntCounter::new("namegate_control_checks_refused_total", help)?
            })?,
            feed_waiting: add(registry, gauge("feed_waiting", "Edges that wait for changes.")?)?,
            to_review,
        })
    }
}

/// Handles of what is written at DNS providers, made once.
#[derive(Debug, Clone)]
pub struct WriteMetrics {
    /// Runs that ended, by provider and outcome.
    pub writes: IntCounterVec,
    /// Their time, by provider.
    pub seconds: HistogramVec,
    /// Runs under way.
    pub in_flight: IntGauge,
    /// How long runs waited for the turn of their zone.
    pub turn_seconds: Histogram,
    /// Runs that were put off because it did not come.
    pub turns_missed: IntCounter,
}

/// From one call to a provider that lets us wait.
const WRITE_BUCKETS: [f64; 8] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];

impl WriteMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken in this registry.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let labels = &["provider", "outcome"];
        Ok(Self {
            writes: add(registry, counters("dns_writes_total", "Writes at DNS providers that ended.", labels)?)?,
            seconds: add(registry, {
                let help = "Time of writes at DNS providers.";
                let options = HistogramOpts::new("namegate_control_dns_write_duration_seconds", help);
                HistogramVec::new(options.buckets(WRITE_BUCKETS.to_vec()), &["provider"])?
            })?,
            in_flight: add(registry, gauge("dns_writes_in_flight", "Writes at DNS providers under way.")?)?,
            turn_seconds: add(registry, {
                let help = "How long writes waited for the turn of their zone.";
                histogram("dns_zone_turn_wait_seconds", help, &WRITE_BUCKETS)?
            })?,
            turns_missed: add(registry, {
                let help = "Writes that were put off because the turn of their zone did not come.";
                IntCounter::new("namegate_control_dns_zone_turns_missed_total", help)?
            })?,
        })
    }
}

/// Counts somebody for as long as it lives: who leaves in the middle is not counted on.
pub(crate) struct Counted(IntGauge);

impl Counted {
    pub(crate) fn on(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(crate) fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

pub(crate) fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(format!("namegate_control_{name}"), help), labels)
}

pub(crate) fn histogram(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::new(format!("namegate_control_{name}"), help).buckets(buckets.to_vec()))
}

pub(crate) fn gauge(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    IntGauge::new(format!("namegate_control_{name}"), help)
}
