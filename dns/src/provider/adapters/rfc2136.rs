//! RFC 2136 dynamic update, for name servers of one's own: BIND, Knot, PowerDNS and others.
//!
//! Source: RFC 2136 (update), RFC 8945 (TSIG), RFC 5936 (zone transfer).
//!
//! - Everything goes over TCP and is signed with TSIG; an answer that is not signed says nothing but that the signature
//!   was refused, and is believed in nothing else.
//! - A zone is read by transfer (AXFR), which the server must allow with the same key.
//! - One update happens as a whole or not at all. It names what must be there and what must not: the old sets in full, no
//!   other set at the name of a CNAME. Servers pass over a CNAME beside other records in silence (section 3.4.2.2), so
//!   this has to be asked for.
//! - A text is the strings it came in: `"ab" "c"` is another record than `"abc"`. Old records are named by their bytes.
//! - The server is the customer's choice, so its address is too: only public ones are dialled.

mod message;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hickory_proto::{
    op::ResponseCode,
    rr::{Name, TSigner, rdata::tsig::TsigAlgorithm},
};
use names::is_public;
use serde::Deserialize;

use self::wire::Exchange;
use crate::provider::{
    adapter::{Adapter, SetChange, Sets, Writes},
    error::{Problem, ProviderError},
    facts::Facts,
    http::Http,
    record::{Stored, Zone},
    secret::Secret,
};

pub(in crate::provider) static FACTS: Facts = Facts {
    key: "rfc2136",
    name: "RFC 2136 name server",
    credential: "JSON with server (name or address, with an optional port), key_name, algorithm, secret (base64)",
    setup: "On the name server make a TSIG key (tsig-keygen) and allow it to update and to transfer the zone",
    gate: None,
    caveat: None,
    min_ttl: 1,
    flattens_apex: false,
};

/// Where name servers listen.
const PORT: u16 = 53;
/// Seconds that the clocks may differ (RFC 8945 section 10).
const FUDGE: u16 = 300;

#[derive(Deserialize)]
struct Credential {
    server: String,
    key_name: String,
    #[serde(default = "usual_algorithm")]
    algorithm: String,
    secret: String,
}

fn usual_algorithm() -> String {
    "hmac-sha256".into()
}

struct Rfc2136 {
    http: Http,
    server: String,
    signer: TSigner,
}

impl std::fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rfc2136")
    }
}

pub(in crate::provider) fn connect(http: &Http, secret: &Secret, _: Option<&str>) -> Result<Arc<dyn Adapter>, Problem> {
    let bad = || Problem::BadCredential(FACTS.credential);
    let parsed: Credential = serde_json::from_str(secret.reveal()).map_err(|_| bad())?;
    let key = STANDARD.decode(parsed.secret.trim()).map_err(|_| bad())?;
    let name = Name::from_ascii(&parsed.key_name).map_err(|_| bad())?;
    let algorithm = match parsed.algorithm.trim_end_matches('.') {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        _ => return Err(bad()),
    };
    let signer = TSigner::new(key, algorithm, name, FUDGE).map_err(|_| bad())?;
    Ok(Arc::new(Rfc2136 { http: http.clone(), server: parsed.server, signer }))
}

impl Rfc2136 {
    fn error(&self, problem: Problem) -> ProviderError {
        ProviderError::new(FACTS.name, problem)
    }

    /// The addresses that may be dialled, found anew for each exchange.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, ProviderError> {
        let (host, port) = match self.server.parse::<SocketAddr>() {
            Ok(address) => (address.ip().to_string(), address.port()),
            Err(_) => match self.server.rsplit_once(':').filter(|(host, _)| !host.contains(':')) {
                Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(PORT)),
                None => (self.server.clone(), PORT),
            },
        };
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|_| self.error(Problem::Transient("the name server's name is not known")))?;
        let usable: Vec<_> = found.filter(|address| self.http.may_dial_private() || is_public(address.ip())).collect();
        match usable.is_empty() {
            true => Err(self.error(Problem::Unsupported("the name server has no public address"))),
            false => Ok(usable),
        }
    }

    async fn exchange(&self) -> Result<Exchange<'_>, ProviderError> {
        let addresses = self.addresses().await?;
        let opened = Exchange::open(&addresses, &self.signer, &self.http).await;
        opened.map_err(|problem| self.error(problem))
    }

    /// Bounded as a request over HTTP is.
    async fn within<T>(&self, work: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
        match tokio::time::timeout(self.http.limits.request, work).await {
            Ok(done) => done,
            Err(_) => Err(self.error(Problem::Transient("it took too long"))),
        }
    }

    /// A question may be repeated when no answer came.
    async fn read<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        for attempt in 1.. {
            match self.within(ask()).await {
                Err(error) if error.problem.is_unclear() && attempt < self.http.limits.tries => {
                    tokio::time::sleep(self.http.limits.pause * 2_u32.saturating_pow(attempt - 1)).await;
                }
                done => return done,
            }
        }
        Err(self.error(Problem::Transient("no try was made")))
    }

    async fn has_zone(&self, name: &str) -> Result<bool, ProviderError> {
        let question = message::soa(name).ok_or_else(|| self.error(Problem::Invalid))?;
        let answer = self.exchange().await?.ask(question).await.map_err(|problem| self.error(problem))?;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(message::is_top(&answer, name)),
            // Not a server of that name: it may be one of the name above.
            ResponseCode::Refused | ResponseCode::NotAuth => Ok(false),
            code => Err(self.error(problem(code))),
        }
    }

    async fn transfer(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        let question = message::axfr(&zone.name).ok_or_else(|| self.error(Problem::Invalid))?;
        let mut exchange = self.exchange().await?;
        let records = exchange.transfer(question).await.map_err(|problem| self.error(problem))?;
        Ok(records.iter().filter_map(message::stored).collect())
    }
}

/// What a code of an answer means.
fn problem(code: ResponseCode) -> Problem {
    match code {
        ResponseCode::BADKEY | ResponseCode::BADSIG | ResponseCode::BADTIME => Problem::Auth,
        ResponseCode::NotAuth | ResponseCode::NotZone => Problem::ZoneNotFound,
        ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::YXDomain | ResponseCode::NXDomain => {
            Problem::Transient("the records changed meanwhile")
        }
        ResponseCode::NotImp => Problem::Unsupported("dynamic update"),
        ResponseCode::Refused => Problem::Forbidden,
        ResponseCode::FormErr => Problem::Invalid,
        _ => Problem::Transient("the name server has a fault"),
    }
}

#[async_trait]
impl Adapter for Rfc2136 {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError> {
        let found = self.read(|| self.has_zone(name)).await?;
        Ok(found.then(|| Zone::new(&FACTS, name, name)))
    }

    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError> {
        self.read(|| self.transfer(zone)).await
    }

    fn writes(&self) -> Writes<'_> {
        Writes::Sets(self)
    }
}

#[async_trait]
impl Sets for Rfc2136 {
    fn atomic(&self) -> bool {
        true
    }

    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError> {
        let update = message::update(&zone.name, changes).ok_or_else(|| self.error(Problem::Invalid))?;
        self.within(async {
            let answer = self.exchange().await?.ask(update).await.map_err(|problem| self.error(problem))?;
            match answer.metadata.response_code {
                ResponseCode::NoError => Ok(()),
                code => Err(self.error(problem(code))),
            }
        })
        .await
    }
}
