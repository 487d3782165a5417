//! The sender of webhooks: takes deliveries that are due, signs them, sends them, and writes down what came of it.
//!
//! What is to be sent was written with the change that it tells of ([`core`](crate::core)); this module loses nothing
//! when it dies, because it owns nothing: a delivery is leased, and whoever dies while sending leaves one that is due
//! again. A receiver may therefore see a message twice, with the same id.
//!
//! Each endpoint has a *lane*, a task that sends a few of its deliveries at a time. Lanes are bounded, and those of
//! endpoints that fail may only take half of them: receivers that hang hold up nobody but themselves. Of one name, a
//! later event is not sent to an endpoint before the earlier one was delivered or given up; the core sees to that by
//! giving only the first one a time.
//!
//! Where a message goes is a stranger's word. Outside development only public addresses are dialled, looked at after
//! resolving and each time ([`Targets`]), redirects are not followed, and of an answer a few KiB are read.

mod attempt;
mod ladder;
mod lanes;
mod limits;
mod metrics;
pub(crate) mod signing;

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    core::{Core, CoreError, DeliveryAttempt, DueDelivery, DueEndpoint, Moment, NextStep, Recorded},
    surfaces::dialect,
};
use attempt::{Attempt, Outcome};
use ladder::Ladder;
use lanes::{Lane, Lanes};

pub use limits::SenderLimits;
pub use metrics::WebhookMetrics;

pub use dns::outward::{HttpError, Targets};

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Where messages may go.
    pub targets: Targets,
    /// How long a message is tried before it is given up.
    pub retry_for: Duration,
    /// Root certificates in PEM that receivers are verified against instead of the machine's.
    pub roots: Option<String>,
}

/// What receivers see of us.
const USER_AGENT: &str = concat!("Namegate-Webhooks/", env!("CARGO_PKG_VERSION"));

/// The way to receivers; clones share the connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    targets: Targets,
}

/// The sender of one process. Several processes may send from one database.
#[derive(Clone)]
pub struct Sender {
    core: Core,
    http: Http,
    ladder: Ladder,
    lanes: Arc<Lanes>,
    limits: SenderLimits,
    metrics: WebhookMetrics,
    stopping: CancellationToken,
}

impl Sender {
    /// A sender that ends when `stopping` is cancelled.
    ///
    /// # Errors
    /// [`HttpError`]: the client cannot be set up.
    pub fn new(
        core: Core,
        settings: SenderSettings,
        limits: SenderLimits,
        metrics: WebhookMetrics,
        stopping: CancellationToken,
    ) -> Result<Self, HttpError> {
        let client = dns::outward::client(&settings.targets, settings.roots.as_deref(), USER_AGENT)?;
        let http = Http { client, targets: settings.targets };
        let lanes = Arc::new(Lanes::new(limits.lanes, limits.failing_lanes));
        Ok(Self { core, http, ladder: Ladder::new(settings.retry_for), lanes, limits, metrics, stopping })
    }

    /// Runs until told to stop, and then until what was begun is written down.
    pub async fn run(self) {
        let tasks = TaskTracker::new();
        let mut bell = self.core.event_bell();
        while !self.stopping.is_cancelled() {
            bell.mark_unchanged();
            let next = match self.start_lanes(&tasks).await {
                Ok((_, next)) => next,
                Err(error) => {
                    tracing::warn!(error = %telemetry::chain(&error), "webhooks wait for the database");
                    self.sleep(self.limits.pause).await;
                    continue;
                }
            };
            let at = next.unwrap_or_else(|| self.core.now().after(self.limits.lease));
            tokio::select! {
                () = self.stopping.cancelled() => {}
                _ = bell.changed() => {}
                () = self.lanes.freed() => {}
                () = self.core.clock().sleep_until(at.timestamp()) => {}
                // Other processes write events too, and their bells do not ring here.
                () = tokio::time::sleep(self.limits.look_again) => {}
            }
            // Many commits a moment are one look.
            self.sleep(self.limits.breath).await;
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Sends all that is due now, and what becomes due by that. Answers how many lanes it took.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn deliver_due(&self) -> Result<usize, CoreError> {
        let mut all = 0;
        loop {
            let tasks = TaskTracker::new();
            let (started, _) = self.start_lanes(&tasks).await?;
            if started == 0 {
                return Ok(all);
            }
            all += started;
            tasks.close();
            tasks.wait().await;
        }
    }

    /// Opens a lane for every endpoint that something is due to, as far as there is room. Answers how many, and when
    /// the next delivery is due after now.
    async fn start_lanes(&self, tasks: &TaskTracker) -> Result<(usize, Option<Moment>), CoreError> {
        let schedule = self.core.delivery_schedule(self.limits.endpoints).await?;
        let now = self.core.now();
        let (due, later): (Vec<DueEndpoint>, Vec<DueEndpoint>) =
            schedule.into_iter().partition(|endpoint| endpoint.due_at <= now);
        let mut started = 0;
        for endpoint in due {
            if let Some(lane) = self.lanes.open(&endpoint.endpoint_id, endpoint.is_failing.0) {
                tasks.spawn(self.clone().drive(lane));
                started += 1;
            }
        }
        Ok((started, later.iter().map(|endpoint| endpoint.due_at).min()))
    }

    /// Sends what is due to one endpoint. Gives way at the first failure, and at the first success of one that failed:
    /// the loop decides whose turn is next, and how much of it.
    async fn drive(self, lane: Lane) {
        let batch = if lane.is_failing() { 1 } else { self.limits.per_lane };
        while !self.stopping.is_cancelled() {
            let due = match self.core.lease_deliveries(lane.endpoint_id(), batch, self.limits.lease).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(error = %telemetry::chain(&error), "no webhooks could be taken");
                    self.sleep(self.limits.pause).await;
                    return;
                }
            };
            let sent = futures::future::join_all(due.iter().map(|due| self.deliver(due))).await;
            if sent.is_empty() || sent.contains(&false) || lane.is_failing() {
                return;
            }
        }
    }

