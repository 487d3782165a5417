//! [`World`]: a customer's zone at a provider, and us with a credential.

use std::{sync::Arc, time::Duration};

use clock::SystemClock;
use dns::{
    OwnerName,
    check::{DesiredRecord, RecordKind, RecordValue},
    provider::{
        Applied, Bases, Failed, Http, HttpLimits, Pace, Plan, Provider, ProviderError, Request, Secret, Written, Zone,
        ZoneLocks, connect,
    },
};

use crate::{
    server::Server,
    shim::{Shim, ZONE},
};

pub(crate) const HOST: &str = "shop.customer.test";
pub(crate) const EDGE: &str = "edge.saas.example";
pub(crate) const CHALLENGE: &str = "_challenge.shop.customer.test";

/// What every zone holds beside ours.
const USUAL: [(&str, &str, &str); 11] = [
    (ZONE, "MX", "10 mail.customer.test."),
    (ZONE, "TXT", "v=spf1 include:_spf.mail.example ~all"),
    (ZONE, "TXT", "quoted \"text\"; with = signs \\ and more"),
    (ZONE, "A", "192.0.2.1"),
    (ZONE, "CAA", "0 issue \"ca.example\""),
    ("www.customer.test", "CNAME", "customer.test"),
    ("mail.customer.test", "A", "192.0.2.25"),
    ("mail.customer.test", "AAAA", "2001:db8::25"),
    ("*.dev.customer.test", "A", "192.0.2.77"),
    ("_dmarc.customer.test", "TXT", "v=DMARC1; p=reject"),
    ("_sip._tcp.customer.test", "SRV", "1 2 5060 sip.customer.test."),
];

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) shim: Arc<dyn Shim>,
    locks: ZoneLocks,
}

impl World {
    pub(crate) async fn new(shim: &Arc<dyn Shim>) -> Self {
        let server = Server::start(Arc::clone(shim)).await;
        let world = Self { server, shim: Arc::clone(shim), locks: ZoneLocks::default() };
        world.seeds(USUAL.iter().map(|(name, kind, value)| ((*name).to_owned(), *kind, (*value).to_owned())));
        world.server.well();
        world
    }

    /// A record of the customer's.
    pub(crate) fn seed(&self, name: &str, kind: &'static str, value: &str) {
        self.seeds([(name.to_owned(), kind, value.to_owned())]);
    }

    pub(crate) fn seeds(&self, all: impl IntoIterator<Item = (String, &'static str, String)>) {
        self.server.zone(|zone| {
            for (name, kind, value) in all {
                zone.seed(&name, kind, &self.shim.encode(kind, &value), self.shim.extra());
            }
        });
    }

    pub(crate) fn provider(&self) -> Provider {
        self.provider_with(HttpLimits { pause: Duration::from_millis(1), ..HttpLimits::default() })
    }

    pub(crate) fn provider_with(&self, limits: HttpLimits) -> Provider {
        self.connect(&self.shim.credential(), limits).unwrap()
    }

    pub(crate) fn connect(&self, credential: &str, limits: HttpLimits) -> Result<Provider, ProviderError> {
        let base = format!("http://{}", self.server.address).parse().unwrap();
        let http = Http::new(Bases::At(base), limits, Arc::new(SystemClock)).unwrap();
        let credential = self.shim.credential_at(self.server.address, credential.to_owned());
        let adapter = connect(&http, self.shim.key(), &Secret::new(&credential), self.shim.zone_id())?;
        let pace = Pace { pause: Duration::from_millis(1), ..Pace::default() };
        Ok(Provider::new(adapter, self.locks.clone(), pace))
    }

    /// The zone as the adapter finds it.
    pub(crate) async fn zone(&self) -> Zone {
        self.provider().find_zone(&owner(HOST)).await.unwrap()
    }

    /// Looks and writes.
    pub(crate) async fn write(&self, request: &Request) -> Result<Applied, Failed> {
        let provider = self.provider();
        let zone = self.zone().await;
        let plan = provider.preview(&zone, request).await.unwrap();
        provider.apply(&zone, &plan).await
    }

    pub(crate) async fn preview(&self, request: &Request) -> Plan {
        self.provider().preview(&self.zone().await, request).await.unwrap()
    }

    pub(crate) fn values(&self, name: &str, kind: &str) -> Vec<String> {
        self.server.values(name, kind)
    }

    /// No text of the error shows a secret.
    pub(crate) fn shows_no_secret(&self, error: &ProviderError) {
        let texts = [error.to_string(), format!("{error:?}"), error.advice(), error.said.clone().unwrap_or_default()];
        for text in texts {
            self.hides(&text);
        }
    }

    pub(crate) fn hides(&self, text: &str) {
        for secret in self.shim.secrets() {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            assert!(!text.contains(&secret) && !text.contains(&encoded), "a secret in {text}");
        }
    }
}

pub(crate) fn owner(name: &str) -> OwnerName {
    name.parse().unwrap()
}

pub(crate) fn want(name: &str, kind: RecordKind, value: &str) -> DesiredRecord {
    DesiredRecord { host: owner(name), value: RecordValue::parse(kind, value).unwrap(), ttl: 300 }
}

pub(crate) fn cname() -> DesiredRecord {
    want(HOST, RecordKind::Cname, EDGE)
}

pub(crate) fn txt(value: &str) -> DesiredRecord {
    want(CHALLENGE, RecordKind::Txt, value)
}

pub(crate) fn request(desired: &[DesiredRecord]) -> Request {
    Request { desired: desired.to_vec(), written: Vec::new() }
}

/// A request of someone who wrote `before` earlier.
pub(crate) fn after(before: &[DesiredRecord], desired: &[DesiredRecord]) -> Request {
    Request { desired: desired.to_vec(), written: before.iter().map(written).collect() }
}

fn written(record: &DesiredRecord) -> Written {
    Written { name: record.host.to_string(), kind: record.value.kind(), data: record.value.to_string() }
}
