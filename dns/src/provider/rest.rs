//! [`Rest`]: interfaces whose records are resources with ids under one path, which is most of them.

use async_trait::async_trait;
use http::Method;
use serde_json::Value as Json;

use super::{
    adapter::{Adapter, Records, Writes},
    api::Api,
    error::ProviderError,
    facts::Facts,
    record::{Record, Stored, Zone},
};

/// What such an interface has of its own.
#[async_trait]
pub(crate) trait Wire: Send + Sync + std::fmt::Debug {
    /// The call that edits a record; `None` where there is none.
    const EDIT: Option<Method>;

    fn api(&self) -> &Api;
    /// Where the zone's records are.
    fn path(&self, zone: &Zone) -> Vec<String>;
    fn body(&self, zone: &Zone, record: &Record) -> Json;
    /// The body of an edit, where it is another one.
    fn edit(&self, zone: &Zone, record: &Record) -> Json {
        self.body(zone, record)
    }
    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError>;
    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError>;
}

/// The adapter around it.
#[derive(Debug)]
pub(crate) struct Rest<W>(pub(crate) W);

impl<W: Wire> Rest<W> {
    fn of(&self, zone: &Zone, old: &Stored) -> Vec<String> {
        let mut path = self.0.path(zone);
        path.push(old.id.clone());
        path
    }
}

fn parts(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

#[async_trait]
impl<W: Wire> Adapter for Rest<W> {
    fn facts(&self) -> &'static Facts {
        self.0.api().facts()
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        self.0.zone(name).await
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        self.0.list(zone).await
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Records(self)
    }
}

#[async_trait]
impl<W: Wire> Records for Rest<W> {
    fn edits(&self) -> bool {
        W::EDIT.is_some()
    }

    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError> {
        let path = self.0.path(zone);
        self.0.api().post(&parts(&path)).body_json(&self.0.body(zone, record)).done().await
    }

    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError> {
        let path = self.of(zone, old);
        let call = self.0.api().call(W::EDIT.unwrap_or(Method::PUT), &parts(&path));
        call.body_json(&self.0.edit(zone, new)).done().await
    }

    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError> {
        self.0.api().delete(&parts(&self.of(zone, old))).gone().await
    }
}

/// A field as text; numbers are written out.
pub(crate) fn text(wire: &Json, field: &str) -> String {
    match wire.get(field) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A time to live, as a number or a text; 0 when there is none.
pub(crate) fn seconds(wire: &Json, field: &str) -> u32 {
    text(wire, field).parse().unwrap_or(0)
}
