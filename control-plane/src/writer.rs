//! [`Writer`]: writes connections' records at their DNS providers, by the core's ledger and the engine of `dns`.
//!
//! One path for all: a new connection of an application with credentials, `records:apply`, and the job that completes
//! what a process left. A run looks for the zone, takes its turn, plans, writes the plan down ([`ledger`]), carries it out
//! and writes down how that ended. Whoever asked waits for a while; the run does not depend on them. A run that ends in the
//! middle leaves a lease that ends, and the next run completes it.
//!
//! [`ledger`]: crate::core::WriteOrder

mod limits;
mod reasons;
mod request;
mod turns;

use std::{sync::Arc, time::Duration};

use dns::{
    Answer, OwnerName, Resolvers,
    provider::{Http, Left, Pace, Plan, Problem, Provider, ProviderError, Undo, Zone, ZoneLocks, connect, operator_of},
};
use futures::{StreamExt as _, stream::FuturesOrdered};
use tokio::{sync::oneshot, time::timeout};
use tokio_util::task::TaskTracker;

use crate::{
    core::{Connection, Core, CoreError, Credential, Job, WriteEnd, WriteOrder, WriteRow, WrittenRecord},
    metrics::WriteMetrics,
};

pub use limits::WriterLimits;

use reasons::{later, of_conflicts, of_consent, of_problem};
pub use request::mark;
use request::{desired, request, written};

/// Writes at DNS providers. Clones are the same writer.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    providers: Http,
    /// The engine's own turns. Ours come before them, so nobody waits there.
    locks: ZoneLocks,
    /// Who waits for a turn in this process.
    queue: ZoneLocks,
    /// Who tells whom a zone is delegated to, where anybody does.
    resolvers: Option<Resolvers>,
    metrics: WriteMetrics,
    limits: WriterLimits,
    runs: TaskTracker,
}

/// What a run, or a look before one, has to tell.
#[derive(Debug, Default)]
pub struct Report {
    /// Which provider.
    pub provider: Option<&'static str>,
    /// Which zone.
    pub zone: Option<String>,
    /// What has to change there.
    pub plan: Option<Plan>,
    /// How it ended.
    pub outcome: Outcome,
    /// The connection as it was with that.
    pub connection: Option<Box<Connection>>,
}

/// How a run ended, for who asked.
#[derive(Debug, Default)]
pub enum Outcome {
    /// Nothing was tried.
    #[default]
    Shown,
    /// The zone holds the records.
    Written,
    /// It would remove records that are not ours, and nobody has agreed to that.
    Unconfirmed,
    /// Records stand in the way.
    Conflicts,
    /// The provider, or the way to it, had something against it.
    Failed(ProviderError),
    /// No credential's account has a zone for the name.
    NoZone,
    /// Another write of the zone goes on and on.
    Busy,
    /// A look took too long.
    Slow,
    /// It goes on; whoever asked has waited long enough.
    UnderWay,
}

/// A provider with the zone that holds the name.
#[derive(Debug)]
struct Found {
    credential_id: String,
    provider: Provider,
    zone: Zone,
}

/// Why there is none.
enum Missing {
    Problem(ProviderError),
    Zone,
}

impl Writer {
    /// A writer over the core's ledger.
    pub fn new(
        core: Core,
        providers: Http,
        resolvers: Option<Resolvers>,
        metrics: WriteMetrics,
        limits: WriterLimits,
    ) -> Self {
        let (locks, queue, runs) = (ZoneLocks::default(), ZoneLocks::default(), TaskTracker::new());
        Self(Arc::new(Inner { core, providers, locks, queue, resolvers, metrics, limits, runs }))
    }

    /// Its bounds.
    pub fn limits(&self) -> &WriterLimits {
        &self.0.limits
    }

    /// A provider for this credential.
    ///
    /// # Errors
    /// [`ProviderError`] for a text that cannot be a credential.
    pub fn provider(
        &self,
        key: &str,
        token: &dns::provider::Secret,
        zone_id: Option<&str>,
    ) -> Result<Provider, ProviderError> {
        let adapter = connect(&self.0.providers, key, token, zone_id)?;
        Ok(Provider::new(adapter, self.0.locks.clone(), Pace::default()))
    }

