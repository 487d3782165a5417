//! One order, through all issuers, to a stored certificate.

use std::{sync::Arc, time::Duration};

use clock::{SharedClock, Timestamp};
use names::{Subject, Tenant};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{ObtainError, Obtained, Shared, Tenancy, Unsaved, memory::UNSAVED, moves::InFlight, parse, validity};
use crate::{
    Attempt, Bundle, ChallengeKind, Failure, Fault, IssueError, Issued, Issuer, IssuerKey, Leaf, Lease, Progress, Step,
    StoreError,
    budget::{Admission, Budget, Limit, Wanted},
    fleet::{Held, order_lease},
    life::{Event, Lane},
};

/// An issuer that failed this often in a row is not asked for a while: the next one, or the visitor's error, comes at
/// once instead of after another timeout.
const OUTAGE_AFTER: u32 = 3;
/// How long it is not asked at first; doubling up to …
const OUTAGE_FIRST: Duration = Duration::from_secs(5);
/// … this.
const OUTAGE_LONGEST: Duration = Duration::from_secs(5 * 60);

/// An issuer with everything that limits our use of it.
pub(super) struct Line {
    pub(super) issuer: Arc<dyn Issuer>,
    pub(super) budget: Budget,
    outage: Mutex<Outage>,
    clock: SharedClock,
}

/// How often an issuer could not be reached in a row.
#[derive(Debug, Default, Clone, Copy)]
struct Outage {
    failures: u32,
    until: Timestamp,
}

impl Outage {
    /// The wait until the issuer may be asked, or `None`: then the caller is the one who asks, and others wait for what
    /// it finds.
    fn closed(&mut self, now: Timestamp) -> Option<Duration> {
        if self.failures < OUTAGE_AFTER {
            return None;
        }
        match self.until.checked_since(now).filter(|wait| !wait.is_zero()) {
            Some(wait) => Some(wait),
            None => {
                self.until = now + self.wait();
                None
            }
        }
    }

    fn wait(self) -> Duration {
        let doublings = self.failures.saturating_sub(OUTAGE_AFTER).min(16);
        OUTAGE_FIRST.saturating_mul(1 << doublings).min(OUTAGE_LONGEST)
    }

    fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.until = now + self.wait();
    }
}

impl Line {
    pub(super) fn new(issuer: Arc<dyn Issuer>, clock: SharedClock) -> Self {
        let budget = Budget::new(issuer.order_limits(), Arc::clone(&clock));
        Self { issuer, budget, outage: Mutex::default(), clock }
    }

    /// Waits for what limits us; the error says why nothing is ordered. A name that is not ready takes no token.
    async fn admit(&self, wanted: Wanted<'_>) -> Result<Admission<'_>, Attempt> {
        let not_asked = |reason: &str, detail: &str, wait| Attempt {
            issuer: self.issuer.key().as_str().to_owned(),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            problem: None,
            fault: Fault::Ca,
            retry_after: Some(wait),
        };
        if let Some(wait) = self.outage.lock().closed(self.clock.now()) {
            return Err(not_asked("unreachable", "not asked, as it could not be reached lately", wait));
        }
        if let Err(error) = self.issuer.is_ready(wanted.name).await {
            self.learn(Err(&error));
            return Err(Attempt::new(self.issuer.key(), &error));
        }
        self.budget.admit(wanted).await.map_err(|full| {
            let detail = self.budget.describe(full.limit, wanted.name);
            not_asked(reason(full.limit), &detail, full.until.since(self.clock.now()))
        })
    }

    /// Learns from an outcome whether the issuer can be reached.
    fn learn(&self, outcome: Result<(), &IssueError>) {
        match outcome {
            Err(IssueError::Unreachable { .. } | IssueError::TimedOut { .. }) => {
                self.outage.lock().failed(self.clock.now());
            }
            // Records are written after the CA has taken the order.
            Ok(())
            | Err(
                IssueError::Dns(_) | IssueError::Refused { .. } | IssueError::Unusable { .. } | IssueError::Store(_),
            ) => {
                *self.outage.lock() = Outage::default();
            }
            // Found without the CA.
            Err(IssueError::Obstacle(_)) => {}
        }
    }
}

/// What is observed of one order while it runs.
struct Watch<'a> {
    shared: &'a Shared,
    seen: Mutex<Seen>,
}

