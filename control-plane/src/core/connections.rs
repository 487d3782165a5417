//! Connections: what a claim is to its account. Create, read, change, delete.

use names::{Hostname, Suspicion};
use serde_json::{Value, json};

use super::{
    Caller, Certificate, CertificateState, Claim, Core, CoreError, Deadline, DesiredRecord, DnsWrite, Document,
    EventKind, Flag, Lifecycle, Moment, Ownership, Preflight, Proof, ProofKind, Reason, ReasonCode, Record, Routing,
    Scope, SetupType, UsageKind,
    applications::check_length,
    audit,
    change::Change,
    checking,
    jobs::{self, JobKind},
    name_rules::{self, Claimable},
    new_id, record_rules,
    secret_key::random_base62,
    template,
};
use crate::db::{self, Session, attempts::Attempt};

/// Random characters of a challenge: 190 bits.
const CHALLENGE_LEN: usize = 32;
/// Rivals for one hostname that an operator is shown.
const MAX_WANTING: i64 = 20;
/// Longest batch id.
const MAX_BATCH_ID: usize = 200;

/// A claim with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The claim.
    pub claim: Claim,
    /// How ownership can be shown.
    pub proofs: Vec<Proof>,
    /// Its records.
    pub records: Vec<Record>,
    /// Its certificate.
    pub certificate: Option<Certificate>,
    /// What was tried, the newest first.
    pub attempts: Vec<Attempt>,
    /// Why a person should look at its name, by the rules as they are now.
    pub review: Vec<Suspicion>,
}

/// How a surface writes the challenge that shows ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChallengeForm {
    /// The label before the hostname at which it stands.
    pub label: &'static str,
    /// What its value begins with.
    pub prefix: &'static str,
}

impl Default for ChallengeForm {
    fn default() -> Self {
        Self { label: "_namegate-challenge", prefix: "namegate-" }
    }
}

/// What a new connection is made of.
#[derive(Debug, Clone, Default)]
pub struct NewConnection {
    /// For which application.
    pub application_id: String,
    /// Which name, in any spelling.
    pub hostname: String,
    /// Its own records instead of the template's; none are the template's.
    pub records: Option<Vec<DesiredRecord>>,
    /// The client's own grouping.
    pub batch_id: Option<String>,
    /// Where requests go.
    pub origin: Option<String>,
    /// Send the customer's Host to the origin.
    pub keep_host: Option<bool>,
    /// Ask for a challenge although another account has the name.
    pub takeover: bool,
    /// The surface's form of the challenge.
    pub challenge: ChallengeForm,
    /// Who shall write its records; when missing we do if the application has anything to write with.
    pub setup_type: Option<SetupType>,
}

/// What shall be changed of a connection; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPatch {
    /// Where requests go; `Some(None)` takes the application's default.
    pub origin: Option<Option<String>>,
    /// Send the customer's Host to the origin.
    pub keep_host: Option<bool>,
}

/// Facets that a claim shall have; `None` and empty are any. How a surface asks for one of its state words.
#[derive(Debug, Clone, Default)]
pub struct FacetQuery {
    /// Whether the claim stands.
    pub lifecycle: Option<Lifecycle>,
    /// Whether its time is over.
    pub stalled: Option<bool>,
    /// Whose it is.
    pub ownership: Option<Ownership>,
    /// How far our writing of its records is: one of these.
    pub dns_write: &'static [DnsWrite],
    /// Where it points: one of these.
    pub routing: &'static [Routing],
    /// Whether it ever was live.
    pub was_live: Option<bool>,
    /// Whether its certificate ended.
    pub expired: Option<bool>,
}

/// Which connections are wanted.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFilter {
    /// Of this name.
    pub hostname: Option<Hostname>,
    /// Of this application.
    pub application_id: Option<String>,
    /// Of this batch.
    pub batch_id: Option<String>,
    /// Whose facets are like one of these; empty is any.
    pub facets: Vec<FacetQuery>,
}