    /// What would be written, without writing anything.
    ///
    /// # Errors
    /// [`CoreError`]: what the database had against it.
    pub async fn preview(&self, id: &str) -> Result<Report, CoreError> {
        let missing = CoreError::NotFound { what: "connection" };
        let order = self.0.core.write_order(id).await?.ok_or(missing)?;
        self.preview_of(&order).await
    }

    /// The same for a connection that may not be kept anywhere yet.
    ///
    /// # Errors
    /// [`CoreError`]: what the database had against it.
    pub async fn preview_new(&self, connection: Connection) -> Result<Report, CoreError> {
        let credentials = self.0.core.usable_credentials(&connection.claim.application_id).await?;
        let order = WriteOrder { connection, written: Vec::new(), write: WriteRow::default(), credentials };
        self.preview_of(&order).await
    }

    async fn preview_of(&self, order: &WriteOrder) -> Result<Report, CoreError> {
        let slow = Report { outcome: Outcome::Slow, ..Report::default() };
        timeout(self.0.limits.apply_wait, self.look(order)).await.unwrap_or(Ok(slow))
    }

    async fn look(&self, order: &WriteOrder) -> Result<Report, CoreError> {
        let found = match self.find(order).await? {
            Ok(found) => found,
            Err(missing) => return Ok(missing.report()),
        };
        let report = found.report();
        Ok(match found.provider.preview(&found.zone, &request(order)).await {
            Ok(plan) => Report { outcome: outcome_of(&plan), plan: Some(plan), ..report },
            Err(error) => Report { outcome: Outcome::Failed(error), ..report },
        })
    }