struct Seen {
    last: Instant,
    challenge: Option<ChallengeKind>,
    refuted: usize,
}

impl<'a> Watch<'a> {
    fn start(shared: &'a Shared) -> Self {
        Self { shared, seen: Mutex::new(Seen { last: Instant::now(), challenge: None, refuted: 0 }) }
    }

    fn see(&self, progress: Progress) {
        let mut seen = self.seen.lock();
        let stage = match progress {
            Progress::Ordered => "order",
            Progress::Offered(kind) => {
                seen.challenge = Some(kind);
                return;
            }
            Progress::Refuted(kind) => {
                seen.refuted += 1;
                seen.challenge = None;
                self.shared.metrics.refuted(kind);
                return;
            }
            Progress::Authorized => "challenge",
            Progress::Finalized => "finalize",
            Progress::Downloaded => "download",
        };
        let now = Instant::now();
        self.shared.metrics.stage(stage, now - seen.last);
        seen.last = now;
    }
}

impl Shared {
    /// Asks one issuer after the other. What they said is kept when none has a certificate for us. In a fleet this is
    /// done under a lease. An order for a tenant whom the name does not belong to any more is given up, wherever it is.
    pub(super) async fn order(
        self: &Arc<Self>,
        name: &Subject,
        tenant: Option<&Tenant>,
        lane: Lane,
        replaces: Option<&Bundle>,
        lease: Option<&Lease>,
    ) -> Obtained {
        let Some(flight) = self.moves.board(name, tenant) else { return Err(ObtainError::Moved) };
        if self.memory.unsaved_count() >= UNSAVED {
            return Err(ObtainError::Busy);
        }
        tracing::info!(%name, ?lane, "cert.issuing");
        let before = self.failures.load(name).await.map_err(super::errors::store_error)?;
        let attempt = before.as_deref().map_or(0, Failure::in_a_row).saturating_add(1);
        let spent = before.as_deref().map_or(0, |failure| failure.authorizations_since(self.clock.now()));
        if let Some(failure) = before.filter(|_| !Failure::allows(spent)) {
            return Err(ObtainError::BackingOff { until: failure.next_order(), failure });
        }
        let (mut attempts, mut refuted) = (Vec::new(), 0);
        for line in &self.lines {
            if !Failure::allows(spent + refuted) {
                break;
            }
            let admission = match line.admit(Wanted { name, tenant, lane }).await {
                Ok(admission) => admission,
                Err(attempt) => {
                    attempts.push(attempt);
                    continue;
                }
            };
            let watch = Watch::start(self);
            match unless_moved(&flight, self.ask(line, name, tenant, replaces, &watch)).await {
                Some(Ok(fresh)) => {
                    let fresh = fresh.counted_at(admission.issued());
                    return self.keep(line, name, fresh, lease, (lane, attempt)).await;
                }
                Some(Err(error)) => attempts.push(Attempt::new(line.issuer.key(), &error)),
                None => {
                    tracing::info!(%name, "the name is another tenant's now; its order is given up");
                    return Err(ObtainError::Moved);
                }
            }
            refuted += watch.seen.lock().refuted;
        }
        self.give_up(name, attempts, refuted, replaces.is_some()).await
    }

    /// One order at one issuer, whose outcome is parsed and held against our own clock.
    async fn ask(
        &self,
        line: &Line,
        name: &Subject,
        tenant: Option<&Tenant>,
        replaces: Option<&Bundle>,
        watch: &Watch<'_>,
    ) -> Result<Fresh, IssueError> {
        let start = Instant::now();
        let issued = line.issuer.issue(name, tenant, replaces, &|progress| watch.see(progress)).await;
        line.learn(issued.as_ref().map(|_| ()));
        // Where nobody is known, an order that was resumed says whom it was placed for.
        let issued = issued.map(|issued| match tenant {
            Some(_) => Issued { bundle: issued.bundle.of(tenant), ..issued },
            None => issued,
        });
        let result = issued.and_then(|issued| usable(issued, name, self.clock.now()));
        self.metrics.stage("total", start.elapsed());
        let word = if result.is_ok() { "issued" } else { "failed" };
        self.metrics.order(line.issuer.kind(), watch.seen.lock().challenge, word);
        result
    }