    /// Sends one delivery and writes it down. Answers whether the endpoint took it.
    async fn deliver(&self, due: &DueDelivery) -> bool {
        let at = self.core.now();
        self.metrics.begin(at.since(due.delivery.next_retry_at.unwrap_or(at)));
        let began = tokio::time::Instant::now();
        let outcome = self.send(due, at).await;
        let took = began.elapsed();
        self.metrics.end(outcome.code(), took);
        let next = self.next_step(due, &outcome, at);
        let attempt = DeliveryAttempt {
            n: due.delivery.attempts + 1,
            at,
            status_code: outcome.status().map(i64::from),
            error: outcome.error(),
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            response: outcome.answer(),
        };
        match self.core.record_delivery_attempt(due, &attempt, next).await {
            Ok(Recorded::Kept) => {}
            Ok(Recorded::Lost) => tracing::debug!(delivery = due.delivery.id, "a webhook's lease was lost"),
            Ok(Recorded::Disabled(reason)) => {
                self.metrics.disabled(reason);
                tracing::info!(endpoint = due.endpoint.id, %reason, "a webhook endpoint is told nothing any more");
            }
            Err(error) => {
                let delivery = &due.delivery.id;
                tracing::warn!(error = %telemetry::chain(&error), delivery, "a webhook was not noted; it is repeated");
                return false;
            }
        }
        next == NextStep::Delivered
    }

    async fn send(&self, due: &DueDelivery, at: Moment) -> Outcome {
        let secrets = match self.core.signing_secrets(&due.endpoint) {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::error!(error = %telemetry::chain(&error), endpoint = due.endpoint.id, "a webhook is not signed");
                return Outcome::Unsigned;
            }
        };
        let body = dialect::message(due.endpoint.dialect, &due.event, at);
        let headers = signing::headers(&due.event.id, at, &body, &secrets)
            .and_then(|standard| Ok((standard, dialect::headers(due.endpoint.dialect, at, &body, &secrets)?)));
        match headers {
            Ok((standard, own)) => {
                let attempt = Attempt { url: &due.endpoint.url, headers: standard.into_iter().chain(own), body };
                attempt.send(&self.http).await
            }
            Err(_) => Outcome::Unsigned,
        }
    }

    fn next_step(&self, due: &DueDelivery, outcome: &Outcome, now: Moment) -> NextStep {
        match outcome {
            Outcome::Delivered { .. } => NextStep::Delivered,
            Outcome::Gone { .. } => NextStep::Gone,
            Outcome::Forbidden(_)
            | Outcome::Refused { .. }
            | Outcome::TimedOut
            | Outcome::Unreachable(_)
            | Outcome::Unsigned => {
                let tries = due.delivery.attempts.saturating_add(1);
                match self.ladder.wait(&due.delivery.id, tries, outcome.retry_after(now)) {
                    Some(wait) => NextStep::Retry(self.core.now().after(wait)),
                    None => NextStep::GiveUp,
                }
            }
        }
    }

    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}