impl Core {
    /// Makes a connection. Nothing is served until ownership is shown.
    ///
    /// # Errors
    /// In the order in which they are looked for: [`CoreError::LacksScope`], [`CoreError::NotFound`],
    /// [`CoreError::BadHostname`], [`CoreError::NameRefused`], [`CoreError::Invalid`], [`CoreError::HostnameConflict`],
    /// [`CoreError::QuotaExceeded`]; [`CoreError::Db`].
    pub async fn create_connection(
        &self,
        tx: &mut Session,
        caller: &Caller,
        new: NewConnection,
    ) -> Result<Connection, CoreError> {
        caller.require(Scope::ConnectionsWrite)?;
        let application = self.application_in(tx, caller, &new.application_id).await?;
        let name = name_rules::claimable(&new.hostname, &self.settings)?;
        self.check_new(&new, &name)?;
        if !caller.may_see_hostname(name.hostname.as_str()) {
            return Err(CoreError::LacksScope { scope: Scope::ConnectionsWrite });
        }
        let records = new
            .records
            .clone()
            .filter(|records| !records.is_empty())
            .unwrap_or_else(|| template::expand(&application.record_template.0, &name, &self.settings.edge));
        db::hostnames::lock(tx, &name.hostname).await?;
        self.refuse_conflict(tx, caller, &name.hostname, new.takeover).await?;
        self.reserve(tx, &caller.account_id, UsageKind::Connect).await?;
        let keep_host = Flag(new.keep_host.unwrap_or(application.default_keep_host.0));
        let setup_type = self.setup_type(tx, &new).await?;
        let form = new.challenge;
        let proof = challenge(&name.hostname, form);
        let mut claim = self.new_claim(caller, &name, new, keep_host);
        let now = claim.created_at;
        match setup_type {
            SetupType::Automatic => be_written(&mut claim, now),
            SetupType::Manual => {
                // Nobody has published a value that was drawn just now: the first status says so, before any look.
                let fix = Some(checking::record_to_publish(&proof));
                claim.reason = Some(Document(Reason { fix, ..Reason::new(ReasonCode::ChallengeMissing) }));
            }
        }
        let claim = self.save(tx, Change { before: None, after: claim, events: Vec::new() }, now).await?;
        if setup_type == SetupType::Automatic {
            jobs::schedule(tx, JobKind::Write, &claim.id, now).await?;
        }
        db::records::insert_all(tx, &claim.id, &records).await?;
        db::proofs::insert(tx, &claim.id, &proof).await?;
        audit::note(tx, &caller.account_id, &caller.actor, "connection.create", &claim.id, now).await?;
        self.load(tx, claim).await
    }

    /// Whether we write the records. What the credentials are good for is told by their providers alone, and later.
    async fn setup_type(&self, tx: &mut Session, new: &NewConnection) -> Result<SetupType, CoreError> {
        if new.setup_type == Some(SetupType::Manual) {
            return Ok(SetupType::Manual);
        }
        let can_write = self.keyring().is_some() && db::credentials::count(tx, &new.application_id).await? > 0;
        match (new.setup_type, can_write) {
            (_, true) => Ok(SetupType::Automatic),
            (Some(_), false) => Err(CoreError::invalid("/setup_type", "the application has no DNS credential")),
            (None, false) => Ok(SetupType::Manual),
        }
    }

    fn check_new(&self, new: &NewConnection, name: &Claimable) -> Result<(), CoreError> {
        if let Some(origin) = &new.origin {
            name_rules::check_origin(origin, "/origin", self.settings.dev)?;
        }
        if new.batch_id.as_ref().is_some_and(|id| id.len() > MAX_BATCH_ID || id.contains(char::is_control)) {
            return Err(CoreError::invalid("/batch_id", format!("at most {MAX_BATCH_ID} bytes, all visible")));
        }
        let records = new.records.as_deref().unwrap_or_default();
        check_length("/dns_records", records.len())?;
        record_rules::check_records(records, name)
    }

    /// The unique indexes decide; this only tells early and in better words.
    async fn refuse_conflict(
        &self,
        tx: &mut Session,
        caller: &Caller,
        hostname: &Hostname,
        takeover: bool,
    ) -> Result<(), CoreError> {
        let conflict = |own_connection| {
            Err(CoreError::HostnameConflict { hostname: hostname.as_str().to_owned(), own_connection })
        };
        if let Some(own) = db::claims::active_of_account(tx, &caller.account_id, hostname).await? {
            let is_visible = caller.owns(&own.account_id, own.environment);
            return conflict(is_visible.then_some(own.id));
        }
        match db::claims::holder_of_hostname(tx, hostname).await? {
            Some(_) if !takeover => conflict(None),
            _ => Ok(()),
        }
    }

