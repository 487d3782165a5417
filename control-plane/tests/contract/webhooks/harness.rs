//! An account, a receiver, and a sender that sends when it is told to.

use std::{future::Future, time::Duration};

use control_plane::{
    core::{CoreSettings, Delivery, DeliveryAttempt, EventKind, NewEndpoint, WebhookEndpoint},
    webhooks::{Sender, SenderLimits, SenderSettings, Targets, WebhookMetrics},
};
use prometheus::{Encoder as _, Registry, TextEncoder};
use test_support::{Loopback, Receiver};
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Tenant, on_both_with};

/// How long messages are tried here: the whole ladder, and one hour more.
pub(crate) const RETRY_FOR: Duration = Duration::from_mins(123);

/// Everything.
pub(crate) struct Scene {
    pub(crate) bench: Bench,
    pub(crate) tenant: Tenant,
    pub(crate) receiver: Receiver,
    pub(crate) sender: Sender,
    pub(crate) stopping: CancellationToken,
    pub(crate) host: Loopback,
    registry: Registry,
}

/// Keeps a promise on both databases.
pub(crate) fn sending<F, Fut>(promise: F)
where
    F: Fn(Scene) -> Fut,
    Fut: Future<Output = ()>,
{
    let settings = CoreSettings { dev: true, ..CoreSettings::default() };
    on_both_with(settings, |bench| async { promise(Scene::new(bench, Targets::Any, None).await).await });
}

impl Scene {
    pub(crate) async fn new(bench: Bench, targets: Targets, roots: Option<String>) -> Self {
        let (host, tenant, registry) = (Loopback::take(), bench.tenant("a").await, Registry::new());
        let (receiver, stopping) = (Receiver::start(&host).await, CancellationToken::new());
        let settings = SenderSettings { targets, retry_for: RETRY_FOR, roots };
        let metrics = WebhookMetrics::new(&registry).unwrap();
        let limits = SenderLimits::default();
        let sender = Sender::new(bench.core.clone(), settings, limits, metrics, stopping.clone()).unwrap();
        Self { bench, tenant, receiver, sender, stopping, host, registry }
    }

    /// An endpoint at the receiver that wants everything, and its secret.
    pub(crate) async fn endpoint(&self) -> (WebhookEndpoint, String) {
        self.endpoint_at(&self.receiver.url(), &[]).await
    }

    pub(crate) async fn endpoint_at(&self, url: &str, events: &[EventKind]) -> (WebhookEndpoint, String) {
        let core = &self.bench.core;
        let mut tx = core.begin().await.unwrap();
        let new = NewEndpoint { url: url.to_owned(), events: events.to_vec() };
        let made = core.create_endpoint(&mut tx, &self.tenant.caller, new).await.unwrap();
        core.commit(tx).await.unwrap();
        made
    }

    /// Sends all that is due at this moment of the clock.
    pub(crate) async fn send(&self) {
        self.sender.deliver_due().await.unwrap();
    }

    /// The sender of another process on the same database.
    pub(crate) fn another_sender(&self) -> Sender {
        let settings = SenderSettings { targets: Targets::Any, retry_for: RETRY_FOR, roots: None };
        let metrics = WebhookMetrics::new(&Registry::new()).unwrap();
        Sender::new(self.bench.core.clone(), settings, SenderLimits::default(), metrics, CancellationToken::new())
            .unwrap()
    }

    /// Moves the clock, then sends.
    pub(crate) async fn later(&self, by: Duration) {
        self.bench.clock.advance(by);
        self.send().await;
    }

    /// All deliveries, the oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let all = self.bench.core.deliveries(&self.tenant.caller, None, None, 1000).await.unwrap();
        all.into_iter().rev().map(|(delivery, _)| delivery).collect()
    }

    /// The only delivery and its attempts.
    pub(crate) async fn only(&self) -> (Delivery, Vec<DeliveryAttempt>) {
        let all = self.deliveries().await;
        assert_eq!(all.len(), 1, "{all:?}");
        let (delivery, _, attempts) = self.bench.core.delivery(&self.tenant.caller, &all[0].id).await.unwrap();
        (delivery, attempts)
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}
