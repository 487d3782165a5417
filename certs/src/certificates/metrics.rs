//! What the manager counts.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector,
};

use super::{departing::Reason, plan::Expiring};
use crate::{ChallengeKind, IssuerKey, budget::Use};

/// From a CA on the same machine (1 ms) to the limit of an order (5 min).
const STAGES: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];
/// Problem types that have a label of their own; a CA may invent others, and labels must stay few.
const REASONS: &[&str] = &[
    "accountDoesNotExist",
    "alreadyRevoked",
    "badCSR",
    "badNonce",
    "badPublicKey",
    "caa",
    "caa_account",
    "caa_forbids",
    "caa_method",
    "compound",
    "connection",
    "dns",
    "dns_alias",
    "dns_auth",
    "dns_bad_credential",
    "dns_changed",
    "dns_conflict",
    "dns_forbidden",
    "dns_inside",
    "dns_invalid",
    "dns_lookup",
    "dns_name",
    "dns_no_address",
    "dns_no_solver",
    "dns_not_eligible",
    "dns_not_visible",
    "dns_nxdomain",
    "dns_occupied",
    "dns_outside",
    "dns_rate_limited",
    "dns_too_large",
    "dns_transient",
    "dns_unsupported",
    "dns_zone_not_found",
    "externalAccountRequired",
    "incorrectResponse",
    "malformed",
    "orderNotReady",
    "pending",
    "points_elsewhere",
    "rateLimited",
    "rejectedIdentifier",
    "serverInternal",
    "store_failed",
    "timeout",
    "tls",
    "unauthorized",
    "unreachable",
    "unsupportedIdentifier",
    "unusable",
    "userActionRequired",
    "waiting",
    "waiting_domain",
    "waiting_name",
    "waiting_tenant",
];

