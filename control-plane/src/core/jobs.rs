//! The built-in job engine: what is to be done when, surviving restarts.
//!
//! One row a subject and kind, so that the same thing is never under way twice. A lease moves the job's time to the end
//! of the lease: a worker that dies leaves a job that is due again, and nothing has to clean up.

use std::time::Duration;

use serde_json::json;
use sqlx::FromRow;

use super::{Core, CoreError, Moment, new_id, words::words};
use crate::db::{self, Rows, Session};

words! {
    /// What is to be done.
    JobKind {
        /// Look at the DNS of a claim.
        Check = "check",
        /// A claim's time is over.
        Deadline = "deadline",
        /// Connections of an application follow its default origin.
        Reroute = "reroute",
        /// Throw away what is too old.
        Sweep = "sweep",
        /// Write a claim's records at its DNS provider.
        Write = "write",
    }
}

/// A leased job.
#[derive(Debug, Clone, FromRow)]
pub struct Job {
    /// Its key.
    pub key: String,
    /// What is to be done.
    pub kind: JobKind,
    /// With what.
    pub subject: String,
    /// When it was due.
    pub due_at: Moment,
    /// How often it was taken without being finished.
    pub attempt: i64,
    /// Proof of the lease.
    pub lease_token: String,
}

fn key(kind: JobKind, subject: &str) -> String {
    format!("{kind}:{subject}")
}

/// Sets when something is to be done, whatever was set before. A lease on it is void.
pub(crate) async fn schedule(tx: &mut Session, kind: JobKind, subject: &str, at: Moment) -> Result<(), CoreError> {
    Ok(db::jobs::upsert(tx, &key(kind, subject), kind, subject, at).await?)
}

/// Sets that something is to be done now, by the caller: a job that is leased. Another lease on it is void.
pub(crate) async fn begin(
    tx: &mut Session,
    kind: JobKind,
    subject: &str,
    now: Moment,
    lease: Duration,
) -> Result<Job, CoreError> {
    let job = Job {
        key: key(kind, subject),
        kind,
        subject: subject.to_owned(),
        due_at: now,
        attempt: 0,
        lease_token: new_id(),
    };
    db::jobs::upsert_leased(tx, &job, now.after(lease)).await?;
    Ok(job)
}

/// It need not be done any more.
pub(crate) async fn cancel(tx: &mut Session, kind: JobKind, subject: &str) -> Result<(), CoreError> {
    Ok(db::jobs::delete(tx, &key(kind, subject)).await?)
}

impl Core {
    /// Leases at most `limit` jobs of a kind that are due.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn lease_jobs(&self, kind: JobKind, limit: i64, lease: Duration) -> Result<Vec<Job>, CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let jobs = db::jobs::lease(&mut tx, kind, now, now.after(lease), &new_id(), limit).await?;
        tx.commit().await?;
        Ok(jobs)
    }

    /// When the next job of a kind is due.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn next_job_at(&self, kind: JobKind) -> Result<Option<Moment>, CoreError> {
        Ok(db::jobs::next_due(&mut self.read().await?, kind).await?.map(Moment::from_millis))
    }

    /// Lengthens a lease. `false`: it was lost, and somebody else does the job by now.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn keep_job(&self, job: &Job, lease: Duration) -> Result<bool, CoreError> {
        let until = self.now().after(lease);
        let mut tx = self.begin().await?;
        let kept = db::jobs::keep(&mut tx, &job.key, &job.lease_token, until).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Ends jobs, each with the time when it is to be done again, if ever. A job whose lease was lost is left alone.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn finish_jobs(&self, jobs: &[(Job, Option<Moment>)]) -> Result<(), CoreError> {
        let mut tx = self.begin().await?;
        db::jobs::release(&mut tx, released(jobs.iter().filter_map(|(job, again)| Some((job, (*again)?))))).await?;
        for (job, _) in jobs.iter().filter(|(_, again)| again.is_none()) {
            db::jobs::finish(&mut tx, &job.key, &job.lease_token).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Jobs and the times when they are to be done again.
pub(crate) fn released<'a>(jobs: impl Iterator<Item = (&'a Job, Moment)>) -> Rows {
    let mut rows = Rows::default();
    jobs.for_each(|(job, at)| rows.push(json!([job.key, job.lease_token, at.as_millis()])));
    rows
}
