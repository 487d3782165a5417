//! A customer's zone on two servers of its own, two resolvers, and our edge's name.

use std::time::Duration;

use dns::{
    Authority as Own, Limits, Metrics, OwnerName, Resolvers, ResolversConfig, Server,
    check::{DesiredRecord, EdgeTargets, RecordKind, RecordValue},
};
use names::Hostname;
use prometheus::Registry;

use crate::authority::{Authority, PORT};

pub(crate) const HOST: &str = "shop.customer.test";
pub(crate) const ZONE: &str = "customer.test";
pub(crate) const EDGE: &str = "edge.saas.test";
pub(crate) const EDGE_V4: &str = "192.0.2.10";
pub(crate) const EDGE_V6: &str = "2001:db8::10";

pub(crate) struct Scene {
    pub(crate) resolvers: Resolvers,
    pub(crate) registry: Registry,
    pub(crate) recursive: [Authority; 2],
    pub(crate) own: [Authority; 2],
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The zone's own servers are not asked.
    pub(crate) async fn without_authority() -> Self {
        Self::with(|config| config.authority = Own::Skip).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut ResolversConfig)) -> Self {
        let recursive = [Authority::start().await, Authority::start().await];
        let own = [Authority::start().await, Authority::start().await];
        for server in recursive.iter().chain(&own) {
            server.zone(ZONE, &[&own[0], &own[1]]).zone("saas.test", &[]);
        }
        for server in &recursive {
            server.ip_of(EDGE, EDGE_V4).ip_of(EDGE, EDGE_V6);
        }
        let registry = Registry::new();
        let mut config = ResolversConfig {
            servers: recursive.iter().map(|server| Server::new(server.address())).collect(),
            authority: Own::Ask { port: PORT, private: true },
            limits: Limits { attempt_timeout: Duration::from_secs(1), attempts: 2, ..Limits::default() },
        };
        adjust(&mut config);
        let resolvers = Resolvers::new(config, Metrics::new(&registry).unwrap()).unwrap();
        Self { resolvers, registry, recursive, own }
    }

    /// Everyone who has a vote.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Authority> {
        self.own.iter().chain(&self.recursive)
    }

    /// The same change at every server.
    pub(crate) fn everywhere(&self, change: impl Fn(&Authority)) -> &Self {
        self.all().for_each(change);
        self
    }

    /// The value of a counter, all labels summed, or one of them.
    pub(crate) fn metric(&self, name: &str, label: Option<&str>) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == format!("namegate_control_dns_{name}"));
        let metrics = family.unwrap().get_metric();
        let wanted =
            metrics.iter().filter(|m| label.is_none_or(|label| m.get_label().iter().any(|pair| pair.value() == label)));
        wanted.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

pub(crate) fn owner(text: &str) -> OwnerName {
    text.parse().unwrap()
}

pub(crate) fn hostname(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

pub(crate) fn edge() -> EdgeTargets {
    EdgeTargets { name: owner(EDGE), addresses: vec![EDGE_V4.parse().unwrap(), EDGE_V6.parse().unwrap()] }
}

pub(crate) fn desired(host: &str, kind: RecordKind, value: &str) -> DesiredRecord {
    DesiredRecord { host: owner(host), value: RecordValue::parse(kind, value).unwrap(), ttl: 300 }
}
