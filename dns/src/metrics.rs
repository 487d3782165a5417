//! Counters of questions and checks. No label ever holds a name or an address.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

use crate::answer::{Answer, Reason};

/// From a local server to past two attempts.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Handles of every series, made once.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: IntCounterVec,
    checks: IntCounterVec,
    pub(crate) tcp: IntCounterVec,
    pub(crate) seconds: Histogram,
    pub(crate) in_flight: IntGauge,
    pub(crate) zones: IntGauge,
}

impl Metrics {
    /// Registers `namegate_control_dns_…`.
    ///
    /// # Errors
    /// When a series of one of these names stands in the registry already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Self::of(Family { registry, prefix: "namegate_control_dns" })
    }

    /// Registers `namegate_edge_dns_…`.
    ///
    /// # Errors
    /// When a series of one of these names stands in the registry already.
    pub fn of_edge(registry: &Registry) -> prometheus::Result<Self> {
        Self::of(Family { registry, prefix: "namegate_edge_dns" })
    }

    /// Registers `namegate_edge_dns01_…`, for the questions that proofs by DNS-01 take.
    ///
    /// # Errors
    /// When a series of one of these names stands in the registry already.
    pub fn of_challenges(registry: &Registry) -> prometheus::Result<Self> {
        Self::of(Family { registry, prefix: "namegate_edge_dns01" })
    }

    /// Registers `namegate_edge_preflight_dns_…`, for the questions of looks before orders.
    ///
    /// # Errors
    /// When a series of one of these names stands in the registry already.
    pub fn of_preflights(registry: &Registry) -> prometheus::Result<Self> {
        Self::of(Family { registry, prefix: "namegate_edge_preflight_dns" })
    }

    fn of(family: Family<'_>) -> prometheus::Result<Self> {
        let queries = family.counters("queries_total", "Questions to one server by what they brought.", "result")?;
        for result in ["present", "no_data", "no_name"].into_iter().chain(Reason::ALL.map(Reason::code)) {
            queries.with_label_values(&[result]);
        }
        let seconds = family.name("query_duration_seconds");
        let seconds = HistogramOpts::new(seconds, "Time of one question, all attempts.").buckets(SECONDS.to_vec());
        let seconds = Histogram::with_opts(seconds)?;
        family.registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            queries,
            checks: family.counters("checks_total", "Checks by kind.", "kind")?,
            tcp: family.counters("tcp_total", "Questions over TCP by why.", "reason")?,
            seconds,
            in_flight: family.gauge("in_flight", "Questions in flight.")?,
            zones: family.gauge("zones_remembered", "Names whose name servers are remembered.")?,
        })
    }

    /// Counts a question by its result.
    pub(crate) fn asked<T>(&self, answer: &Answer<T>) {
        let result = match answer {
            Answer::Present(_) => "present",
            Answer::Absent(crate::Absence::NoData) => "no_data",
            Answer::Absent(crate::Absence::NoName) => "no_name",
            Answer::Indeterminate(reason) => reason.code(),
        };
        self.queries.with_label_values(&[result]).inc();
    }

    /// Counts a check: `records`, `ownership`, `preflight`, `everywhere`, `addresses` or `caa`.
    pub(crate) fn checked(&self, kind: &str) {
        self.checks.with_label_values(&[kind]).inc();
    }
}

/// Where series are registered, and what their names begin with.
struct Family<'a> {
    registry: &'a Registry,
    prefix: &'static str,
}

impl Family<'_> {
    fn name(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.prefix)
    }

    fn counters(&self, suffix: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(Opts::new(self.name(suffix), help), &[label])?;
        self.registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, suffix: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::new(self.name(suffix), help)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }
}
