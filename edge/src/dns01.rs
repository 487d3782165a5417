//! Proof of control by records: [`Scribe`] writes them at the operator's DNS provider.
//!
//! What may be written is bounded by configuration: only names at or below the configured zones, wherever a customer's
//! `_acme-challenge` leads, and where a customer's choice leads, never beside texts of another kind: a second text at
//! `_dmarc` would switch the operator's mail policy off. How it is written is the business of `dns::provider`: the zone is read, one TXT value is added
//! to whatever stands there or taken away from it, and writers of one zone take turns.

mod metrics;

use std::time::Duration;

use async_trait::async_trait;
use certs::{ChallengeRecord, DnsError, DnsSolver};
use clock::SharedClock;
use config::AcmeDns;
use dns::{
    Answer, Authority, OwnerName, Resolvers, ResolversConfig,
    check::{DesiredRecord, RecordKind, RecordValue, Unseen, check_everywhere},
    provider::{
        Bases, Http, HttpLimits, HttpSetupError, Pace, Plan, Problem, Provider, ProviderError, Request, Secret,
        Written, ZoneLocks, connect,
    },
};
use names::Hostname;
use prometheus::Registry;
use tokio::time::{Instant, sleep, timeout_at};

use self::metrics::Metrics;
use crate::reload::server;

/// What the challenge of a name stands under (RFC 8555 section 8.4).
const PREFIX: &str = "_acme-challenge";
/// Length of a challenge's value: SHA-256 in base64url.
const VALUE: usize = 43;
/// CNAMEs from `_acme-challenge` to where the record stands; CAs follow about as many.
const MAX_HOPS: usize = 8;
/// Of our records, in seconds: they live for a minute or two. Providers raise it to what they take.
const TTL: u32 = 60;
/// Between looks at the zone's servers, at first; doubling up to …
const LOOK_FIRST: Duration = Duration::from_millis(250);
/// … this.
const LOOK_LONGEST: Duration = Duration::from_secs(5);

