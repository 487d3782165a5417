//! [`AcmeIssuer`]: certificates from an ACME directory (RFC 8555, RFC 8737, RFC 9773).
//!
//! One order at a time per name, many names at a time on one account. Everything that a restart needs is in the store
//! before it is needed: the account before the first order, the key before an order is finalized. An order that a crash
//! cut off is resumed where it stands.
//!
//! This module answers no challenge itself: it offers them in [`Challenges`], from where the listeners answer. It does
//! not decide whether a name may have a certificate, nor when a failed one is tried again.

mod accounts;
mod check;
mod http;
mod journal;
mod jws;
mod key_change;
mod order;
mod pace;
mod problem;
mod records;
mod rollover;
mod skew;
mod ways;
mod wish;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use clock::{SharedClock, Timestamp};
use instant_acme::{Account, ChallengeHandle, Error};
use names::{Subject, Tenant};

use self::{
    accounts::Accounts,
    check::unusable,
    http::Http,
    journal::Journal,
    order::is_about_the_challenge,
    problem::{issue_error, refusal_kind, signed},
    records::Records,
    skew::Skew,
    ways::Ways,
    wish::Wish,
};
pub use self::{http::HttpError, skew::ClockSkew};
use crate::{
    Applicant, Bundle, ChallengeKind, Challenges, DnsError, DnsSolver, IssueError, Issued, Issuer, IssuerKey,
    OrderLimits, Preflight, Progress, Rate, RenewalHint, RolloverError, Store, challenges::Guard, file_store::safe,
};

/// An order that takes longer than this is given up for now; it is resumed by the next attempt.
pub const ORDER_TIMEOUT: Duration = Duration::from_secs(300);
/// Bounds on how soon a renewal window is asked for again (RFC 9773 section 4.3.2 wants clients to have some).
const HINT_SOONEST: Duration = Duration::from_secs(60);
/// At least twice a day, so that a revocation announced by the window is noticed in time.
const HINT_LATEST: Duration = Duration::from_secs(12 * 3600);

/// Where and how certificates are ordered.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL of the ACME directory; https only.
    pub directory: String,
    /// Contact URLs of the account, such as `mailto:ops@example.com`.
    pub contact: Vec<String>,
    /// PEM file with the roots to trust for the directory, instead of the machine's.
    pub ca_root: Option<PathBuf>,
    /// For CAs that want accounts to be bound to one of theirs.
    pub external_account: Option<ExternalAccount>,
    /// Profile of the certificates; a CA that does not know it is asked for its default.
    pub profile: Option<String>,
    /// Longest time for one order.
    pub order_timeout: Duration,
}

impl Settings {
    /// The default for everything but the directory.
    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            contact: Vec::new(),
            ca_root: None,
            external_account: None,
            profile: None,
            order_timeout: ORDER_TIMEOUT,
        }
    }
}