    async fn give_up(&self, name: &Subject, attempts: Vec<Attempt>, refuted: usize, renewal: bool) -> Obtained {
        let (failure, saved) = self.failures.record(name, attempts, refuted).await;
        for attempt in &failure.last {
            self.metrics.failure(&attempt.reason);
            tracing::warn!(
                %name,
                issuer = attempt.issuer,
                reason = attempt.reason,
                detail = attempt.detail,
                attempts = failure.attempts,
                next = %failure.next_order(),
                "cert.failed"
            );
        }
        if let Err(error) = saved {
            tracing::error!(%name, error = %telemetry::chain(&error), "a failure is remembered in memory only");
        }
        self.tell(name, &Step::Failed { failure: &failure, renewal });
        Err(ObtainError::Failed { failure })
    }

    /// Stores a new certificate, then serves it. A store that does not take it keeps nobody from being served; a lease
    /// that was lost does: what is served is what the store has. One that the name's move has overtaken is neither served
    /// nor left in the store.
    async fn keep(
        self: &Arc<Self>,
        line: &Arc<Line>,
        name: &Subject,
        fresh: Fresh,
        lease: Option<&Lease>,
        (lane, attempt): (Lane, u32),
    ) -> Obtained {
        let start = Instant::now();
        let Fresh { leaf, bundle, renew_at } = fresh;
        if self.moves.expels(name, &leaf) {
            return Err(ObtainError::Moved);
        }
        match self.save_under(lease, name, &bundle).await {
            Ok(false) => {
                tracing::warn!(%name, "another edge ordered meanwhile; its certificate counts");
                self.metrics.lease("late");
                return Err(ObtainError::Elsewhere);
            }
            Ok(true) => {
                self.memory.forget_unsaved(name);
                self.settle_behind(line, name);
            }
            Err(error) => {
                tracing::error!(%name, error = %telemetry::chain(&error), "the store did not take a certificate; it is served from memory");
                let unsaved = Unsaved { leaf: Arc::clone(&leaf), bundle: Arc::new(bundle) };
                self.memory.set_unsaved(name, unsaved);
            }
        }
        self.metrics.stage("store", start.elapsed());
        if !self.serve(name, &leaf, renew_at) {
            self.memory.forget_unsaved(name);
            // What was told removed before this was saved is looked for again.
            self.moves.renew(name, self.clock.now());
            self.changed.notify_one();
            return Err(ObtainError::Moved);
        }
        if self.permit.tenancy(name) == Tenancy::Gone {
            self.releases.release(name, leaf.tenant(), self.clock.now());
        }
        let (renewal, event) = match lane {
            Lane::New => (false, "cert.issued"),
            Lane::Renewal | Lane::Retry => (true, "cert.renewed"),
        };
        let (issuer, serial, not_after) = (leaf.issuer(), leaf.serial(), leaf.not_after());
        tracing::info!(%name, %issuer, serial, %not_after, "{event}");
        self.tell(name, &Step::Issued { leaf: &leaf, renewal, attempt });
        Ok(leaf)
    }

    /// Saves under the lease, if there is one; `false` when it was lost.
    async fn save_under(&self, lease: Option<&Lease>, name: &Subject, bundle: &Bundle) -> Result<bool, StoreError> {
        match (lease, self.store.fleet()) {
            (Some(lease), Some(fleet)) => fleet.save_under(lease, name, bundle).await,
            (_, None) | (None, _) => self.store.save(name, bundle).await.map(|()| true),
        }
    }

    /// Puts a new certificate in the place of the one served so far, unless it is a former tenant's.
    pub(super) fn serve(&self, name: &Subject, leaf: &Arc<Leaf>, renew_at: Option<Timestamp>) -> bool {
        let now = self.clock.now();
        if !self.moves.admit(name, leaf, || self.memory.insert(name, Arc::clone(leaf))) {
            return false;
        }
        let renew_at = renew_at.unwrap_or_else(|| validity(leaf).renew_at(name, None));
        let mut plan = self.plan.lock();
        plan.apply(name, Event::Found { not_after: leaf.not_after(), renew_at }, now);
        plan.ask_at(name, super::renewal::first_hint(name, now, Duration::ZERO));
        drop(plan);
        self.changed.notify_one();
        true
    }

    /// Settles while the certificate is served already: nobody waits for it, and a crash before it costs nothing.
    fn settle_behind(self: &Arc<Self>, line: &Arc<Line>, name: &Subject) {
        let (shared, line, name) = (Arc::clone(self), Arc::clone(line), name.clone());
        self.tasks.spawn(async move { shared.settle(&line, &name).await });
    }

