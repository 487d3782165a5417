//! Counters of the line and of requests. No label ever holds a hostname.

use std::{sync::Arc, time::Duration};

use prometheus::{
    Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};

use crate::{
    guard::Cut,
    http::answer::Fault,
    serve::{ServeError, Served},
};

/// Handles that are kept for the life of the process; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    accepted: IntCounter,
    accept_errors: IntCounter,
    connections: IntGauge,
    handshakes_full: IntCounter,
    handshakes_resumed: IntCounter,
    handshake_duration: Histogram,
    ends: IntCounterVec,
    /// Requests by the first digit of their status; index 0 is "no response".
    requests: [IntCounter; 6],
    request_duration: Histogram,
    faults: Counts<Fault>,
    origin_connect_failures: IntCounter,
    plain: IntCounterVec,
    reloads: IntCounterVec,
    cuts: Cuts,
    held_back: HeldBack,
    shares: Shares,
}

/// Counts what waited for its turn in its hostname's bandwidth.
#[derive(Debug, Clone)]
pub struct HeldBack {
    bytes: IntCounter,
    seconds: Counter,
}

impl HeldBack {
    /// So many bytes of a body waited so long.
    pub fn count(&self, bytes: usize, time: Duration) {
        self.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.seconds.inc_by(time.as_secs_f64());
    }

    /// What was counted so far.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> (u64, f64) {
        (self.bytes.get(), self.seconds.get())
    }
}

/// Counts by kind, of the kinds that there are. One reference, since every connection has it.
#[derive(Debug, Clone)]
pub struct Counts<K>(Arc<[(K, IntCounter)]>);

impl<K: PartialEq> Counts<K> {
    /// One more of this kind.
    pub fn count(&self, kind: K) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == kind) {
            counter.inc();
        }
    }
}

/// Connections that the guard cut, by reason.
pub type Cuts = Counts<Cut>;
/// Exchanges that waited for a share of their connection.
pub type Shares = Counts<Share>;

/// What the exchanges of one HTTP/2 connection have of the edge together, each a few of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// To hold the start of an answer that its visitor has no room for.
    HeadSeat,
    /// To hold a part of an answer's body that its visitor has no room for.
    BodySeat,
    /// To read on in a long TLS record of an origin.
    Record,
    /// To shake hands with an origin.
    Handshake,
    /// To read on in a long message of an origin's handshake.
    LongHandshake,
}

impl Share {
    const ALL: [Self; 5] = [Self::HeadSeat, Self::BodySeat, Self::Record, Self::Handshake, Self::LongHandshake];

    fn code(self) -> &'static str {
        match self {
            Self::HeadSeat => "head_seat",
            Self::BodySeat => "body_seat",
            Self::Record => "record",
            Self::Handshake => "handshake",
            Self::LongHandshake => "long_handshake",
        }
    }
}

