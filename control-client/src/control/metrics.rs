//! Counters of the line to the control plane. No label ever holds a hostname.

use clock::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::{directory::Applied, error::CallError};

/// From the commit of a change to its being live: a millisecond on one machine, seconds after an outage.
const DELAY: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const APPLIED: [&str; 6] = ["bad", "delete", "full", "outdated", "unknown", "upsert"];

/// Handles of every series, made once.
pub(super) struct Metrics {
    /// Admissions of known names.
    pub(super) known: IntCounter,
    /// Refusals of deleted names.
    pub(super) gone: IntCounter,
    pub(super) names: IntGauge,
    pub(super) deleted: IntGauge,
    pub(super) events_lost: IntCounter,
    /// Changes that are committed and not here.
    pub(super) lag: IntGauge,
    pub(super) delay: Histogram,
    pub(super) left_out: IntCounter,
    pub(super) reports: ReportMetrics,
    contact: IntGauge,
    snapshot: IntGauge,
    changes: IntCounterVec,
    polls: IntCounterVec,
    syncs: IntCounterVec,
    disk: IntCounterVec,
}

/// Counters of reports.
pub(super) struct ReportMetrics {
    pub(super) queued: IntGauge,
    pub(super) sent: IntCounter,
    pub(super) failed: IntCounterVec,
    pub(super) dropped: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let admissions = counters(registry, "admissions_total", "Decisions without a question.", "kind")?;
        let delay = HistogramOpts::new(name("change_delay_seconds"), "Time from a change's commit to its being live.");
        let delay = Histogram::with_opts(delay.buckets(DELAY.to_vec()))?;
        registry.register(Box::new(delay.clone()))?;
        let metrics = Self {
            known: admissions.with_label_values(&["known"]),
            gone: admissions.with_label_values(&["gone"]),
            names: gauge(registry, "names", "Known names.")?,
            deleted: gauge(registry, "deleted_names", "Deleted names that are remembered.")?,
            events_lost: counter(registry, "events_lost_total", "Events that the listener had no room for.")?,
            lag: gauge(registry, "feed_lag_changes", "Changes at the control plane that are not live here.")?,
            delay,
            left_out: counter(registry, "snapshot_names_left_out_total", "Names of snapshots that were not taken.")?,
            reports: ReportMetrics::new(registry)?,
            contact: gauge(registry, "last_contact_timestamp_seconds", "When the feed last answered.")?,
            snapshot: gauge(registry, "snapshot_timestamp_seconds", "When the names were last written to disk.")?,
            changes: counters(registry, "changes_total", "Changes by what became of them.", "kind")?,
            polls: counters(registry, "polls_total", "Questions for changes by result.", "result")?,
            syncs: counters(registry, "syncs_total", "Full synchronisations by result.", "result")?,
            disk: counters(registry, "disk_failures_total", "Failures with what is kept on disk.", "action")?,
        };
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// Makes all series exist from the start.
    fn start_at_zero(&self) {
        for kind in APPLIED {
            self.changes.with_label_values(&[kind]);
        }
        for result in CallError::KINDS.into_iter().chain(["ok"]) {
            self.polls.with_label_values(&[result]);
            self.syncs.with_label_values(&[result]);
        }
        for action in ["append", "broken", "load", "queue", "write"] {
            self.disk.with_label_values(&[action]);
        }
    }

    /// The feed has answered.
    pub(super) fn contact(&self, now: Timestamp) {
        self.contact.set(seconds(now));
    }

    /// The names are on disk.
    pub(super) fn saved(&self, now: Timestamp) {
        self.snapshot.set(seconds(now));
    }

    /// Counts a question for changes.
    pub(super) fn polled(&self, result: &str) {
        self.polls.with_label_values(&[result]).inc();
    }

    /// Counts a full synchronisation.
    pub(super) fn synced(&self, result: &str) {
        self.syncs.with_label_values(&[result]).inc();
    }

    /// Counts a failed `append`, `load` or `write`, something `broken`, or a full `queue`.
    pub(super) fn disk_failed(&self, action: &str) {
        self.disk.with_label_values(&[action]).inc();
    }

    /// Counts a change.
    pub(super) fn changed(&self, applied: Applied) {
        self.changes.with_label_values(&[applied.word()]).inc();
    }
}

impl ReportMetrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            queued: gauge(registry, "reports_queued", "Certificate reports that wait for the control plane.")?,
            sent: counter(registry, "reports_sent_total", "Certificate reports that the control plane took.")?,
            failed: counters(registry, "report_failures_total", "Batches that were not taken by reason.", "result")?,
            dropped: counters(registry, "reports_dropped_total", "Certificate reports that were lost.", "reason")?,
        };
        for reason in ["disk", "limit", "queue", "refused"] {
            metrics.dropped.with_label_values(&[reason]);
        }
        Ok(metrics)
    }

    /// Counts lost reports.
    pub(super) fn lost(&self, reason: &str, count: usize) {
        self.dropped.with_label_values(&[reason]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn seconds(now: Timestamp) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn name(suffix: &str) -> String {
    format!("namegate_edge_control_{suffix}")
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