    /// Runs a job in a task of its own and waits for its end, at most so long. `None`: it goes on.
    ///
    /// # Errors
    /// [`CoreError`]: what the database had against it; the job is due again when its lease ends.
    pub async fn run_and_wait(&self, job: Job, wait: Duration) -> Result<Report, CoreError> {
        let (tell, told) = oneshot::channel();
        let writer = self.clone();
        self.0.runs.spawn(async move {
            // Whoever asked may have gone.
            let _ = tell.send(writer.run(job).await);
        });
        match timeout(wait, told).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) | Err(_) => Ok(Report { outcome: Outcome::UnderWay, ..Report::default() }),
        }
    }

    /// Waits for the runs that were begun.
    pub async fn drain(&self) {
        self.0.runs.close();
        self.0.runs.wait().await;
    }

    /// Runs a leased job to its end.
    ///
    /// # Errors
    /// [`CoreError`]: what the database had against it; the job is due again when its lease ends.
    pub async fn run(&self, job: Job) -> Result<Report, CoreError> {
        let _counted = crate::metrics::Counted::on(&self.0.metrics.in_flight);
        let lost = self.keep_job(&job);
        tokio::select! {
            ended = timeout(self.0.limits.attempt, self.attempt(&job)) => match ended {
                Ok(ended) => ended,
                // Not ended in the core: its lease ends by itself, and what is half done is completed by the next run.
                Err(_) => Err(CoreError::Raced),
            },
            () = lost => Err(CoreError::Raced),
        }
    }

    async fn attempt(&self, job: &Job) -> Result<Report, CoreError> {
        let Some(order) = self.0.core.write_order(&job.subject).await? else {
            self.0.core.finish_jobs(&[(job.clone(), None)]).await?;
            return Ok(Report::default());
        };
        let found = match self.find(&order).await? {
            Ok(found) => found,
            Err(missing) => {
                let end = missing.end(&order, self.0.core.now());
                let connection = self.end(job, "none", &end, None).await?;
                return Ok(Report { connection, ..missing.report() });
            }
        };
        let Some(turn) = self.turn(&found).await? else {
            let again = self.0.core.now().after(self.0.limits.busy);
            self.0.core.finish_jobs(&[(job.clone(), Some(again))]).await?;
            return Ok(Report { outcome: Outcome::Busy, ..found.report() });
        };
        let ended = tokio::select! {
            ended = self.write(job, &order, &found) => ended,
            () = turn.lost() => Err(CoreError::Raced),
        };
        turn.give().await;
        ended
    }

    /// Plans, writes the plan down, carries it out. The turn of the zone is ours.
    async fn write(&self, job: &Job, order: &WriteOrder, found: &Found) -> Result<Report, CoreError> {
        let begun = tokio::time::Instant::now();
        let report = self.plan_and_write(job, order, found).await?;
        let seconds = &self.0.metrics.seconds;
        seconds.with_label_values(&[found.key()]).observe(begun.elapsed().as_secs_f64());
        Ok(report)
    }

    async fn plan_and_write(&self, job: &Job, order: &WriteOrder, found: &Found) -> Result<Report, CoreError> {
        let Found { provider, zone, .. } = found;
        let (plan, undo) = match provider.survey(zone, &request(order)).await {
            Ok(survey) => survey,
            Err(error) => return self.failed(job, order, found, None, error).await,
        };
        if !plan.conflicts.is_empty() {
            let end = WriteEnd::Refused { reason: of_conflicts(&plan) };
            let connection = self.end(job, found.key(), &end, None).await?;
            return Ok(Report { plan: Some(plan), outcome: Outcome::Conflicts, connection, ..found.report() });
        }
        if !is_agreed(order, &plan) {
            let end = WriteEnd::Refused { reason: of_consent(&plan) };
            let connection = self.end(job, found.key(), &end, None).await?;
            return Ok(Report { plan: Some(plan), outcome: Outcome::Unconfirmed, connection, ..found.report() });
        }
        let adds: Vec<_> = plan.changes.iter().flat_map(|change| &change.add).map(written).collect();
        self.0.core.begin_write(job, &found.row(&undo), &adds).await?;
        match provider.apply(zone, &plan).await {
            Ok(_) => {
                let there: Vec<_> = plan.request.desired.iter().map(desired).collect();
                let end = WriteEnd::Written { provider: found.key() };
                let connection = self.end(job, found.key(), &end, Some(&there)).await?;
                Ok(Report { plan: Some(plan), outcome: Outcome::Written, connection, ..found.report() })
            }
            Err(failed) => {
                let there = self.left(order, found, failed.left, &failed.error).await;
                let report = self.failed(job, order, found, there.as_deref(), failed.error).await?;
                Ok(Report { plan: Some(plan), ..report })
            }
        }
    }

    /// What of ours is in the zone after a failure; `None` when that cannot be told. What an earlier run had begun is
    /// taken back with this one when the provider's "no" is final.
    async fn left(
        &self,
        order: &WriteOrder,
        found: &Found,
        left: Left,
        error: &ProviderError,
    ) -> Option<Vec<WrittenRecord>> {
        if error.problem.passes() {
            return None;
        }
        let earlier = order.write.undo.as_deref().and_then(|text| serde_json::from_str::<Undo>(text).ok());
        let restored = match (&left, &earlier) {
            (Left::Half(_), _) => false,
            (Left::AsBefore, None) => true,
            (Left::AsBefore, Some(earlier)) => found.provider.restore(&found.zone, earlier).await.is_ok(),
        };
        // Without an earlier run the ledger of before holds again; with one, what it added is gone too.
        restored.then(|| {
            let added = |record: &&WrittenRecord| !earlier.as_ref().is_some_and(|undo| request::adds(undo, record));
            order.written.iter().filter(added).cloned().collect()
        })
    }

    async fn failed(
        &self,
        job: &Job,
        order: &WriteOrder,
        found: &Found,
        there: Option<&[WrittenRecord]>,
        error: ProviderError,
    ) -> Result<Report, CoreError> {
        let end = end_of(order, &error, self.0.core.now());
        let connection = self.end(job, found.key(), &end, there).await?;
        Ok(Report { outcome: Outcome::Failed(error), connection, ..found.report() })
    }

    async fn end(
        &self,
        job: &Job,
        provider: &str,
        end: &WriteEnd,
        there: Option<&[WrittenRecord]>,
    ) -> Result<Option<Box<Connection>>, CoreError> {
        self.0.metrics.writes.with_label_values(&[provider, end.as_str()]).inc();
        Ok(Some(Box::new(self.0.core.end_write(job, end, there).await?)))
    }

    /// The first of the order's credentials whose account has a zone for the name. All are asked at once: one account
    /// that takes its time is another customer's.
    async fn find(&self, order: &WriteOrder) -> Result<Result<Found, Missing>, CoreError> {
        let opened = order
            .credentials
            .iter()
            .map(|credential| self.0.core.open_credential(credential).map(|token| (credential, token)));
        let opened = opened.collect::<Result<Vec<_>, _>>()?;
        let mut asked: FuturesOrdered<_> =
            opened.iter().map(|(credential, token)| self.zone_of(credential, token, order)).collect();
        let mut failed = Vec::new();
        for (credential, _) in &opened {
            match asked.next().await {
                Some(Ok(found)) => return Ok(Ok(found)),
                Some(Err(error)) if error.problem != Problem::ZoneNotFound => {
                    failed.push((&credential.provider, error))
                }
                Some(Err(_)) | None => {}
            }
        }
        Ok(Err(self.of_this_name(order, failed).await.map_or(Missing::Zone, Missing::Problem)))
    }

    /// The first failure that may be this customer's. A revoked credential of another one, at a provider that does not run
    /// this zone, says nothing of this name; where nobody knows who runs it, any of them may.
    async fn of_this_name(&self, order: &WriteOrder, failed: Vec<(&String, ProviderError)>) -> Option<ProviderError> {
        let mut operator = None;
        if !failed.is_empty()
            && let Some(resolvers) = &self.0.resolvers
            && let Answer::Present((_, servers)) =
                resolvers.ns(&OwnerName::from(&order.connection.claim.hostname)).await
        {
            operator = operator_of(&servers);
        }
        let may_be = |key: &String| operator.is_none_or(|operator| operator.key == *key);
        failed.into_iter().find(|(key, _)| may_be(key)).map(|(_, error)| error)
    }

    async fn zone_of(
        &self,
        credential: &Credential,
        token: &dns::provider::Secret,
        order: &WriteOrder,
    ) -> Result<Found, ProviderError> {
        let provider = self.provider(&credential.provider, token, credential.zone_id.as_deref())?;
        let zone = provider.find_zone(&OwnerName::from(&order.connection.claim.hostname)).await?;
        Ok(Found { credential_id: credential.id.clone(), provider, zone })
    }
}