/// Counts an open connection down when it closes.
pub struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers every series.
    ///
    /// # Errors
    /// When a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let handshakes = counters(registry, "tls_handshakes_total", "Finished handshakes by kind", &["kind"])?;
        let requests = counters(registry, "http_requests_total", "Requests by class of status", &["code"])?;
        let faults = counters(registry, "http_faults_total", "Requests that the edge answered itself", &["reason"])?;
        let class = |class: &str| requests.with_label_values(&[class]);
        let fault = |fault: Fault| (fault, faults.with_label_values(&[fault.code()]));
        let cuts = counters(registry, "connections_cut_total", "Connections cut for what came on them", &["reason"])?;
        let cut = |cut: Cut| (cut, cuts.with_label_values(&[cut.code()]));
        let waits = counters(
            registry,
            "http2_waits_total",
            "Exchanges that waited for a share of their connection",
            &["share"],
        )?;
        let share = |share: Share| (share, waits.with_label_values(&[share.code()]));
        Ok(Self {
            accepted: counter(registry, "connections_accepted_total", "TCP connections accepted on HTTPS listeners")?,
            accept_errors: counter(registry, "accept_errors_total", "Failed accepts, such as for want of descriptors")?,
            connections: gauge(registry, "connections_open", "Secured connections that stand now")?,
            handshakes_full: handshakes.with_label_values(&["full"]),
            handshakes_resumed: handshakes.with_label_values(&["resumed"]),
            handshake_duration: histogram(
                registry,
                "tls_handshake_duration_seconds",
                "Handshake after the hello",
                0.0002,
            )?,
            ends: counters(registry, "connection_ends_total", "How connections ended, by reason", &["reason"])?,
            requests: [class("none"), class("1xx"), class("2xx"), class("3xx"), class("4xx"), class("5xx")],
            request_duration: histogram(
                registry,
                "http_request_duration_seconds",
                "Head of a request to end of its response",
                0.0002,
            )?,
            faults: Counts(Fault::ALL.into_iter().map(fault).collect()),
            origin_connect_failures: counter(
                registry,
                "origin_connect_failures_total",
                "Failed tries to reach an origin",
            )?,
            plain: counters(
                registry,
                "plain_requests_total",
                "Requests on plain-text listeners by answer",
                &["answer"],
            )?,
            reloads: counters(registry, "config_reloads_total", "Configuration reloads by result", &["result"])?,
            cuts: Counts(Cut::all().map(cut).collect()),
            shares: Counts(Share::ALL.into_iter().map(share).collect()),
            held_back: HeldBack {
                bytes: counter(
                    registry,
                    "bandwidth_held_bytes_total",
                    "Bytes of bodies that waited for their hostname's bandwidth",
                )?,
                seconds: seconds(
                    registry,
                    "bandwidth_held_seconds_total",
                    "How long pieces of bodies waited for their hostname's bandwidth, summed up",
                )?,
            },
        })
    }

    /// A connection was accepted.
    pub fn accepted(&self) {
        self.accepted.inc();
    }

    /// The kernel refused to hand over a connection.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// A connection is secured; dropping the guard counts it closed.
    pub fn connection_open(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// A handshake is done.
    pub fn handshake_done(&self, resumed: bool, took: Duration) {
        let kind = if resumed { &self.handshakes_resumed } else { &self.handshakes_full };
        kind.inc();
        self.handshake_duration.observe(took.as_secs_f64());
    }

    /// A connection is over.
    pub fn ended(&self, result: &Result<Served, ServeError>) {
        let reason = match result {
            Ok(Served::Visitor) => "served",
            Ok(Served::Probe) => "probe",
            Err(error) => error.code(),
        };
        self.ends.with_label_values(&[reason]).inc();
    }

    /// A request is over.
    pub fn request_done(&self, status: u16, took: Duration, fault: Option<Fault>) {
        if let Some(class) = self.requests.get(usize::from(status / 100)).or_else(|| self.requests.first()) {
            class.inc();
        }
        self.request_duration.observe(took.as_secs_f64());
        if let Some(fault) = fault {
            self.faults.count(fault);
        }
    }

    /// The counters of a connection's guard.
    pub fn cuts(&self) -> Cuts {
        self.cuts.clone()
    }

    /// The counters of what waits for a share of its connection.
    pub fn shares(&self) -> Shares {
        self.shares.clone()
    }

    /// The counters of what waits for its hostname's bandwidth.
    pub fn held_back(&self) -> HeldBack {
        self.held_back.clone()
    }

    /// An origin could not be reached in one try.
    pub fn origin_connect_failed(&self) {
        self.origin_connect_failures.inc();
    }

    /// A plain-text request was answered: `challenge`, `redirect`, `unknown_challenge`, `bad_host`.
    pub fn plain_answered(&self, answer: &'static str) {
        self.plain.with_label_values(&[answer]).inc();
    }

    /// The configuration was reloaded: `ok` or `error`.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.with_label_values(&[result]).inc();
    }
}

fn name(name: &str) -> String {
    format!("namegate_edge_{name}")
}

fn counter(registry: &Registry, id: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(name(id), help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn seconds(registry: &Registry, id: &str, help: &str) -> Result<Counter, prometheus::Error> {
    let counter = Counter::new(name(id), help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(registry: &Registry, id: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let counters = IntCounterVec::new(Opts::new(name(id), help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn gauge(registry: &Registry, id: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name(id), help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

/// Sixteen buckets, each twice the one before, from `smallest` seconds.
fn histogram(registry: &Registry, id: &str, help: &str, smallest: f64) -> Result<Histogram, prometheus::Error> {
    let buckets = exponential_buckets(smallest, 2.0, 16)?;
    let histogram = Histogram::with_opts(HistogramOpts::new(name(id), help).buckets(buckets))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}
