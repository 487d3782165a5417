//! [`Reporter`] and [`Delivery`]: what happened to certificates reaches the control plane at least once.
//!
//! A report waits in memory for milliseconds, then on disk until the control plane has taken it. Whoever reports never
//! waits: without room, in memory or on disk, the report is dropped and counted.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    io,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use clock::SharedClock;
use control_api::{CertificateReport, Reports};
use parking_lot::Mutex;
use reqwest::StatusCode;
use tokio::sync::{Notify, mpsc};
use tracing::warn;

use super::{
    backoff::Backoff,
    client::Client,
    error::CallError,
    metrics::Metrics,
    settings::ControlLimits,
    spool::{Spool, Taken},
};
use crate::sampler::Sampler;

/// Reports that may wait for the disk: seconds of issuance at its fastest.
const QUEUE: usize = 1024;
/// How often the disk is looked at for what another process has left there.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Takes reports. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    queue: mpsc::Sender<CertificateReport>,
    limits: Arc<ControlLimits>,
    metrics: Arc<Metrics>,
}

impl Reporter {
    /// Takes a report, or drops it when there is no room. An empty `id` is filled in. Never waits.
    pub fn report(&self, mut report: CertificateReport) {
        if report.id.is_empty() {
            report.id = fresh_id();
        }
        if self.queue.try_send(report).is_err() {
            self.metrics.reports.lost("queue", 1);
        }
    }

    /// Whether half the room for reports is taken. What can be told later should be.
    pub fn is_behind(&self) -> bool {
        let queued = usize::try_from(self.metrics.reports.queued.get()).unwrap_or(0);
        self.queue.capacity() < QUEUE / 2 || queued > self.limits.reports / 2
    }
}

/// 128 bits that no other report has. Every `RandomState` has another key, from the system's random numbers.
fn fresh_id() -> String {
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half())
}

/// The task that stores and sends reports. [`run`](Self::run) it.
pub struct Delivery {
    queue: mpsc::Receiver<CertificateReport>,
    desk: Desk,
}

/// What storing and sending share.
struct Desk {
    spool: Arc<Mutex<Spool>>,
    more: Notify,
    client: Arc<Client>,
    limits: Arc<ControlLimits>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    warnings: Sampler,
}

pub(super) fn start(
    spool: Spool,
    client: Arc<Client>,
    limits: Arc<ControlLimits>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
) -> (Reporter, Delivery) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let reporter = Reporter { queue: sender, limits: Arc::clone(&limits), metrics: Arc::clone(&metrics) };
    metrics.reports.queued.set(i64::try_from(spool.len()).unwrap_or(i64::MAX));
    let spool = Arc::new(Mutex::new(spool));
    let desk = Desk { spool, more: Notify::new(), client, limits, clock, metrics, warnings: Sampler::default() };
    (reporter, Delivery { queue, desk })
}

impl Delivery {
    /// Stores and sends until `stop` ends; then stores what has been reported so far.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { queue, desk } = self;
        // Only sending is given up midway: what is on its way to the disk is waited for.
        tokio::select! {
            () = desk.store(queue, stop) => {}
            () = desk.send() => {}
        }
    }
}

impl Desk {
    /// From memory to disk, until `stop` ends and nothing is left in memory.
    async fn store(&self, mut queue: mpsc::Receiver<CertificateReport>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut reports = Vec::new();
        loop {
            let taken = tokio::select! {
                taken = queue.recv_many(&mut reports, QUEUE) => taken,
                () = &mut stop => break,
            };
            match taken {
                // Without reporters there may still be reports to send.
                0 => return stop.await,
                _ => self.spool(std::mem::take(&mut reports)).await,
            }
        }
        queue.close();
        while queue.recv_many(&mut reports, QUEUE).await > 0 {
            self.spool(std::mem::take(&mut reports)).await;
        }
    }

