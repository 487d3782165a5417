//! Counters of the gate. No label ever holds a hostname.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::ask::AskError;

/// From a local endpoint's tenth of a millisecond to past the usual timeout.
const SECONDS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Answers taken from memory, by what they said.
pub(crate) struct Hits {
    pub(crate) allow: IntCounter,
    pub(crate) deny: IntCounter,
    pub(crate) error: IntCounter,
}

/// Handles of every series, made once.
pub(crate) struct Metrics {
    questions: IntCounterVec,
    pub(crate) seconds: Histogram,
    pub(crate) hits: Hits,
    pub(crate) joined: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) refused_in_flight: IntCounter,
    pub(crate) refused_of_late: IntCounter,
    pub(crate) stale: IntCounter,
    pub(crate) cache_bytes: IntGauge,
    pub(crate) cache_entries: IntGauge,
    pub(crate) records: RecordMetrics,
}

/// Counters of the last answers on disk.
#[derive(Clone)]
pub(crate) struct RecordMetrics {
    pub(crate) count: IntGauge,
    pub(crate) broken: IntCounter,
    failures: IntCounterVec,
    dropped: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let questions = counters(registry, "questions_total", "Questions to the ask endpoint by result.", "result")?;
        for result in ["allow", "deny"].into_iter().chain(AskError::KINDS) {
            questions.with_label_values(&[result]);
        }
        let hits = counters(registry, "cache_hits_total", "Admissions decided from memory by what it held.", "kind")?;
        let seconds = "namegate_edge_ask_duration_seconds";
        let seconds = HistogramOpts::new(seconds, "Time from question to answer.").buckets(SECONDS.to_vec());
        let seconds = Histogram::with_opts(seconds)?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            questions,
            seconds,
            hits: Hits {
                allow: hits.with_label_values(&["allow"]),
                deny: hits.with_label_values(&["deny"]),
                error: hits.with_label_values(&["error"]),
            },
            joined: counter(registry, "joined_total", "Admissions that waited for a question already in flight.")?,
            in_flight: gauge(registry, "in_flight", "Questions in flight.")?,
            refused_in_flight: counter(
                registry,
                "refused_in_flight_total",
                "Questions not asked because too many were in flight.",
            )?,
            refused_of_late: counter(
                registry,
                "refused_rate_total",
                "Questions about unknown names not asked because too many were asked of late.",
            )?,
            stale: counter(registry, "stale_total", "Admissions on a last answer while the endpoint failed.")?,
            cache_bytes: gauge(registry, "cache_bytes", "Bytes of remembered answers.")?,
            cache_entries: gauge(registry, "cache_entries", "Remembered answers.")?,
            records: RecordMetrics::new(registry)?,
        })
    }

    /// Counts a question by its result.
    pub(crate) fn asked(&self, result: &str) {
        self.questions.with_label_values(&[result]).inc();
    }
}

impl RecordMetrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let failures = "Last answers that could not be read, written or removed.";
        let dropped = "Writes of last answers that were left out.";
        Ok(Self {
            count: gauge(registry, "records", "Last answers kept on disk.")?,
            broken: counter(registry, "records_broken_total", "Last answers on disk that could not be understood.")?,
            failures: counters(registry, "record_failures_total", failures, "action")?,
            dropped: counters(registry, "records_dropped_total", dropped, "reason")?,
        })
    }

    /// Counts a failed `read`, `write`, `remove` or `sweep`.
    pub(crate) fn failed(&self, action: &str) {
        self.failures.with_label_values(&[action]).inc();
    }

    /// Counts a write that was left out: `limit` or `queue`.
    pub(crate) fn dropped(&self, reason: &str) {
        self.dropped.with_label_values(&[reason]).inc();
    }
}

fn name(suffix: &str) -> String {
    format!("namegate_edge_ask_{suffix}")
}

fn counter(registry: &Registry, suffix: &str, help: &str) -> prometheus::Result<IntCounter> {
    let counter = IntCounter::new(name(suffix), help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(registry: &Registry, suffix: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name(suffix), help), &[label])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn gauge(registry: &Registry, suffix: &str, help: &str) -> prometheus::Result<IntGauge> {
    let gauge = IntGauge::new(name(suffix), help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}
