//! [`Failures`]: what went wrong with a name, remembered across restarts.
//!
//! Consulted before every order: a name whose orders fail waits 1 minute, 10 minutes, 100 minutes, then a day between
//! attempts, and never has more than four failed authorizations within an hour (Let's Encrypt takes five). The record
//! stands in the store, so that neither a restart nor an impatient visitor starts the ladder anew.
//!
//! A CA that cannot be reached is not the name's fault: such a failure climbs a shorter ladder of its own (5 seconds
//! doubling to 5 minutes) that lives in memory only, leaves the name's attempts alone, and ends with a restart. So does
//! what a look before the order found: no CA was asked, and DNS is often right a few minutes later (1 minute doubling to
//! 10).

use std::{sync::Arc, time::Duration};

use clock::{SharedClock, Timestamp};
use moka::sync::Cache;
use names::Subject;
use serde::{Deserialize, Serialize};

use crate::{IssueError, IssuerKey, Store, StoreError, file_store::stem, jitter::jitter};

/// Waits after the first, second, third and every later failure that is the name's own.
const LADDER: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(100 * 60),
    Duration::from_secs(24 * 3600),
];
/// First wait after a failure of the CA or of our store.
const OUTAGE_FIRST: Duration = Duration::from_secs(5);
/// Longest wait after a failure of the CA or of our store: a CA that is back is used again soon.
const OUTAGE_LONGEST: Duration = Duration::from_secs(5 * 60);
/// First wait after an obstacle that was found before an order: by then most changes of DNS are seen.
const OBSTACLE_FIRST: Duration = Duration::from_secs(60);
/// Longest wait after an obstacle: a look costs a few questions.
const OBSTACLE_LONGEST: Duration = Duration::from_secs(10 * 60);
/// A wait is lengthened by up to a tenth, so that names that failed together do not come back together.
const JITTER: f64 = 0.1;
/// Longest wait that a CA may impose by `Retry-After`; its longest published window is a week.
const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Failed authorizations per name and [`AUTHORIZATION_WINDOW`]: one below Let's Encrypt's limit.
const AUTHORIZATIONS: usize = 4;
/// What one attempt may cost: TLS-ALPN-01 refused, then HTTP-01 refused.
const AUTHORIZATIONS_PER_ATTEMPT: usize = 2;
/// The window in which failed authorizations are counted.
const AUTHORIZATION_WINDOW: Duration = Duration::from_secs(3600);
/// Records kept in memory in front of the store, about 1 KiB each.
const REMEMBERED: u64 = 10_000;
/// Longest problem text that is kept; the CA decides its length.
const PROBLEM_LONGEST: usize = 4096;

/// Why an order failed, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which issuer was asked.
    pub issuer: String,
    /// A stable word: an ACME problem type such as `rateLimited`, or `unreachable`, `unusable`, `timeout`, `store`; for
    /// DNS-01 `dns_` with what went wrong there, such as `dns_auth` or `dns_not_visible`; before an order what was found,
    /// such as `dns_nxdomain`, `caa_forbids` or `points_elsewhere`.
    pub reason: String,
    /// What happened, for people.
    pub detail: String,
    /// The CA's whole problem document, if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<serde_json::Value>,
    /// Whose fault it is.
    pub fault: Fault,
    /// How long the CA asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// Whose fault a failed order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The CA's, or ours: the name may be tried again soon.
    Ca,
    /// A limit of the CA's; nothing is wrong with the name.
    Limit,
    /// The name's: its DNS, its CAA records, a policy.
    Name,
    /// The name's too, seen before anything was ordered: no CA has counted it.
    Obstacle,
}

impl Attempt {
    /// What `error` of `issuer` means for a name.
    pub fn new(issuer: &IssuerKey, error: &IssueError) -> Self {
        let (reason, fault) = classify(error);
        let (problem, retry_after) = match error {
            IssueError::Refused { problem, retry_after, .. } => (Some(bounded(problem)), *retry_after),
            IssueError::Unreachable { retry_after, .. } => (None, *retry_after),
            IssueError::Dns(error) => (None, error.retry_after),
            IssueError::Obstacle(_)
            | IssueError::Unusable { .. }
            | IssueError::TimedOut { .. }
            | IssueError::Store(_) => (None, None),
        };
        let mut detail = telemetry::chain(error).to_string();
        truncate(&mut detail);
        Self { issuer: issuer.as_str().to_owned(), reason, detail, problem, fault, retry_after }
    }
}