/// An external account binding (RFC 8555 section 7.3.4).
#[derive(Clone)]
pub struct ExternalAccount {
    /// The CA's name for the account.
    pub key_id: String,
    /// The MAC key in base64url.
    pub hmac_key: String,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The issuer cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The directory is not an https URL.
    #[error("`{directory}` is not the https URL of an ACME directory")]
    Directory {
        /// What was given.
        directory: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the client for the ACME directory cannot be set up")]
    Http(#[from] HttpError),
}

/// An ACME directory with our account at it.
pub struct AcmeIssuer {
    settings: Settings,
    key: IssuerKey,
    limits: OrderLimits,
    accounts: Accounts,
    journal: Journal,
    challenges: Arc<Challenges>,
    /// For proofs by DNS-01.
    records: Option<Records>,
    /// Looks before an order is placed.
    preflight: Option<Arc<dyn Preflight>>,
    clock: SharedClock,
    skew: Arc<Skew>,
    ways: Ways,
}

impl AcmeIssuer {
    /// An issuer that keeps its account and its orders in `store` and offers its challenges in `challenges`. Nothing is
    /// asked of the CA before the first order.
    ///
    /// # Errors
    /// [`AcmeError`] when the directory or the roots cannot be used.
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        challenges: Arc<Challenges>,
        clock: SharedClock,
    ) -> Result<Self, AcmeError> {
        let bad = || AcmeError::Directory { directory: settings.directory.clone() };
        let url = reqwest::Url::parse(&settings.directory).map_err(|_| bad())?;
        let host = url.host_str().filter(|_| url.scheme() == "https").ok_or_else(bad)?;
        let limits = published_limits(host);
        let key = issuer_key(&url, host);
        let skew = Arc::new(Skew::new(key.clone(), Arc::clone(&clock)));
        let http = Http::new(settings.ca_root.as_deref(), &settings.directory, Arc::clone(&skew))?;
        let accounts = Accounts::new(settings.clone(), key.clone(), http, Arc::clone(&store), Arc::clone(&clock));
        let journal = Journal::new(store, &key);
        let ways = Ways::default();
        let (records, preflight) = (None, None);
        Ok(Self { settings, key, limits, accounts, journal, challenges, records, preflight, clock, skew, ways })
    }

    /// What the CA granted instead of what it publishes, counted as Let's Encrypt does: orders of the account within
    /// three hours, and new certificates for names of one registered domain within seven days.
    #[must_use]
    pub fn with_granted(mut self, orders: Option<u32>, domain_certificates: Option<u32>) -> Self {
        let rate = |most, per| Rate { most, per };
        self.limits.account = orders.map(|most| rate(most, ACCOUNT_WINDOW)).or(self.limits.account);
        self.limits.domain = domain_certificates.map(|most| rate(most, NAMES_WINDOW)).or(self.limits.domain);
        self
    }

    /// Tells by `gauge` how far our clock is from the CA's.
    #[must_use]
    pub fn with_clock_skew(self, gauge: &ClockSkew) -> Self {
        self.skew.tell_by(gauge);
        self
    }

    /// Proves wildcards, and the hostnames that `solver` wants to, by DNS-01. What it writes is noted in `store`.
    #[must_use]
    pub fn with_dns(mut self, solver: Arc<dyn DnsSolver>, store: Arc<dyn Store>) -> Self {
        self.records = Some(Records::new(solver, store, &self.key));
        self
    }

    /// Has names looked at before they are ordered for.
    #[must_use]
    pub fn with_preflight(mut self, preflight: Arc<dyn Preflight>) -> Self {
        self.preflight = Some(preflight);
        self
    }

    /// The challenges to try, the most promising first.
    async fn kinds(&self, name: &Subject) -> Result<Vec<ChallengeKind>, IssueError> {
        match &self.records {
            Some(records) if records.prove(name).await => Ok(vec![ChallengeKind::Dns01]),
            None if name.is_wildcard() => Err(no_solver().into()),
            Some(_) | None => Ok(self.ways.order().to_vec()),
        }
    }

    async fn obtain(&self, wish: Wish<'_>) -> Result<Bundle, IssueError> {
        let mut kinds = self.kinds(wish.name).await?;
        let placed = match wish.resume().await? {
            Some(placed) => placed,
            None => wish.place().await?,
        };
        let error = match placed.complete(&kinds).await {
            // A finished order was left in the journal: it is the one that is to be replaced now.
            Ok(bundle) if wish.replaces.is_some_and(|old| old.chain_pem == bundle.chain_pem) => {
                self.journal.remove(wish.name).await?;
                return wish.place().await?.complete(&kinds).await;
            }
            Ok(bundle) => return Ok(bundle),
            Err(error) => error,
        };
        self.forget_if_over(wish.name, &error).await?;
        match is_about_the_challenge(&error) && kinds.len() > 1 {
            true => {
                kinds.reverse();
                let result = wish.place().await?.complete(&kinds).await;
                if let Err(error) = &result {
                    self.forget_if_over(wish.name, error).await?;
                }
                result
            }
            false => Err(error),
        }
    }

    /// An order that was refused or gave what cannot be used is of no use to a restart; one that was cut off is.
    async fn forget_if_over(&self, name: &Subject, error: &IssueError) -> Result<(), IssueError> {
        match error {
            IssueError::Refused { kind, .. } if kind == "rateLimited" || kind == "badNonce" => Ok(()),
            IssueError::Refused { .. } | IssueError::Unusable { .. } => Ok(self.journal.remove(name).await?),
            IssueError::Dns(_)
            | IssueError::Obstacle(_)
            | IssueError::Unreachable { .. }
            | IssueError::TimedOut { .. }
            | IssueError::Store(_) => Ok(()),
        }
    }

    /// Puts a challenge where the listeners, or the world, find it.
    async fn offer(
        &self,
        name: &Subject,
        kind: ChallengeKind,
        challenge: &ChallengeHandle<'_>,
    ) -> Result<Option<Guard>, IssueError> {
        let (base, authorization) = (name.base(), challenge.key_authorization());
        let guard = match kind {
            ChallengeKind::Dns01 => {
                let Some(records) = &self.records else { return Err(no_solver().into()) };
                records.publish(name, authorization.dns_value(), &self.journal).await?;
                return Ok(None);
            }
            ChallengeKind::Http01 => self.challenges.offer_http(&base, &challenge.token, authorization.as_str()),
            ChallengeKind::TlsAlpn01 => match authorization.digest().as_ref().try_into() {
                Ok(digest) => self.challenges.offer_alpn(&base, digest),
                Err(_) => return Err(unusable("SHA-256 has 32 bytes".to_owned())),
            },
        };
        let mut guard = guard.map_err(|error| unusable(telemetry::chain(&error).to_string()))?;
        guard.show().await?;
        Ok(Some(guard))
    }

    /// Forgets an order with its key; the CA lets it expire.
    async fn drop_order(&self, name: &Subject) -> Result<(), IssueError> {
        self.withdraw(name).await;
        Ok(self.journal.remove(name).await?)
    }

    /// Takes back what proved control over `name`: the CA does not look any more.
    async fn withdraw(&self, name: &Subject) {
        if let Some(records) = &self.records {
            records.withdraw(name).await;
        }
    }

    async fn hint(&self, account: &Account, bundle: &Bundle) -> Result<Option<RenewalHint>, IssueError> {
        let Some(identifier) = check::identifier(bundle) else { return Ok(None) };
        let (info, wait) = match signed!(account.renewal_info(&identifier)) {
            Ok(found) => found,
            Err(Error::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(issue_error(error)),
        };
        let window = info.suggested_window;
        Ok(Some(RenewalHint {
            start: Timestamp::from_secs(window.start.unix_timestamp()),
            end: Timestamp::from_secs(window.end.unix_timestamp()),
            ask_again: self.clock.now() + wait.clamp(HINT_SOONEST, HINT_LATEST),
        }))
    }
}

#[async_trait]
impl Issuer for AcmeIssuer {
    fn key(&self) -> &IssuerKey {
        &self.key
    }

    fn kind(&self) -> &'static str {
        "acme"
    }

    fn order_limits(&self) -> OrderLimits {
        self.limits
    }

    async fn is_ready(&self, name: &Subject) -> Result<(), IssueError> {
        let (Some(preflight), Some(host)) = (&self.preflight, name.hostname()) else { return Ok(()) };
        let methods = self.kinds(name).await?;
        // A record is its own proof, and what stands at the CA is resumed.
        if methods.contains(&ChallengeKind::Dns01) || self.journal.load(name).await?.is_some() {
            return Ok(());
        }
        let account = self.accounts.current().await?.account.id().to_owned();
        let identities = self.accounts.identities();
        let applicant = Applicant { identities: &identities, account: &account, methods: &methods };
        Ok(preflight.look(&host, &applicant).await?)
    }

    async fn issue(
        &self,
        name: &Subject,
        tenant: Option<&Tenant>,
        replaces: Option<&Bundle>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Issued, IssueError> {
        // A renewal says what it replaces only to the CA that made that.
        let replaces = replaces.filter(|bundle| bundle.issuer == self.key);
        let limit = self.settings.order_timeout;
        let obtained = async {
            let _in_flight = self.accounts.enter().await;
            let ours = self.accounts.current().await?;
            let wish = Wish { issuer: self, account: &ours.account, name, tenant, replaces, progress };
            let error = match self.obtain(wish).await {
                Ok(bundle) => return Ok(bundle),
                Err(error) => error,
            };
            let other = match refusal_kind(&error) {
                Some("accountDoesNotExist") => Some(self.accounts.replace(&ours).await?),
                Some("malformed" | "unauthorized") => self.accounts.changed(&ours).await?,
                Some(_) | None => None,
            };
            match other {
                Some(other) => self.obtain(Wish { account: &other.account, ..wish }).await,
                None => Err(error),
            }
        };
        match tokio::time::timeout(limit, obtained).await.unwrap_or(Err(IssueError::TimedOut { limit })) {
            Ok(bundle) => {
                self.accounts.prove();
                Ok(Issued { bundle, renew_at: None })
            }
            Err(error) => {
                self.withdraw(name).await;
                Err(error)
            }
        }
    }

    async fn settled(&self, name: &Subject) -> Result<(), IssueError> {
        self.drop_order(name).await
    }

    async fn abandon(&self, name: &Subject, stays: &Tenant) -> Result<(), IssueError> {
        match self.journal.load(name).await? {
            Some(entry) if entry.tenant.as_ref() != Some(stays) => self.drop_order(name).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn renewal_hint(&self, bundle: &Bundle) -> Result<Option<RenewalHint>, IssueError> {
        let ours = self.accounts.current().await?;
        self.hint(&ours.account, bundle).await
    }

    async fn roll_over(&self) -> Result<Option<String>, RolloverError> {
        self.accounts.roll_over().await
    }

    async fn sweep(&self) {
        if let Some(records) = &self.records {
            records.sweep(&self.journal).await;
        }
    }

    async fn unfinished(&self) -> Result<Vec<Subject>, IssueError> {
        Ok(self.journal.names().await?)
    }
}

/// A wildcard where nobody writes records.
fn no_solver() -> DnsError {
    let problem = "a wildcard takes DNS-01, for which no provider is configured".to_owned();
    DnsError { reason: "no_solver", problem, passes: false, retry_after: None }
}

/// CertMagic's name for a directory: host and path in one segment.
fn issuer_key(url: &reqwest::Url, host: &str) -> IssuerKey {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().replace(['/', '\\'], "-");
    let path = path.trim_matches('-');
    let hyphen = if path.is_empty() { "" } else { "-" };
    IssuerKey::new(safe(&format!("{host}{port}{hyphen}{path}")))
}

/// The time within which Let's Encrypt counts the orders of an account …
const ACCOUNT_WINDOW: Duration = Duration::from_secs(3 * 3600);
/// … and new certificates.
const NAMES_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// What Let's Encrypt publishes for its directories (<https://letsencrypt.org/docs/rate-limits/>,
/// <https://letsencrypt.org/docs/staging-environment/>): renewals that name what they replace are exempt. Other CAs
/// publish nothing that could be kept to.
fn published_limits(host: &str) -> OrderLimits {
    let (orders, of_domain, of_name) = match host {
        "acme-v02.api.letsencrypt.org" => (300, 50, 5),
        "acme-staging-v02.api.letsencrypt.org" => (1500, 30_000, 30_000),
        _ => return OrderLimits::default(),
    };
    let rate = |most, per| Some(Rate { most, per });
    OrderLimits {
        account: rate(orders, ACCOUNT_WINDOW),
        domain: rate(of_domain, NAMES_WINDOW),
        name: rate(of_name, NAMES_WINDOW),
        renewals_exempt: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_keys_are_certmagics() {
        const CASES: &[(&str, &str)] = &[
            ("https://acme-v02.api.letsencrypt.org/directory", "acme-v02.api.letsencrypt.org-directory"),
            ("https://acme.zerossl.com/v2/DV90", "acme.zerossl.com-v2-dv90"),
            ("https://127.0.0.1:14000/dir", "127.0.0.1-14000-dir"),
            ("https://ca.example/", "ca.example"),
        ];
        for (directory, key) in CASES {
            let url = reqwest::Url::parse(directory).unwrap();
            assert_eq!(issuer_key(&url, url.host_str().unwrap()).as_str(), *key);
        }
    }

    #[test]
    fn the_mac_key_is_not_shown() {
        let account = ExternalAccount { key_id: "kid".to_owned(), hmac_key: "secret".to_owned() };
        assert_eq!(format!("{account:?}"), "ExternalAccount { key_id: \"kid\", .. }");
    }
}
