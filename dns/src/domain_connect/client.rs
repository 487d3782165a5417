//! [`Client`]: asks zones and providers.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use moka::future::Cache;
use reqwest::Response;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use url::Url;

use super::{
    ClientMetrics, Service, Settings, Why,
    limits::{AT_A_TIME, MAX_BODY, MEMORY, MOST_REMEMBERED, REQUEST},
    settings::place,
};
use crate::{
    Answer, OwnerName, Resolvers,
    outward::{HttpError, Targets, client, refusal},
};

const USER_AGENT: &str = concat!("Namegate-DomainConnect/", env!("CARGO_PKG_VERSION"));
/// Where a zone names its provider's service.
const LABEL: &str = "_domainconnect";

/// How far questions may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To any address and port, for tests and laboratories.
    Inside,
    /// To public addresses, at the usual port.
    Public,
}

/// Asks; clones share connections, limits and memory.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    resolvers: Resolvers,
    reach: Reach,
    settings: Cache<OwnerName, Result<Arc<Settings>, Why>>,
    templates: Cache<String, Result<(), Why>>,
    places: Arc<Semaphore>,
    patience: Duration,
    metrics: ClientMetrics,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that trusts the machine's roots or, instead, those of a PEM text.
    ///
    /// # Errors
    /// [`HttpError`].
    pub fn new(
        resolvers: Resolvers,
        reach: Reach,
        roots: Option<&str>,
        metrics: ClientMetrics,
    ) -> Result<Self, HttpError> {
        let targets = match reach {
            Reach::Inside => Targets::Inside(resolvers.clone()),
            Reach::Public => Targets::Public(resolvers.clone()),
        };
        Ok(Self {
            http: client(&targets, roots, USER_AGENT)?,
            resolvers,
            reach,
            settings: Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(MEMORY).build(),
            templates: Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(MEMORY).build(),
            places: Arc::new(Semaphore::new(AT_A_TIME)),
            patience: REQUEST,
            metrics,
        })
    }

    /// The same client with another deadline for a question, which is 5 s otherwise.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What the zone's provider says of itself, from memory or anew. One question serves everybody who asks meanwhile.
    ///
    /// # Errors
    /// [`Why`] there is nothing to offer, or nothing known.
    pub async fn settings(&self, zone: &OwnerName) -> Result<Arc<Settings>, Why> {
        let ask = async {
            let found = self.discover(zone).await;
            self.metrics.asked("settings", &found);
            found.map(Arc::new)
        };
        self.settings.get_with_by_ref(zone, Box::pin(ask)).await
    }

    /// Whether the provider knows the template.
    ///
    /// # Errors
    /// [`Why::NoTemplate`], or why it is not known.
    pub async fn supports(&self, settings: &Settings, service: &Service) -> Result<(), Why> {
        let url = service.within(&settings.api).ok_or(Why::BadSettings)?;
        let ask = async {
            let answer = self.get(&url).await;
            let found = answer.and_then(|(status, _)| match status {
                status if status.is_success() => Ok(()),
                StatusCode::NOT_FOUND => Err(Why::NoTemplate),
                _ => Err(Why::Status),
            });
            self.metrics.asked("template", &found);
            found
        };
        self.templates.get_with_by_ref(url.as_str(), Box::pin(ask)).await
    }

    async fn discover(&self, zone: &OwnerName) -> Result<Settings, Why> {
        let strict = self.reach == Reach::Public;
        let at = zone.child(LABEL).map_err(|_| Why::NoRecord)?;
        let mut records = match self.resolvers.txt(&at).await {
            Answer::Present(records) => records,
            Answer::Absent(_) => return Err(Why::NoRecord),
            Answer::Indeterminate(reason) => return Err(Why::Dns(reason)),
        };
        // Of several, always the same one: the order of an answer changes.
        records.sort_unstable();
        let mut url = records.iter().find_map(|record| place(record, strict)).ok_or(Why::BadPlace)?;
        let zone = zone.to_string();
        url.path_segments_mut().map_err(|()| Why::BadPlace)?.pop_if_empty().extend(["v2", &zone, "settings"]);
        match self.get(&url).await? {
            (status, body) if status.is_success() => Settings::read(&body, &zone, strict),
            (StatusCode::NOT_FOUND, _) => Err(Why::NoZone),
            _ => Err(Why::Status),
        }
    }

    async fn get(&self, url: &Url) -> Result<(StatusCode, Vec<u8>), Why> {
        let deadline = Instant::now() + self.patience;
        let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else { return Err(Why::Overloaded) };
        match timeout_at(deadline, self.http.get(url.clone()).send()).await {
            Err(_) => Err(Why::TimedOut),
            Ok(Err(error)) => Err(failed(&error)),
            Ok(Ok(response)) if response.status().is_redirection() => Err(Why::Redirected),
            Ok(Ok(response)) => Ok((response.status(), read(response, deadline).await?)),
        }
    }
}

async fn read(mut response: Response, deadline: Instant) -> Result<Vec<u8>, Why> {
    let mut body = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Err(_) => return Err(Why::TimedOut),
            Ok(Err(_)) => return Err(Why::Unreachable),
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(piece))) if body.len() + piece.len() > MAX_BODY => return Err(Why::TooLarge),
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
        }
    }
}

fn failed(error: &reqwest::Error) -> Why {
    match refusal(error) {
        Some(refused) if refused.is_refusal() => Why::Private,
        _ => Why::Unreachable,
    }
}