    /// The certificate is safe: neither the order nor earlier failures need to be remembered.
    async fn settle(&self, line: &Line, name: &Subject) {
        if let Err(error) = line.issuer.settled(name).await {
            tracing::warn!(%name, error = %telemetry::chain(&error), "the journal still holds a finished order");
        }
        if let Err(error) = self.failures.clear(name).await {
            tracing::warn!(%name, error = %telemetry::chain(&error), "the record of past failures is still there");
        }
    }

    /// Tries again to store what the store did not take.
    pub(super) async fn save_again(&self) {
        for (name, unsaved) in self.memory.unsaved() {
            // A newer one is on its way; this one must not overtake it.
            if self.orders.is_open(&name) {
                continue;
            }
            match self.save_late(&name, &unsaved).await {
                Ok(true) if self.moves.expels(&name, &unsaved.leaf) => {
                    self.moves.renew(&name, self.clock.now());
                    self.changed.notify_one();
                }
                Ok(true) => {
                    self.memory.set_saved(&name, &unsaved.leaf);
                    if let Some(line) = self.line(&unsaved.bundle.issuer) {
                        self.settle(line, &name).await;
                    }
                    tracing::info!(%name, "the store has taken the certificate now");
                }
                Ok(false) => {}
                // The next one would fail the same way.
                Err(_) => return,
            }
        }
    }

    /// Saves what the store did not take at once. In a fleet another edge may have ordered since: then its certificate
    /// counts, or, while it orders, nothing is saved.
    async fn save_late(&self, name: &Subject, unsaved: &Unsaved) -> Result<bool, StoreError> {
        if self.store.fleet().is_none() {
            return self.store.save(name, &unsaved.bundle).await.map(|()| true);
        }
        let Some(held) = Held::take(&self.store, &order_lease(name), self.settings.lease).await? else {
            return Ok(false);
        };
        let stored = self.store.load(name).await?.and_then(|stored| parse(&stored).ok());
        if let Some(theirs) = stored.filter(|stored| unsaved.leaf.not_before() <= stored.not_before()) {
            self.memory.set_saved(name, &unsaved.leaf);
            self.serve(name, &theirs, None);
            return Ok(false);
        }
        self.save_under(Some(held.lease()), name, &unsaved.bundle).await
    }

    /// The issuer of a certificate, if it is one of ours.
    pub(super) fn line(&self, issuer: &IssuerKey) -> Option<&Arc<Line>> {
        self.lines.iter().find(|line| line.issuer.key() == issuer)
    }
}

/// The outcome of an order, unless the name moves meanwhile: then what it has begun is left to be removed.
async fn unless_moved<T>(flight: &InFlight<'_>, order: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = flight.moved() => None,
        outcome = order => Some(outcome),
    }
}

/// A certificate that can be served, and is not stored yet.
struct Fresh {
    leaf: Arc<Leaf>,
    bundle: Bundle,
    /// When its issuer asked for its renewal.
    renew_at: Option<Timestamp>,
}

impl Fresh {
    fn counted_at(self, at: Option<Timestamp>) -> Self {
        Self { bundle: self.bundle.counted_at(at), ..self }
    }
}

/// The stable word for a limit that is reached.
fn reason(limit: Limit) -> &'static str {
    match limit {
        Limit::Account => "waiting",
        Limit::Tenant => "waiting_tenant",
        Limit::Domain => "waiting_domain",
        Limit::Name => "waiting_name",
    }
}

/// What was issued, if it can be served here and now. One that is not valid by our clock would be ordered again at the
/// next visit, and again.
fn usable(issued: Issued, name: &Subject, now: Timestamp) -> Result<Fresh, IssueError> {
    let bad = |problem: String| IssueError::Unusable { problem };
    let leaf = Leaf::parse(&issued.bundle).map_err(|error| bad(telemetry::chain(&error).to_string()))?;
    if !leaf.serves(name) {
        return Err(bad(format!("it does not cover {name}")));
    }
    match leaf.is_valid_at(now) {
        true => Ok(Fresh { leaf: Arc::new(leaf), bundle: issued.bundle, renew_at: issued.renew_at }),
        false => {
            let (from, to) = (leaf.not_before(), leaf.not_after());
            Err(bad(format!("it is valid from {from} to {to}, and our clock says {now}")))
        }
    }
}
