//! The [`Issuer`] trait: whoever turns a name into a certificate.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use clock::Timestamp;
use names::{Subject, Tenant};

use crate::{Bundle, DnsError, Obstacle, StoreError};

/// Names an issuer in paths and logs; for ACME it is CertMagic's form of the directory URL, such as
/// `acme-v02.api.letsencrypt.org-directory`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerKey(Arc<str>);

impl IssuerKey {
    /// From a text that is already safe as a path segment.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A fresh certificate.
pub struct Issued {
    /// The chain and the key, to be stored before it is served.
    pub bundle: Bundle,
    /// When the issuer asks for its renewal (RFC 9773), if it says so.
    pub renew_at: Option<Timestamp>,
}

/// A way of proving control over a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChallengeKind {
    /// A TXT record (RFC 8555 section 8.4).
    Dns01,
    /// A file on port 80 (RFC 8555 section 8.3).
    Http01,
    /// A certificate for `acme-tls/1` on port 443 (RFC 8737).
    TlsAlpn01,
}

impl ChallengeKind {
    /// The word for metrics and logs, as in RFC 8555.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns01 => "dns-01",
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// So many of something within so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may be had at once, and within `per` in the long run.
    pub most: u32,
    /// The length of the window.
    pub per: Duration,
}

/// How much a CA takes; what is not set is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderLimits {
    /// Orders of one account.
    pub account: Option<Rate>,
    /// New certificates for names of one registered domain.
    pub domain: Option<Rate>,
    /// New certificates for exactly the same name.
    pub name: Option<Rate>,
    /// Whether renewals that name what they replace (RFC 9773) are free of them.
    pub renewals_exempt: bool,
}

impl OrderLimits {
    /// Whether there is anything to keep to.
    pub fn are_set(&self) -> bool {
        self.account.is_some() || self.domain.is_some() || self.name.is_some()
    }
}

/// What an issuer has to say while it works; for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The order stands at the CA.
    Ordered,
    /// A challenge was offered for validation.
    Offered(ChallengeKind),
    /// The CA refused what it saw of a challenge: one failed authorization, by which CAs limit (about five an hour).
    Refuted(ChallengeKind),
    /// Every authorization is valid.
    Authorized,
    /// The certificate was asked for.
    Finalized,
    /// The chain has arrived.
    Downloaded,
}

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The record of DNS-01 is not where the CA would look; the CA was not told to. The order stands and is resumed.
    #[error("the challenge's DNS record is not in place")]
    Dns(#[from] DnsError),
    /// The CA would not find what it looks for, or may not issue; it was not asked.
    #[error("nothing was ordered")]
    Obstacle(#[from] Obstacle),
    /// The CA refused, with its problem document (RFC 8555 section 6.7).
    #[error("the CA refused: {kind}: {detail}")]
    Refused {
        /// The problem type without its `urn:ietf:params:acme:error:` prefix.
        kind: String,
        /// The CA's sentence.
        detail: String,
        /// The whole problem document with subproblems, as JSON.
        problem: serde_json::Value,
        /// When the CA allows the next try (`Retry-After`).
        retry_after: Option<Duration>,
        /// Whether the CA looked for a challenge and did not find what it wanted.
        authorization: bool,
    },
    /// The CA could not be reached or answered nonsense; the name is not at fault.
    #[error("the CA cannot be used now: {problem}")]
    Unreachable {
        /// What happened, causes included.
        problem: String,
        /// When the CA allows the next try (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// What came back does not fit what was asked for: other names, another key, a chain that does not parse.
    #[error("the CA answered with a certificate that cannot be used: {problem}")]
    Unusable {
        /// What is wrong with it.
        problem: String,
    },
    /// The order took longer than it may.
    #[error("the order did not finish in {} s", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The store failed; nothing was ordered that could not be kept.
    #[error("the order was not placed")]
    Store(#[from] StoreError),
}

/// The key of an account was not changed, or nobody knows yet whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloverError {
    /// Orders in flight would have failed for it.
    #[error("orders were in flight for {} s; nothing was changed, try again", waited.as_secs())]
    Busy {
        /// How long it waited for them to end.
        waited: Duration,
    },
    /// The CA, or the store. When the CA's answer is lost, the next order finds out which key it knows.
    #[error("the change did not come to its end")]
    Issue(#[from] IssueError),
    /// The CA does not do it.
    #[error("the CA changes no account keys: its directory has no keyChange")]
    NotOffered,
}

impl RolloverError {
    /// A stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "orders_in_flight",
            Self::NotOffered => "not_offered",
            Self::Issue(IssueError::Refused { .. }) => "refused",
            Self::Issue(IssueError::Store(_)) => "store_failed",
            Self::Issue(
                IssueError::Dns(_)
                | IssueError::Obstacle(_)
                | IssueError::Unreachable { .. }
                | IssueError::Unusable { .. }
                | IssueError::TimedOut { .. },
            ) => "unreachable",
        }
    }
}

/// A certificate authority.
#[async_trait]
pub trait Issuer: Send + Sync + 'static {
    /// Its name in the store.
    fn key(&self) -> &IssuerKey;

    /// What kind of issuer it is, for metrics: `acme`, `internal`.
    fn kind(&self) -> &'static str;

    /// How much it takes: nothing is ordered that is beyond.
    fn order_limits(&self) -> OrderLimits {
        OrderLimits::default()
    }

    /// Whether an order for `name` is worth placing, asked before any budget is spent on it. An order that stands
    /// already is.
    ///
    /// # Errors
    /// [`IssueError`]: it would fail, and that is certain.
    async fn is_ready(&self, name: &Subject) -> Result<(), IssueError> {
        let _ = name;
        Ok(())
    }

    /// Obtains a certificate for `name` with a key of its own. `replaces` is the certificate that it takes the place of,
    /// for CAs that link renewals (RFC 9773 section 5). An order that was cut off by a crash is resumed rather than placed
    /// again, unless it was for another tenant than `tenant`.
    async fn issue(
        &self,
        name: &Subject,
        tenant: Option<&Tenant>,
        replaces: Option<&Bundle>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Issued, IssueError>;

    /// The certificate that [`issue`](Issuer::issue) gave for `name` is safely stored: what was kept for resuming the
    /// order can go.
    async fn settled(&self, name: &Subject) -> Result<(), IssueError>;

    /// Lets go of an order for `name` that is not for the tenant `stays`, with its key.
    async fn abandon(&self, name: &Subject, stays: &Tenant) -> Result<(), IssueError>;

    /// When the issuer suggests renewing `bundle`, and when to ask again; `None` when it has no opinion.
    async fn renewal_hint(&self, bundle: &Bundle) -> Result<Option<RenewalHint>, IssueError>;

    /// Gives our account another key (RFC 8555 section 7.3.5). Orders in flight end before, later ones wait meanwhile.
    /// The account's URL; `None` when there is no account.
    async fn roll_over(&self) -> Result<Option<String>, RolloverError> {
        Ok(None)
    }

    /// Removes what an earlier process has left elsewhere, as far as that is possible now.
    async fn sweep(&self) {}

    /// Names whose orders were cut off by a crash and are still worth resuming.
    async fn unfinished(&self) -> Result<Vec<Subject>, IssueError>;
}

/// An issuer's wish about a renewal (RFC 9773 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalHint {
    /// Start of the suggested window.
    pub start: Timestamp,
    /// End of the suggested window.
    pub end: Timestamp,
    /// When to ask again, already clamped to 1 minute … 12 hours.
    pub ask_again: Timestamp,
}