#[derive(Clone)]
pub(super) struct Metrics {
    stages: HistogramVec,
    orders: IntCounterVec,
    failures: IntCounterVec,
    refuted: IntCounterVec,
    waits: HistogramVec,
    renewals: IntCounterVec,
    leases: IntCounterVec,
    removed: IntCounterVec,
    expiring: IntGaugeVec,
    orders_left: IntGaugeVec,
    counted: IntGaugeVec,
    pub(super) hits: IntCounter,
    pub(super) misses: IntCounter,
    pub(super) cache_bytes: IntGauge,
    pub(super) cache_entries: IntGauge,
    pub(super) planned: IntGauge,
    pub(super) released: IntGauge,
    pub(super) moving: IntGauge,
    pub(super) unsaved: IntGauge,
    pub(super) waiting: IntGauge,
    pub(super) in_flight: IntGauge,
    pub(super) heartbeat: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let new = Registrar(registry);
        Ok(Self {
            stages: new.histograms(
                "acme_stage_seconds",
                "Time of an order's stages: order, challenge, finalize, download, store, total.",
                &["stage"],
            )?,
            orders: new.counters(
                "acme_orders_total",
                "Orders by kind of issuer, challenge that proved control, and result.",
                &["issuer", "challenge", "result"],
            )?,
            failures: new.counters("acme_failures_total", "Failed orders by reason.", &["reason"])?,
            refuted: new.counters(
                "acme_authorizations_failed_total",
                "Challenges that the CA looked for and refused.",
                &["challenge"],
            )?,
            waits: new.histograms(
                "certificate_wait_seconds",
                "Time that handshakes waited for a certificate that was not in memory, by result.",
                &["result"],
            )?,
            renewals: new.counters("certificate_renewals_total", "Renewals by result.", &["result"])?,
            leases: new.counters(
                "order_leases_total",
                "Turns to order in a fleet: taken, elsewhere, settled by another edge, lost, late.",
                &["outcome"],
            )?,
            removed: new.counters(
                "certificate_removed_total",
                "Certificates removed from the store with their keys, by reason: moved, released.",
                &["reason"],
            )?,
            expiring: new.gauges(
                "certificate_expiring",
                "Certificates in the plan that end within a day (24h) and a week (7d).",
                &["within"],
            )?,
            orders_left: new.gauges(
                "acme_orders_left",
                "Orders that the CA takes from the account at once, where its limit is known.",
                &["issuer"],
            )?,
            counted: new.gauges(
                "acme_counted_entries",
                "Tenants, registered domains (domain) and names whose orders count toward the CA's limits.",
                &["issuer", "of"],
            )?,
            hits: new.counter("certificate_cache_hits_total", "Lookups answered from memory.")?,
            misses: new.counter("certificate_cache_misses_total", "Lookups not answered from memory.")?,
            cache_bytes: new.gauge("certificate_cache_bytes", "Memory of cached certificates, about.")?,
            cache_entries: new.gauge("certificate_cache_entries", "Certificates in memory, about.")?,
            planned: new.gauge("certificate_planned", "Names in the renewal plan.")?,
            released: new.gauge(
                "certificate_released",
                "Names that are served no more and whose certificates are kept for a while.",
            )?,
            moving: new
                .gauge("certificate_moving", "Names of which certificates of another tenant are being removed.")?,
            unsaved: new.gauge("certificate_unsaved", "Certificates that the store did not take yet.")?,
            waiting: new.gauge("acme_queue_waiting", "New names that wait for a slot to order in.")?,
            in_flight: new.gauge("acme_orders_in_flight", "Names whose order is under way or waits.")?,
            heartbeat: new
                .gauge("certificate_renewal_heartbeat_timestamp_seconds", "When the renewal loop last went round.")?,
        })
    }

    pub(super) fn stage(&self, stage: &'static str, took: Duration) {
        self.stages.with_label_values(&[stage]).observe(took.as_secs_f64());
    }

    pub(super) fn order(&self, issuer: &str, challenge: Option<ChallengeKind>, result: &'static str) {
        let challenge = challenge.map_or("none", ChallengeKind::as_str);
        self.orders.with_label_values(&[issuer, challenge, result]).inc();
    }

    pub(super) fn failure(&self, reason: &str) {
        let reason = if REASONS.contains(&reason) { reason } else { "other" };
        self.failures.with_label_values(&[reason]).inc();
    }

    pub(super) fn refuted(&self, challenge: ChallengeKind) {
        self.refuted.with_label_values(&[challenge.as_str()]).inc();
    }

    pub(super) fn wait(&self, result: &'static str, took: Duration) {
        self.waits.with_label_values(&[result]).observe(took.as_secs_f64());
    }

    pub(super) fn renewal(&self, result: &'static str) {
        self.renewals.with_label_values(&[result]).inc();
    }

    pub(super) fn lease(&self, outcome: &'static str) {
        self.leases.with_label_values(&[outcome]).inc();
    }

    pub(super) fn removed(&self, reason: Reason, count: usize) {
        self.removed.with_label_values(&[reason.as_str()]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(super) fn budget(&self, issuer: &IssuerKey, used: Use) {
        let issuer = issuer.as_str();
        if let Some(left) = used.left {
            self.orders_left.with_label_values(&[issuer]).set(gauge(left));
        }
        for (of, entries) in [("tenant", used.tenants), ("domain", used.domains), ("name", used.names)] {
            self.counted.with_label_values(&[issuer, of]).set(gauge(entries));
        }
    }

    pub(super) fn expiring(&self, expiring: Expiring) {
        let set = |within, count| self.expiring.with_label_values(&[within]).set(i64::try_from(count).unwrap_or(0));
        set("24h", expiring.within_day);
        set("7d", expiring.within_week);
    }
}

/// A count for a gauge.
pub(super) fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Makes metrics of one prefix and registers them.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(full(name), help).buckets(STAGES.to_vec());
        self.register(HistogramVec::new(opts, labels)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(full(name), help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(full(name), help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(full(name), help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::new(full(name), help)?)
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn full(name: &str) -> String {
    format!("namegate_edge_{name}")
}
