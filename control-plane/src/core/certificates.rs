//! The mirror of the edges' certificates, and what their reports mean for claims.

use control_api::{CertificateReport, ReportKind};
use serde_json::{Value, json};
use sqlx::FromRow;

use super::{
    CertificateState, Claim, Core, CoreError, Document, EventKind, Moment, Reason, ReasonCode, UsageKind,
    change::Change,
    checking::settle,
    jobs::{self, JobKind},
};
use crate::db::{self, Session, attempts::Attempt};

/// What is known of a name's certificate.
#[derive(Debug, Clone, FromRow)]
pub struct Certificate {
    /// `valid`, `failed`, `issuing`, `expired`.
    pub status: CertificateState,
    /// Start of its life.
    pub not_before: Option<Moment>,
    /// End of its life.
    pub not_after: Option<Moment>,
    /// Who signed it.
    pub ca: Option<String>,
    /// Serial number in hexadecimal.
    pub serial: Option<String>,
    /// The authority's last problem document.
    pub problem: Option<Document<Value>>,
    /// When the edge tries again.
    pub next_attempt_at: Option<Moment>,
    /// When it was last told of.
    pub updated_at: Moment,
}

impl Core {
    /// Takes a batch of reports, in order. After an error the whole batch may be sent again: a report that was taken
    /// already, or is about a name that nobody has, changes nothing.
    ///
    /// # Errors
    /// [`CoreError::Db`], [`CoreError::Raced`].
    pub async fn take_reports(&self, reports: &[CertificateReport]) -> Result<(), CoreError> {
        // One transaction a report: a batch of 100 names must not hold 100 locks.
        for report in reports {
            let mut tx = self.begin().await?;
            self.take_report(&mut tx, report).await?;
            self.commit(tx).await?;
        }
        Ok(())
    }

    async fn take_report(&self, tx: &mut Session, report: &CertificateReport) -> Result<(), CoreError> {
        let now = self.now();
        db::hostnames::lock(tx, &report.hostname).await?;
        // A report that comes while the name is closed is not noted as seen: it counts when it comes again.
        let Some(before) = db::claims::holder_of_hostname(tx, &report.hostname).await? else { return Ok(()) };
        if !db::certificates::first_sight(tx, &report.id, now).await? {
            return Ok(());
        }
        let known = db::certificates::of_claim(tx, &before.hostname, &before.id).await?;
        let Some(certificate) = told(report, known.as_ref(), now) else { return Ok(()) };
        db::certificates::put(tx, &before.hostname, &before.id, &certificate).await?;
        self.log_report(tx, &before, report).await?;
        let mut after = before.clone();
        after.certificate = certificate.status;
        after.next_attempt_at = certificate.next_attempt_at;
        after.reason = explain(&before, report);
        if certificate.status == CertificateState::Valid {
            // Only an ended certificate sets it while a claim stands.
            after.error_code = None;
        }
        let mut events = events_of(&before, report);
        settle(&before, &mut after, &mut events, now, &self.settings);
        if report.kind == ReportKind::Issued || report.kind == ReportKind::Renewed {
            self.reserve(tx, &before.account_id, UsageKind::Cert).await?;
        }
        if before.live_at.is_none() && after.live_at.is_some() {
            self.reserve(tx, &before.account_id, UsageKind::ActiveDomain).await?;
        }
        if after.live_at.is_none() && after.certificate == CertificateState::Valid {
            // The authority has just seen it point here: look now instead of in a minute.
            jobs::schedule(tx, JobKind::Check, &before.id, now).await?;
        }
        self.save(tx, Change { before: Some(&before), after, events }, now).await.map(drop)
    }

    async fn log_report(&self, tx: &mut Session, claim: &Claim, report: &CertificateReport) -> Result<(), CoreError> {
        let failed = report.kind == ReportKind::Failed;
        let attempt = Attempt {
            n: 0,
            at: Moment::from_millis(i64::try_from(report.at_ms).unwrap_or(i64::MAX)),
            kind: "certificate".to_owned(),
            outcome: if failed { "failed" } else { "ok" }.to_owned(),
            reason_code: failed.then(|| ReasonCode::CertificateFailed.to_string()),
            detail: serde_json::to_value(report).ok().map(Document),
        };
        Ok(db::attempts::insert(tx, &claim.id, &attempt, self.settings.attempts_keep).await?)
    }
}

/// What is known after a report; `None` when it says nothing that we know of.
fn told(report: &CertificateReport, known: Option<&Certificate>, now: Moment) -> Option<Certificate> {
    let moment = |ms: Option<u64>| ms.and_then(|ms| i64::try_from(ms).ok()).map(Moment::from_millis);
    let next_attempt_at = moment(report.next_attempt_ms);
    match report.kind {
        ReportKind::Issued | ReportKind::Renewed => Some(Certificate {
            status: CertificateState::Valid,
            not_before: moment(report.not_before_ms),
            not_after: moment(report.not_after_ms),
            ca: Some(report.issuer.clone()),
            serial: report.serial.clone(),
            problem: None,
            next_attempt_at,
            updated_at: now,
        }),
        ReportKind::Failed => {
            let problem = report.problem.as_ref().and_then(|problem| serde_json::to_value(problem).ok()).map(Document);
            // A failed renewal leaves the certificate that there is.
            let valid = known.filter(|known| known.not_after.is_some_and(|end| end > now)).cloned();
            let base = valid.unwrap_or_else(|| Certificate {
                status: CertificateState::Failed,
                not_before: None,
                not_after: None,
                ca: Some(report.issuer.clone()),
                serial: None,
                problem: None,
                next_attempt_at: None,
                updated_at: now,
            });
            Some(Certificate { problem, next_attempt_at, updated_at: now, ..base })
        }
        ReportKind::Unknown => None,
    }
}

fn explain(claim: &Claim, report: &CertificateReport) -> Option<Document<Reason>> {
    if report.kind != ReportKind::Failed {
        let keeps = |reason: &Document<Reason>| {
            !reason.0.is(ReasonCode::CertificateFailed) && !reason.0.is(ReasonCode::CertificateExpired)
        };
        return claim.reason.clone().filter(keeps);
    }
    let detail = report.problem.as_ref().map(|problem| format!("{}: {}", problem.kind, problem.detail));
    let reason = Reason { detail, ..Reason::new(ReasonCode::CertificateFailed) };
    Some(Document(reason))
}

/// The first certificate is told of with the claim's going live, by [`settle`].
fn events_of(claim: &Claim, report: &CertificateReport) -> Vec<(EventKind, Value)> {
    let hostname = claim.hostname.as_str();
    match report.kind {
        ReportKind::Renewed => vec![(
            EventKind::CertificateRenewed,
            json!({"hostname": hostname, "not_after_ms": report.not_after_ms, "ca": report.issuer}),
        )],
        ReportKind::Failed => vec![(
            EventKind::CertificateFailed,
            json!({"hostname": hostname, "problem": report.problem, "next_attempt_ms": report.next_attempt_ms}),
        )],
        ReportKind::Issued | ReportKind::Unknown => Vec::new(),
    }
}