    async fn spool(&self, reports: Vec<CertificateReport>) {
        let count = reports.len();
        match self.spooling(move |spool| spool.push(&reports)).await {
            Ok(0) => {}
            Ok(left) => self.metrics.reports.lost("limit", left),
            Err(error) => self.lost("disk", count, &error),
        }
        self.more.notify_one();
    }

    /// From disk to the control plane, for ever.
    async fn send(&self) {
        let mut backoff = Backoff::new(self.limits.backoff);
        loop {
            match self.spooling(Spool::oldest).await {
                Ok(Some(taken)) => self.send_segment(taken, &mut backoff).await,
                Ok(None) => tokio::select! {
                    () = self.more.notified() => {}
                    // An old process that hands over writes until it ends, and nobody says so.
                    () = self.clock.sleep_until(self.clock.now() + LOOK_AGAIN) => {}
                },
                Err(error) => {
                    self.lost("disk", 0, &error);
                    self.clock.sleep_until(self.clock.now() + backoff.failed()).await;
                }
            }
        }
    }

    async fn send_segment(&self, taken: Taken, backoff: &mut Backoff) {
        self.metrics.reports.lost("disk", taken.broken);
        for batch in taken.reports.chunks(Reports::MOST) {
            self.send_batch(batch, backoff).await;
        }
        if let Err(error) = self.spooling(Spool::done).await {
            self.lost("disk", 0, &error);
            // It is found and sent again, which is not to be an endless loop.
            self.clock.sleep_until(self.clock.now() + backoff.failed()).await;
        }
    }

    /// Sends until it is taken; what is refused is sent one by one, and what is refused alone is dropped.
    async fn send_batch(&self, batch: &[CertificateReport], backoff: &mut Backoff) {
        if self.until_answered(batch, backoff).await.is_ok() {
            return;
        }
        for report in batch {
            if self.until_answered(std::slice::from_ref(report), backoff).await.is_err() {
                self.metrics.reports.lost("refused", 1);
                warn!(hostname = %report.hostname, "control.report refused");
            }
        }
    }

    async fn until_answered(&self, batch: &[CertificateReport], backoff: &mut Backoff) -> Result<(), Refused> {
        let body = serde_json::to_vec(&Reports { reports: batch.to_vec() }).unwrap_or_default();
        loop {
            match self.client.post("/internal/certificates", body.clone(), self.limits.timeout).await {
                Ok(_) => {
                    backoff.succeeded();
                    self.metrics.reports.sent.inc_by(u64::try_from(batch.len()).unwrap_or(0));
                    return Ok(());
                }
                Err(CallError::Status(status)) if is_refusal(status) => return Err(Refused),
                Err(error) => self.pause(&error, backoff).await,
            }
        }
    }

    async fn pause(&self, error: &CallError, backoff: &mut Backoff) {
        self.metrics.reports.failed.with_label_values(&[error.kind()]).inc();
        let now = self.clock.now();
        if let Some(left_out) = self.warnings.admit(now) {
            warn!(kind = error.kind(), error = %telemetry::chain(error), left_out, "control.reports not taken");
        }
        self.clock.sleep_until(now + backoff.failed()).await;
    }

    async fn spooling<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Spool) -> io::Result<T> + Send + 'static,
    {
        let (spool, queued) = (Arc::clone(&self.spool), self.metrics.reports.queued.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut spool = spool.lock();
            let done = work(&mut spool);
            queued.set(i64::try_from(spool.len()).unwrap_or(i64::MAX));
            done
        });
        let done = done.await;
        done.unwrap_or_else(|gone| Err(io::Error::other(gone)))
    }

    fn lost(&self, reason: &str, count: usize, error: &io::Error) {
        self.metrics.reports.lost(reason, count);
        if let Some(left_out) = self.warnings.admit(self.clock.now()) {
            warn!(%error, count, left_out, "control.reports cannot be kept");
        }
    }
}

/// The control plane says that it will never take this.
struct Refused;

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY)
}