    fn new_claim(&self, caller: &Caller, name: &Claimable, new: NewConnection, keep_host: Flag) -> Claim {
        let now = self.now();
        Claim {
            id: new_id(),
            account_id: caller.account_id.clone(),
            application_id: new.application_id,
            environment: caller.environment,
            surface: caller.surface,
            hostname: name.hostname.clone(),
            kind: name.kind,
            setup_type: SetupType::Manual,
            provider: None,
            batch_id: new.batch_id,
            origin: new.origin,
            keep_host,
            redirect: None,
            ownership: Ownership::Unproven,
            routing: Routing::Unknown,
            preflight: Preflight::Unknown,
            dns_write: DnsWrite::None,
            certificate: CertificateState::None,
            lifecycle: Lifecycle::Active,
            deadline: Deadline::Running,
            deadline_at: Some(now.after(self.settings.policy(caller.surface).deadline)),
            reason: None,
            error_code: None,
            proof: None,
            verified_at: None,
            pointing_at: None,
            live_at: None,
            drift_since: None,
            absent_streak: 0,
            check_count: 0,
            last_checked_at: None,
            // Nobody publishes a record in less: the first look is the worker's, a user's verb may come before it.
            next_check_at: Some(now.after(std::time::Duration::from_secs(5))),
            next_attempt_at: None,
            generation: 0,
            version: 1,
            created_at: now,
            updated_at: now,
            archived_at: None,
            write_since: None,
            written_at: None,
        }
    }

    /// A connection of the caller's.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn connection(&self, caller: &Caller, id: &str) -> Result<Connection, CoreError> {
        caller.require_any(&[Scope::ConnectionsRead, Scope::ConnectionsWrite])?;
        let mut session = self.read().await?;
        let claim = own_claim(&mut session, caller, id).await?;
        self.load(&mut session, claim).await
    }

    /// The caller's connections after `after`, at most `limit`, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Db`].
    pub async fn connections(
        &self,
        caller: &Caller,
        filter: &ConnectionFilter,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Connection>, CoreError> {
        caller.require(Scope::ConnectionsRead)?;
        let Some(filter) = within_reach(caller, filter) else { return Ok(Vec::new()) };
        let mut session = self.read().await?;
        let claims = db::claims::page(&mut session, &caller.account_id, caller.environment, &filter, after, limit);
        let mut page = Vec::new();
        for claim in claims.await? {
            page.push(self.load(&mut session, claim).await?);
        }
        Ok(page)
    }

    /// Everybody's active connections of a hostname, the one that is served first. For the operator alone.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn wanting(&self, hostname: &Hostname) -> Result<Vec<Connection>, CoreError> {
        let mut session = self.read().await?;
        let mut found = Vec::new();
        for claim in db::claims::wanting(&mut session, hostname, MAX_WANTING).await? {
            found.push(self.load(&mut session, claim).await?);
        }
        Ok(found)
    }

    /// Changes where requests go. Edges follow with the commit.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::WrongState`], [`CoreError::Invalid`],
    /// [`CoreError::Db`].
    pub async fn update_connection(
        &self,
        caller: &Caller,
        id: &str,
        patch: ConnectionPatch,
    ) -> Result<Connection, CoreError> {
        caller.require(Scope::ConnectionsWrite)?;
        if let Some(Some(origin)) = &patch.origin {
            name_rules::check_origin(origin, "/origin", self.settings.dev)?;
        }
        let now = self.now();
        let mut tx = self.begin().await?;
        let before = self.lock_own_claim(&mut tx, caller, id).await?;
        if before.lifecycle != Lifecycle::Active {
            return Err(CoreError::WrongState { lifecycle: before.lifecycle });
        }
        let mut after = before.clone();
        patch.origin.into_iter().for_each(|origin| after.origin = origin);
        patch.keep_host.into_iter().for_each(|keep| after.keep_host = Flag(keep));
        let after = self.save(&mut tx, Change { before: Some(&before), after, events: Vec::new() }, now).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "connection.update", id, now).await?;
        let connection = self.load(&mut tx, after).await?;
        self.commit(tx).await?;
        Ok(connection)
    }

    /// Archives a connection: its gate closes with the commit, its name is free, its DNS is left alone. Doing it twice
    /// changes nothing.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn archive_connection(&self, caller: &Caller, id: &str) -> Result<Connection, CoreError> {
        caller.require(Scope::ConnectionsWrite)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let before = self.lock_own_claim(&mut tx, caller, id).await?;
        if before.lifecycle == Lifecycle::Archived {
            return self.load(&mut tx, before).await;
        }
        let mut after = before.clone();
        after.lifecycle = Lifecycle::Archived;
        after.archived_at = Some(now);
        (after.next_check_at, after.next_attempt_at, after.deadline_at) = (None, None, None);
        after.deadline = Deadline::None;
        after.reason = None;
        let events = vec![(EventKind::ClaimArchived, about(&after))];
        let after = self.save(&mut tx, Change { before: Some(&before), after, events }, now).await?;
        db::certificates::delete(&mut tx, &after.hostname, &after.id).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "connection.archive", id, now).await?;
        let connection = self.load(&mut tx, after).await?;
        self.commit(tx).await?;
        Ok(connection)
    }

    /// The caller's claim, with the hostname's row held.
    pub(crate) async fn lock_own_claim(&self, tx: &mut Session, caller: &Caller, id: &str) -> Result<Claim, CoreError> {
        let claim = own_claim(tx, caller, id).await?;
        db::hostnames::lock(tx, &claim.hostname).await?;
        // Read again: it may have changed until the lock was ours.
        own_claim(tx, caller, id).await
    }

    pub(crate) async fn load(&self, session: &mut Session, claim: Claim) -> Result<Connection, CoreError> {
        Ok(Connection {
            proofs: db::proofs::of_claim(session, &claim.id).await?,
            records: db::records::of_claim(session, &claim.id).await?,
            certificate: db::certificates::of_claim(session, &claim.hostname, &claim.id).await?,
            attempts: db::attempts::of_claim(session, &claim.id).await?,
            review: self.settings.lookalikes.suspicions(&claim.hostname),
            claim,
        })
    }
}