/// Why no records can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScribeError {
    /// The provider refuses the form of the credential.
    #[error("the DNS provider cannot be used")]
    Connect(#[from] ProviderError),
    /// The HTTP client.
    #[error("the client for the DNS provider cannot be set up")]
    Http(#[from] HttpSetupError),
    /// Two parts want the same metric.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// No resolver is configured.
    #[error("nobody can be asked where records stand")]
    Resolvers(#[from] dns::ResolversError),
    /// The credential's file.
    #[error("acme.dns.token_file cannot be read")]
    Token(#[from] config::SecretError),
}

/// Writes the records of DNS-01.
pub struct Scribe {
    provider: Provider,
    resolvers: Resolvers,
    /// Nothing is written elsewhere.
    zones: Vec<OwnerName>,
    visible_within: Duration,
    settle: Duration,
    metrics: Metrics,
}

impl Scribe {
    /// A scribe at the configured provider. Nobody is asked anything yet.
    ///
    /// # Errors
    /// [`ScribeError`].
    pub fn new(config: &AcmeDns, clock: SharedClock, registry: &Registry) -> Result<Self, ScribeError> {
        // The operator's own word: a name server of theirs may well have a private address.
        let http = Http::new(Bases::Development, HttpLimits::default(), clock)?;
        let token = Secret::new(config.read_token()?.expose());
        let adapter = connect(&http, config.provider, &token, config.zone_id.as_deref())?;
        let servers = config.resolvers.iter().map(server).collect();
        let authority = Authority::Ask { port: config.authority_port, private: true };
        let resolvers = ResolversConfig { authority, ..ResolversConfig::new(servers) };
        Ok(Self {
            provider: Provider::new(adapter, ZoneLocks::default(), Pace::default()),
            resolvers: Resolvers::new(resolvers, dns::Metrics::of_challenges(registry)?)?,
            zones: config.zones.iter().map(OwnerName::from).collect(),
            visible_within: config.propagation_timeout,
            settle: config.propagation_wait,
            metrics: Metrics::new(registry)?,
        })
    }

    /// Where the chain of CNAMEs from `_acme-challenge.<name>` ends.
    async fn follow(&self, name: &Hostname) -> Result<OwnerName, DnsError> {
        let too_long = |error: &dyn std::error::Error| failed("name", error.to_string());
        let first = OwnerName::from(name).child(PREFIX).map_err(|error| too_long(&error))?;
        let mut at = first.clone();
        for _ in 0..=MAX_HOPS {
            match self.resolvers.cname(&at).await {
                Answer::Present(target) => at = target,
                Answer::Absent(_) => return Ok(at),
                Answer::Indeterminate(reason) => {
                    let problem = format!("where {first} leads cannot be found out: {reason}");
                    return Err(DnsError { passes: true, ..failed("lookup", problem) });
                }
            }
        }
        Err(failed("alias", format!("{first} leads through more than {MAX_HOPS} CNAMEs")))
    }

    fn may_write(&self, at: &OwnerName) -> bool {
        self.zones.iter().any(|zone| zone.holds(at))
    }

    async fn change(&self, at: &OwnerName, request: &Request) -> Result<(), DnsError> {
        let zone = self.provider.find_zone(at).await.map_err(said)?;
        let plan = self.provider.preview(&zone, request).await.map_err(said)?;
        if let Some(conflict) = plan.conflicts.first() {
            return Err(failed("conflict", conflict.explain()));
        }
        if is_occupied(at, &plan) {
            return Err(failed("occupied", format!("{at} holds other texts, and _acme-challenge must not lead there")));
        }
        self.provider.apply(&zone, &plan).await.map_err(|failed| said(failed.error))?;
        Ok(())
    }

    async fn write(&self, record: &ChallengeRecord) -> Result<(), DnsError> {
        let at = parse(&record.name)?;
        let value = RecordValue::Txt(record.value.clone());
        let desired = vec![DesiredRecord { host: at.clone(), value, ttl: TTL }];
        self.change(&at, &Request { desired, written: Vec::new() }).await?;
        let written = Instant::now();
        self.wait_until_seen(&at, &record.value).await?;
        self.metrics.seen(written.elapsed());
        sleep(self.settle).await;
        Ok(())
    }

    async fn wait_until_seen(&self, at: &OwnerName, value: &str) -> Result<(), DnsError> {
        let (deadline, mut pause, mut last) = (Instant::now() + self.visible_within, LOOK_FIRST, None);
        let seen = async {
            loop {
                match check_everywhere(&self.resolvers, at, value).await {
                    Ok(()) => return,
                    Err(unseen) => last = Some(unseen),
                }
                sleep(pause).await;
                pause = (2 * pause).min(LOOK_LONGEST);
            }
        };
        timeout_at(deadline, seen).await.map_err(|_| self.unseen(at, last))
    }

    fn unseen(&self, at: &OwnerName, why: Option<Unseen>) -> DnsError {
        let why = why.map_or_else(|| "nobody has answered".to_owned(), |why| telemetry::chain(&why).to_string());
        failed("not_visible", format!("{at} is not shown everywhere after {} s: {why}", self.visible_within.as_secs()))
    }

    /// Takes away what stands at one name. A zone that is gone holds nothing of ours.
    async fn clear(&self, name: &str, records: &[ChallengeRecord]) -> Result<(), DnsError> {
        let of_name = records.iter().filter(|record| record.name == name);
        let written = |record: &ChallengeRecord| Written {
            name: record.name.clone(),
            kind: RecordKind::Txt,
            data: record.value.clone(),
        };
        let request = Request { desired: Vec::new(), written: of_name.map(written).collect() };
        match self.change(&parse(name)?, &request).await {
            Err(error) if error.reason == Problem::ZoneNotFound.code() => Ok(()),
            done => done,
        }
    }
}

#[async_trait]
impl DnsSolver for Scribe {
    /// Names of our zones, and names whose challenge was delegated to them.
    async fn proves(&self, name: &Hostname) -> bool {
        match self.follow(name).await {
            Ok(at) => self.may_write(&at),
            // Nobody can tell: for a stranger's name the other challenges may do.
            Err(_) => self.may_write(&name.into()),
        }
    }

    async fn locate(&self, name: &Hostname) -> Result<String, DnsError> {
        let at = self.follow(name).await?;
        match self.may_write(&at) {
            true => Ok(at.to_string()),
            false => Err(failed("outside", format!("{at} is in none of acme.dns.zones"))),
        }
    }

    async fn publish(&self, record: &ChallengeRecord) -> Result<(), DnsError> {
        let done = self.write(record).await;
        self.metrics.done("publish", &done);
        done
    }

    async fn remove(&self, records: &[ChallengeRecord]) -> Result<(), DnsError> {
        let mut names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let done = self.clear(name, records).await;
            self.metrics.done("remove", &done);
            done?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Scribe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scribe").field("zones", &self.zones).finish_non_exhaustive()
    }
}

/// Whether a record would be added beside texts of another kind, at a name that whoever owns the CNAME has chosen.
fn is_occupied(at: &OwnerName, plan: &Plan) -> bool {
    let adds = plan.changes.iter().filter(|change| !change.add.is_empty());
    let kept = adds.flat_map(|change| &change.keep).filter(|kept| kept.kind == "TXT");
    !at.to_string().starts_with(PREFIX) && kept.into_iter().any(|kept| !is_value(&kept.data))
}

/// Whether a text can be the value of a challenge: somebody else's order, or another of ours.
fn is_value(text: &str) -> bool {
    text.len() == VALUE && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn parse(name: &str) -> Result<OwnerName, DnsError> {
    name.parse().map_err(|error: dns::NameError| failed("name", error.to_string()))
}

fn failed(reason: &'static str, problem: String) -> DnsError {
    DnsError { reason, problem, passes: false, retry_after: None }
}

/// What a provider has against a change.
fn said(error: ProviderError) -> DnsError {
    let retry_after = match error.problem {
        Problem::RateLimited { retry_after } => retry_after,
        _ => None,
    };
    let words = error.said.as_deref().map(|said| format!(" ({said})")).unwrap_or_default();
    let problem = format!("{error}{words}");
    DnsError { reason: error.problem.code(), problem, passes: error.problem.passes(), retry_after }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn texts_of_another_kind_are_told_from_challenges() {
        assert!(is_value("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"));
        for text in ["v=DMARC1; p=reject", "", "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ+PCt92wr/oA", &"a".repeat(44)] {
            assert!(!is_value(text), "{text}");
        }
    }

    #[test]
    fn the_configuration_takes_the_providers_that_there_are() {
        let there: BTreeSet<_> = dns::provider::catalogue().map(|facts| facts.key).collect();
        assert_eq!(BTreeSet::from(AcmeDns::PROVIDERS), there);
    }
}
