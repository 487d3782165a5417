//! Visits: customers who are sent to their DNS provider's page, and come back.
//!
//! What the browser brings back is a secret that is known to it and the provider alone, good for an hour and once. It
//! proves nothing about the DNS: it says which connection to look at now, and where the browser may go on. That is a page
//! of an origin which the application names, now as then, and nowhere else.

use std::time::Duration;

use url::Url;

use super::{
    Application, Caller, Claim, Core, CoreError, Lifecycle, Moment, Scope, change::Change, secret_key::random_base62,
    sha256,
};
use crate::db::{self, Session, attempts::Attempt, visits::VisitRow};

/// The customer may have to find a password first.
const LIFE: Duration = Duration::from_hours(1);
/// Visits of one connection that are under way; older ones are forgotten.
const MOST: i64 = 10;
/// Random characters of what is brought back: 190 bits.
const STATE: usize = 32;
/// Longest address to come back to.
const MAX_URL: usize = 2048;
/// What providers may say went wrong (RFC 6749 section 4.1.2.1). Whatever else they say is none of these.
const ERRORS: [&str; 7] = [
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
];
const UNKNOWN_ERROR: &str = "unknown_error";

/// A customer who may be sent.
#[derive(Debug, Clone)]
pub struct Visit {
    /// What the browser must bring back.
    pub state: String,
    /// Until when.
    pub expires_at: Moment,
}

/// A customer who came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// From which connection.
    pub connection_id: String,
    /// Where the browser goes on; an origin of the application's.
    pub url: Option<Url>,
    /// What the provider said went wrong, one of a few words.
    pub error: Option<&'static str>,
}

impl Core {
    /// Lets a customer go. `return_url` is where the browser shall end.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::WrongState`], [`CoreError::Invalid`],
    /// [`CoreError::Db`].
    pub async fn begin_visit(
        &self,
        caller: &Caller,
        connection_id: &str,
        return_url: Option<&str>,
    ) -> Result<Visit, CoreError> {
        caller.require(Scope::ConnectionsWrite)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let claim = self.lock_own_claim(&mut tx, caller, connection_id).await?;
        if claim.lifecycle != Lifecycle::Active {
            return Err(CoreError::WrongState { lifecycle: claim.lifecycle });
        }
        if let Some(url) = return_url {
            let application = self.application_in(&mut tx, caller, &claim.application_id).await?;
            landing(url, &application).ok_or_else(|| {
                CoreError::invalid("/return_url", "its origin is none of the application's allowed_origins")
            })?;
        }
        let state = random_base62(STATE);
        let visit = VisitRow {
            claim_id: claim.id.clone(),
            application_id: claim.application_id,
            return_url: return_url.map(str::to_owned),
            expires_at: now.after(LIFE),
        };
        db::visits::insert(&mut tx, sha256(&state), &visit, now).await?;
        db::visits::trim(&mut tx, &claim.id, MOST).await?;
        self.commit(tx).await?;
        Ok(Visit { state, expires_at: visit.expires_at })
    }

    /// Takes a customer back, once: the connection is looked at next. `None` for a state that is not known, was used or is
    /// too old.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn end_visit(&self, state: &str, error: Option<&str>) -> Result<Option<Return>, CoreError> {
        let hash = sha256(state);
        // Strangers may come with anything: they cost a read and no write.
        let mut session = self.read().await?;
        let Some(visit) = db::visits::find(&mut session, hash.clone()).await? else { return Ok(None) };
        let Some(claim) = db::claims::find(&mut session, &visit.claim_id).await? else { return Ok(None) };
        drop(session);
        let now = self.now();
        let mut tx = self.begin().await?;
        db::hostnames::lock(&mut tx, &claim.hostname).await?;
        if !db::visits::take(&mut tx, hash).await? || visit.expires_at <= now {
            self.commit(tx).await?;
            return Ok(None);
        }
        let error = error.map(|said| ERRORS.into_iter().find(|known| *known == said).unwrap_or(UNKNOWN_ERROR));
        self.look_soon(&mut tx, &visit.claim_id, error, now).await?;
        let application = db::applications::find(&mut tx, &visit.application_id).await?;
        self.commit(tx).await?;
        let url =
            visit.return_url.as_deref().zip(application).and_then(|(url, application)| landing(url, &application));
        Ok(Some(Return { connection_id: visit.claim_id, url, error }))
    }

    /// The hostname's row is held.
    async fn look_soon(
        &self,
        tx: &mut Session,
        claim_id: &str,
        error: Option<&'static str>,
        now: Moment,
    ) -> Result<(), CoreError> {
        let Some(before) = db::claims::find(tx, claim_id).await? else { return Ok(()) };
        if before.lifecycle != Lifecycle::Active {
            return Ok(());
        }
        let attempt = Attempt {
            n: 0,
            at: now,
            kind: "domain_connect".to_owned(),
            outcome: if error.is_some() { "failed" } else { "ok" }.to_owned(),
            reason_code: error.map(str::to_owned),
            detail: None,
        };
        db::attempts::insert(tx, claim_id, &attempt, self.settings.attempts_keep).await?;
        let after = Claim { next_check_at: Some(now), ..before.clone() };
        self.save(tx, Change { before: Some(&before), after, events: Vec::new() }, now).await.map(drop)
    }
}

/// The address, if it is a page of an origin that the application names.
fn landing(url: &str, application: &Application) -> Option<Url> {
    if url.len() > MAX_URL {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let mut allowed = application.allowed_origins.0.iter().filter_map(|origin| Url::parse(origin).ok());
    (is_plain && allowed.any(|allowed| allowed.origin() == url.origin())).then_some(url)
}