/// The claim waits for our writing first. Looking before that would make resolvers remember that nothing is there.
fn be_written(claim: &mut Claim, now: Moment) {
    (claim.setup_type, claim.dns_write, claim.write_since) = (SetupType::Automatic, DnsWrite::Writing, Some(now));
    claim.reason = Some(Document(Reason::new(ReasonCode::RecordsBeingWritten)));
    claim.next_check_at = None;
}

/// What is left of a filter for a caller who is bound to an application or a name; `None` when that is nothing.
fn within_reach(caller: &Caller, filter: &ConnectionFilter) -> Option<ConnectionFilter> {
    let mut filter = filter.clone();
    if let Some(only) = &caller.only_application
        && filter.application_id.get_or_insert_with(|| only.clone()) != only
    {
        return None;
    }
    if let Some(only) = caller.only_hostname.as_deref().and_then(|only| Hostname::parse(only).ok())
        && *filter.hostname.get_or_insert_with(|| only.clone()) != only
    {
        return None;
    }
    Some(filter)
}

async fn own_claim(session: &mut Session, caller: &Caller, id: &str) -> Result<Claim, CoreError> {
    let found = db::claims::find(session, id).await?;
    let mine = found.filter(|claim| {
        caller.owns(&claim.account_id, claim.environment)
            && caller.may_see_application(&claim.application_id)
            && caller.may_see_hostname(claim.hostname.as_str())
    });
    mine.ok_or(CoreError::NotFound { what: "connection" })
}

fn challenge(hostname: &Hostname, form: ChallengeForm) -> Proof {
    Proof {
        kind: ProofKind::Txt,
        name: format!("{}.{hostname}", form.label),
        expected: format!("{}{}", form.prefix, random_base62(CHALLENGE_LEN)),
        observed: None,
        first_ok_at: None,
        last_ok_at: None,
    }
}

/// The data of an event that is about the claim as a whole.
pub(crate) fn about(claim: &Claim) -> Value {
    json!({ "hostname": claim.hostname.as_str() })
}

impl Connection {
    /// The challenge that shows ownership.
    pub fn challenge(&self) -> Option<&Proof> {
        self.proofs.iter().find(|proof| proof.kind == ProofKind::Txt)
    }

    /// Why it is not live.
    pub fn reason(&self) -> Option<&Reason> {
        self.claim.reason.as_ref().map(|Document(reason)| reason)
    }

    /// The time of the last change, for conditional reads.
    pub fn changed_at(&self) -> Moment {
        self.claim.updated_at
    }
}