impl Found {
    fn key(&self) -> &'static str {
        self.provider.facts().key
    }

    fn report(&self) -> Report {
        Report { provider: Some(self.key()), zone: Some(self.zone.name.clone()), ..Report::default() }
    }

    fn row(&self, undo: &Undo) -> WriteRow {
        WriteRow {
            confirm: None,
            credential_id: Some(self.credential_id.clone()),
            provider: Some(self.key().to_owned()),
            zone: Some(self.zone.name.clone()),
            undo: serde_json::to_string(undo).ok(),
        }
    }
}

impl Missing {
    fn report(self) -> Report {
        let outcome = match self {
            Self::Problem(error) => Outcome::Failed(error),
            Self::Zone => Outcome::NoZone,
        };
        Report { outcome, ..Report::default() }
    }

    fn end(&self, order: &WriteOrder, now: crate::core::Moment) -> WriteEnd {
        match self {
            Self::Problem(error) => end_of(order, error, now),
            Self::Zone => WriteEnd::NotOurs,
        }
    }
}

fn end_of(order: &WriteOrder, error: &ProviderError, now: crate::core::Moment) -> WriteEnd {
    match error.problem.passes() {
        true => later(&order.connection.claim, error, now),
        false => WriteEnd::Refused { reason: of_problem(error) },
    }
}

fn outcome_of(plan: &Plan) -> Outcome {
    if plan.conflicts.is_empty() { Outcome::Shown } else { Outcome::Conflicts }
}

/// Whether nothing of others goes that nobody has agreed to: by the mark of the plan, or by an earlier run, which was
/// agreed to and has removed a part of it.
fn is_agreed(order: &WriteOrder, plan: &Plan) -> bool {
    let wanted = mark(plan);
    let earlier = order.write.undo.as_deref().and_then(|text| serde_json::from_str::<Undo>(text).ok());
    let goes_on = || earlier.is_some_and(|undo| plan.displaced().all(|record| undo.removes(record)));
    wanted.is_none() || wanted == order.write.confirm || goes_on()
}