fn classify(error: &IssueError) -> (String, Fault) {
    match error {
        IssueError::Dns(error) => {
            let fault = if error.passes { Fault::Ca } else { Fault::Name };
            (format!("dns_{}", error.reason), fault)
        }
        IssueError::Refused { kind, .. } => {
            let fault = match kind.as_str() {
                "rateLimited" => Fault::Limit,
                "serverInternal" | "badNonce" | "accountDoesNotExist" | "externalAccountRequired" => Fault::Ca,
                _ => Fault::Name,
            };
            (kind.clone(), fault)
        }
        IssueError::Obstacle(obstacle) => (obstacle.code.to_owned(), Fault::Obstacle),
        IssueError::Unreachable { .. } => ("unreachable".to_owned(), Fault::Ca),
        IssueError::Unusable { .. } => ("unusable".to_owned(), Fault::Name),
        IssueError::TimedOut { .. } => ("timeout".to_owned(), Fault::Ca),
        IssueError::Store(_) => ("store_failed".to_owned(), Fault::Ca),
    }
}

/// A problem document of a size worth keeping.
fn bounded(problem: &serde_json::Value) -> serde_json::Value {
    let mut text = problem.to_string();
    match text.len() <= PROBLEM_LONGEST {
        true => problem.clone(),
        false => {
            truncate(&mut text);
            serde_json::Value::String(text)
        }
    }
}

