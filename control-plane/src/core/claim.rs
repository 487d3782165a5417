//! [`Claim`]: one account's wish that a hostname is served, as facets.

use names::Hostname;
use sqlx::FromRow;

use super::{
    CertificateState, Deadline, DnsWrite, Document, Environment, Flag, Kind, Lifecycle, Moment, Ownership, Preflight,
    ProofKind, Reason, Routing, SetupType, Surface,
};

/// A claim as it is kept. Each facet is changed by one function of `checking` or by a verb.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Claim {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// For which of the account's products.
    pub application_id: String,
    /// Test or live.
    pub environment: Environment,
    /// Whose verification policy and event names hold.
    pub surface: Surface,
    /// The name.
    #[sqlx(try_from = "String")]
    pub hostname: Hostname,
    /// Apex or subdomain.
    pub kind: Kind,
    /// Who writes the records.
    pub setup_type: SetupType,
    /// Whose DNS the zone is at, when known.
    pub provider: Option<String>,
    /// The client's own grouping.
    pub batch_id: Option<String>,
    /// Where requests go; `None` is the application's default.
    pub origin: Option<String>,
    /// Send the customer's Host to the origin.
    pub keep_host: Flag,
    /// Answer with a redirect instead.
    pub redirect: Option<String>,
    /// Facet: whose the hostname is.
    pub ownership: Ownership,
    /// Facet: where it points.
    pub routing: Routing,
    /// Facet: whether a record is in the way of a certificate.
    pub preflight: Preflight,
    /// Facet: our writing of records.
    pub dns_write: DnsWrite,
    /// Facet: its certificate.
    pub certificate: CertificateState,
    /// Facet: whether the claim stands.
    pub lifecycle: Lifecycle,
    /// Facet: the time its owner has.
    pub deadline: Deadline,
    /// When that time is over.
    pub deadline_at: Option<Moment>,
    /// Why it is not live, and what to change.
    pub reason: Option<Document<Reason>>,
    /// Set when it failed for good or something needs a person.
    pub error_code: Option<String>,
    /// How ownership was shown.
    pub proof: Option<ProofKind>,
    /// When it was.
    pub verified_at: Option<Moment>,
    /// When the name first pointed here.
    pub pointing_at: Option<Moment>,
    /// When it first was live. Set once: the pair of events goes with it.
    pub live_at: Option<Moment>,
    /// Since when checks say that it points elsewhere.
    pub drift_since: Option<Moment>,
    /// How many checks in a row have said so.
    pub absent_streak: i64,
    /// How often it was looked at.
    pub check_count: i64,
    /// When last.
    pub last_checked_at: Option<Moment>,
    /// When next.
    pub next_check_at: Option<Moment>,
    /// When the next order of a certificate may be tried.
    pub next_attempt_at: Option<Moment>,
    /// Version of what the edges serve under the name.
    pub generation: i64,
    /// Version of this row.
    pub version: i64,
    /// When it was made.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
    /// When it was deleted.
    pub archived_at: Option<Moment>,
    /// Since when we try to write its records, while we do.
    pub write_since: Option<Moment>,
    /// When we last wrote them.
    pub written_at: Option<Moment>,
}

impl Claim {
    /// Whether the name is this claim's and no other's. The unique index says the same in SQL.
    pub fn is_holder(&self) -> bool {
        self.lifecycle == Lifecycle::Active && self.ownership == Ownership::Proven && self.deadline != Deadline::Passed
    }

    /// Whether edges may serve the name and obtain certificates for it.
    pub fn is_open(&self) -> bool {
        self.is_holder() && (self.preflight != Preflight::Blocked || self.had_certificate())
    }

    /// Whether there was a certificate once. No finding closes the gate of such a name: it is served.
    pub fn had_certificate(&self) -> bool {
        self.live_at.is_some() || matches!(self.certificate, CertificateState::Valid | CertificateState::Expired)
    }

    /// Whether it points here, as far as is known.
    pub fn is_pointing(&self) -> bool {
        self.routing == Routing::Pointing
    }

    /// Whether it is served over HTTPS now.
    pub fn is_live(&self) -> bool {
        self.is_open() && self.is_pointing() && self.live_at.is_some() && self.certificate != CertificateState::Expired
    }

    /// Whether what edges serve under the name differs.
    pub(crate) fn serves_otherwise(&self, other: &Self) -> bool {
        self.is_open() != other.is_open()
            || (self.is_open()
                && (self.origin != other.origin
                    || self.keep_host != other.keep_host
                    || self.redirect != other.redirect))
    }
}

/// How ownership can be shown, and what was seen of it.
#[derive(Debug, Clone, FromRow)]
pub struct Proof {
    /// What kind.
    pub kind: ProofKind,
    /// The owner name of the record.
    pub name: String,
    /// Its value.
    pub expected: String,
    /// What was there instead.
    pub observed: Option<String>,
    /// When it was first right.
    pub first_ok_at: Option<Moment>,
    /// When it was last right.
    pub last_ok_at: Option<Moment>,
}

/// A desired record and what was seen of it.
#[derive(Debug, Clone, FromRow)]
pub struct Record {
    /// Its place in the list.
    pub position: i64,
    /// Owner name.
    pub host: String,
    /// `CNAME`, `A`, `AAAA`, `ALIAS`, `TXT` …
    #[sqlx(rename = "type")]
    pub record_type: String,
    /// What it should be.
    pub value: String,
    /// In seconds.
    pub ttl: i64,
    /// For MX and SRV.
    pub priority: Option<i64>,
    /// Whether it was seen as it should be.
    pub propagated: Flag,
    /// What was seen.
    pub observed_value: Option<String>,
    /// When.
    pub observed_at: Option<Moment>,
}