fn truncate(text: &mut String) {
    let end = (0..=PROBLEM_LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

/// The record of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Failures in a row that were the name's own.
    pub attempts: u32,
    /// Failures in a row that were not.
    #[serde(skip)]
    pub outages: u32,
    /// Whether only this process's memory holds it, as the store did not take it.
    #[serde(skip)]
    pub unsaved: bool,
    /// Times in a row that an obstacle kept every order from being placed.
    #[serde(skip)]
    pub obstacles: u32,
    /// What the issuers said last, one entry per issuer that was asked.
    pub last: Vec<Attempt>,
    /// When it failed last.
    #[serde(with = "crate::jitter::millis")]
    pub at: Timestamp,
    /// No order before.
    #[serde(with = "crate::jitter::millis")]
    pub not_before: Timestamp,
    /// When authorizations failed, oldest first, at most an hour old.
    #[serde(with = "crate::jitter::millis_list")]
    pub authorizations: Vec<Timestamp>,
}

impl Failure {
    /// When the next order may be placed: the ladder, the CA's wish, and the budget of failed authorizations.
    pub fn next_order(&self) -> Timestamp {
        self.not_before.max(self.next_authorization())
    }

    /// When an attempt fits into the budget of failed authorizations, even if all of it is lost.
    fn next_authorization(&self) -> Timestamp {
        let room_after = self.authorizations.len().saturating_sub(AUTHORIZATIONS - AUTHORIZATIONS_PER_ATTEMPT);
        match room_after.checked_sub(1).and_then(|index| self.authorizations.get(index)) {
            Some(oldest) => *oldest + AUTHORIZATION_WINDOW,
            None => Timestamp::EPOCH,
        }
    }

    /// Failed orders since the name last had a certificate, as far as they are remembered.
    pub fn in_a_row(&self) -> u32 {
        self.attempts.saturating_add(self.outages).saturating_add(self.obstacles)
    }

    /// How many authorizations failed within the hour before `now`.
    pub(crate) fn authorizations_since(&self, now: Timestamp) -> usize {
        self.authorizations.iter().filter(|at| now.since(**at) < AUTHORIZATION_WINDOW).count()
    }

    /// Whether one more attempt fits into the hour's budget when `spent` authorizations failed already.
    pub(crate) fn allows(spent: usize) -> bool {
        spent + AUTHORIZATIONS_PER_ATTEMPT <= AUTHORIZATIONS
    }

    /// The record after one more failure.
    #[must_use]
    pub fn after(mut self, name: &Subject, attempts: Vec<Attempt>, refuted: usize, now: Timestamp) -> Self {
        let retry_after = attempts.iter().filter_map(|attempt| attempt.retry_after).max().unwrap_or_default();
        let wait = self.climb(&attempts).max(retry_after.min(RETRY_AFTER_LONGEST));
        self.not_before = now + wait + jitter(name, "backoff", wait.mul_f64(JITTER));
        self.authorizations.retain(|at| now.since(*at) < AUTHORIZATION_WINDOW);
        self.authorizations.extend(std::iter::repeat_n(now, refuted.min(AUTHORIZATIONS)));
        self.last = attempts;
        self.at = now;
        self
    }

    /// One rung up the ladder of whoever is at fault; the wait of that rung. A CA that was merely out of reach may be back
    /// before the DNS is any different.
    fn climb(&mut self, attempts: &[Attempt]) -> Duration {
        let is = |fault| attempts.iter().any(|attempt| attempt.fault == fault);
        if is(Fault::Name) {
            (self.outages, self.obstacles) = (0, 0);
            let rung = self.attempts as usize;
            self.attempts = self.attempts.saturating_add(1);
            return LADDER.get(rung).or(LADDER.last()).copied().unwrap_or_default();
        }
        match is(Fault::Obstacle) && !is(Fault::Ca) && !is(Fault::Limit) {
            true => doubled(&mut self.obstacles, OBSTACLE_FIRST, OBSTACLE_LONGEST),
            false => doubled(&mut self.outages, OUTAGE_FIRST, OUTAGE_LONGEST),
        }
    }

    /// Whether the record must outlive the process.
    fn is_the_names(&self) -> bool {
        let limited = self.last.iter().any(|attempt| attempt.fault == Fault::Limit);
        self.attempts > 0 || limited || !self.authorizations.is_empty()
    }
}

/// The wait of a rung that doubles, and one rung up.
fn doubled(rung: &mut u32, first: Duration, longest: Duration) -> Duration {
    let doublings = (*rung).min(16);
    *rung = rung.saturating_add(1);
    first.saturating_mul(1 << doublings).min(longest)
}

/// The records of all names: a bounded cache in front of the store.
#[derive(Clone)]
pub(crate) struct Failures {
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// What is known; `None` says that the store holds nothing.
    known: Cache<Subject, Arc<Failure>>,
}

impl Failures {
    /// Records under `namegate/failures/` of `store`.
    pub(crate) fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self { store, clock, known: Cache::new(REMEMBERED) }
    }

    /// The record of `name`, if it ever failed since it last had a certificate.
    ///
    /// # Errors
    /// [`StoreError`]: without an answer no order may be placed. A record that cannot be understood counts as none: it
    /// must not keep a name without a certificate for ever.
    pub(crate) async fn load(&self, name: &Subject) -> Result<Option<Arc<Failure>>, StoreError> {
        let known = self.known.get(name);
        if known.is_some() && self.store.fleet().is_none() {
            return Ok(known);
        }
        let stored = self.read(name).await?.map(Arc::new);
        let failure = match known {
            None => stored,
            Some(known) => self.reconcile(name, known, stored),
        };
        if let Some(failure) = &failure {
            self.known.insert(name.clone(), Arc::clone(failure));
        }
        Ok(failure)
    }

    async fn read(&self, name: &Subject) -> Result<Option<Failure>, StoreError> {
        let understood = match self.store.read(&key(name)).await {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => serde_json::from_slice::<Failure>(&bytes).map_err(|error| error.to_string()),
            Err(StoreError::Broken { problem, .. }) => Err(problem),
            Err(error) => return Err(error),
        };
        Ok(understood
            .inspect_err(|error| {
                tracing::warn!(name: "failures.broken", %name, error, "a failure record cannot be understood; ignored");
            })
            .ok())
    }

    /// What counts when several processes write records: the younger one. A record that the store has no more was
    /// cleared by another process, unless it was never there.
    fn reconcile(&self, name: &Subject, known: Arc<Failure>, stored: Option<Arc<Failure>>) -> Option<Arc<Failure>> {
        match stored {
            Some(stored) if known.at < stored.at => Some(stored),
            Some(_) => Some(known),
            None if known.is_the_names() && !known.unsaved => {
                self.known.invalidate(name);
                None
            }
            None => Some(known),
        }
    }

    /// Adds a failure. The memory holds it even when the store does not take it.
    ///
    /// # Errors
    /// [`StoreError`] when the record will not survive a restart.
    pub(crate) async fn record(
        &self,
        name: &Subject,
        attempts: Vec<Attempt>,
        refuted: usize,
    ) -> (Arc<Failure>, Result<(), StoreError>) {
        let before = self.load(name).await.ok().flatten();
        let before = before.map(|failure| Failure::clone(&failure)).unwrap_or_default();
        let mut failure = before.after(name, attempts, refuted, self.clock.now());
        failure.unsaved = false;
        let saved = match failure.is_the_names() {
            true => self.save(name, &failure).await,
            false => Ok(()),
        };
        failure.unsaved = saved.is_err();
        let failure = Arc::new(failure);
        self.known.insert(name.clone(), Arc::clone(&failure));
        (failure, saved)
    }

    /// Forgets everything about `name`: it has a certificate.
    ///
    /// # Errors
    /// [`StoreError`] when the stored record is still there.
    pub(crate) async fn clear(&self, name: &Subject) -> Result<(), StoreError> {
        match self.load(name).await? {
            Some(_) => {
                self.known.invalidate(name);
                self.store.remove(&key(name)).await
            }
            None => Ok(()),
        }
    }

    async fn save(&self, name: &Subject, failure: &Failure) -> Result<(), StoreError> {
        // Numbers, strings and lists of them: serializing cannot fail.
        let bytes = serde_json::to_vec(failure).unwrap_or_default();
        self.store.write(&key(name), &bytes).await
    }
}

fn key(name: &Subject) -> String {
    format!("namegate/failures/{}.json", stem(name))
}

#[cfg(test)]
mod tests;
