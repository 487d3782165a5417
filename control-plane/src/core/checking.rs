//! What a look at the DNS means for a claim.
//!
//! [`judge`] is pure: claim, sight, time in; claim and events out. [`Core::apply_check`] writes it down. The worker and
//! the verbs of an API come through here alike, so whoever is first makes the change and the other finds it made.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CertificateState, Claim, Connection, Core, CoreError, CoreSettings, Deadline, DnsWrite, Document, EventKind, Fix,
    Inquiry, Job, Lifecycle, Moment, Ownership, Preflight, PreflightSight, Proof, ProofKind, Reason, ReasonCode,
    Routing, UsageKind,
    change::Change,
    connections::about,
    jobs::released,
    preflight::{judge_preflight, through},
    takeover::{Admission, Holder, Released, admit},
    writing::explain_unseen,
};
use crate::db::{self, Rows, Session, attempts::Attempt};

/// What was seen at the challenge's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeSight {
    /// No name server has it; some may have other values.
    Absent(Vec<String>),
    /// Some name servers have it.
    Partly(Vec<String>),
    /// It is there.
    Present,
    /// Nobody could be asked, or no server gave an answer.
    Unreachable(String),
}

/// What was seen of one desired record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSight {
    /// Its place in the list.
    pub position: i64,
    /// Whether it is as it should be.
    pub propagated: bool,
    /// What is there.
    pub observed: Option<String>,
}

/// Where the name points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingSight {
    /// The facet that this sight speaks for; `None` when nothing could be concluded.
    pub verdict: Option<Routing>,
    /// Record by record.
    pub records: Vec<RecordSight>,
    /// What is in the way, worst first.
    pub reason: Option<Reason>,
}

/// One look. What was not looked at is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The challenge.
    pub challenge: Option<ChallengeSight>,
    /// The records.
    pub routing: Option<RoutingSight>,
    /// Whether an order could succeed.
    pub preflight: Option<PreflightSight>,
    /// The claim that holds the name now and whose own challenge is not there any more.
    pub lapsed_holder: Option<String>,
}

/// Who looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looker {
    /// A person or program, through an API: is told of a conflict.
    Verb,
    /// The worker: writes a conflict down.
    Worker,
}

/// A look that changed nothing.
#[derive(Debug, Clone)]
pub struct Unchanged {
    /// The job that it was.
    pub job: Job,
    /// The version of the claim that was looked at.
    pub version: i64,
    /// The time of the next look.
    pub next: Moment,
}

/// What came of a look.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) claim: Claim,
    pub(crate) events: Vec<(EventKind, Value)>,
}

/// Judges a look.
pub(crate) fn judge(before: &Claim, challenge: Option<&Fix>, seen: &Checked, now: Moment, s: &CoreSettings) -> Verdict {
    let mut claim = before.clone();
    let mut events = Vec::new();
    claim.last_checked_at = Some(now);
    claim.check_count += 1;
    judge_ownership(&mut claim, challenge, seen, now, s);
    if let Some(sight) = &seen.preflight {
        judge_preflight(&mut claim, sight, now, s);
    }
    if let Some(sight) = &seen.routing {
        let sight = through(&claim, sight, seen.preflight.as_ref());
        judge_routing(&mut claim, &sight, now, s);
    }
    if before.ownership != Ownership::Proven && claim.ownership == Ownership::Proven {
        events.push((EventKind::OwnershipProven, about(&claim)));
    }
    settle(before, &mut claim, &mut events, now, s);
    claim.next_check_at = Some(now.after(next_look(&claim, now, s)));
    Verdict { claim, events }
}

/// The surface's policy says what is proof: the challenge, or that the name points here.
fn judge_ownership(claim: &mut Claim, fix: Option<&Fix>, seen: &Checked, now: Moment, s: &CoreSettings) {
    if claim.ownership == Ownership::Proven {
        return;
    }
    let policy = s.policy(claim.surface);
    let points = seen.routing.as_ref().is_some_and(|sight| sight.verdict == Some(Routing::Pointing));
    match (policy.proof_by_pointing(), &seen.challenge) {
        (_, Some(ChallengeSight::Present)) if policy.accepts(ProofKind::Txt) => {
            // Seen where the name is delegated to, whoever published it; by whom decides who may take it over.
            let by_us = claim.dns_write == DnsWrite::Done;
            prove(claim, if by_us { ProofKind::Credential } else { ProofKind::Txt }, now, s);
        }
        (Some(proof), _) if points => prove(claim, proof, now, s),
        (_, Some(sight)) if policy.accepts(ProofKind::Txt) => explain_challenge(claim, fix, sight, now),
        _ => {}
    }
}

fn prove(claim: &mut Claim, proof: ProofKind, now: Moment, s: &CoreSettings) {
    claim.ownership = Ownership::Proven;
    claim.proof = Some(proof);
    claim.verified_at = Some(now);
    let wait = s.policy(claim.surface).deadline;
    (claim.deadline, claim.deadline_at) = (Deadline::Running, Some(now.after(wait)));
    claim.reason = None;
}

fn explain_challenge(claim: &mut Claim, fix: Option<&Fix>, sight: &ChallengeSight, now: Moment) {
    let reason = |code, seen: &[String]| {
        let fix = fix.cloned().map(|fix| Fix { seen: seen.to_vec(), ..fix });
        Some(Document(Reason { fix, ..Reason::new(code) }))
    };
    match sight {
        ChallengeSight::Present => {}
        ChallengeSight::Partly(seen) => {
            claim.ownership = Ownership::Seen;
            claim.reason = reason(ReasonCode::ChallengePartlyVisible, seen);
        }
        ChallengeSight::Absent(seen) => {
            claim.ownership = Ownership::Unproven;
            if let Some(unseen) = explain_unseen(claim, seen, now) {
                claim.reason = Some(Document(unseen));
                return;
            }
            let code = if seen.is_empty() { ReasonCode::ChallengeMissing } else { ReasonCode::ChallengeWrong };
            claim.reason = reason(code, seen);
        }
        ChallengeSight::Unreachable(detail) => {
            claim.reason = Some(Document(Reason::new(ReasonCode::DnsUnreachable).with_detail(detail.as_str())));
        }
    }
}

fn judge_routing(claim: &mut Claim, sight: &RoutingSight, now: Moment, s: &CoreSettings) {
    match sight.verdict {
        // Silence never demotes, and never counts towards a demotion.
        None => {}
        Some(Routing::Pointing) => {
            claim.routing = Routing::Pointing;
            claim.pointing_at = claim.pointing_at.or(Some(now));
            (claim.absent_streak, claim.drift_since) = (0, None);
        }
        Some(elsewhere) if claim.routing == Routing::Pointing => {
            claim.absent_streak += 1;
            let since = *claim.drift_since.get_or_insert(now);
            if claim.absent_streak >= s.drift_checks && now.since(since) >= s.drift_span {
                claim.routing = elsewhere;
                (claim.deadline, claim.deadline_at) = (Deadline::Running, Some(now.after(s.drift_grace)));
            }
        }
        Some(elsewhere) => claim.routing = elsewhere,
    }
    if claim.ownership == Ownership::Proven {
        let kept = claim.reason.take().filter(|reason| still_holds(claim, &reason.0));
        claim.reason = sight.reason.clone().map(Document).or(kept);
    }
}

/// Whether a reason from before is still one, when the records themselves give none.
fn still_holds(claim: &Claim, reason: &Reason) -> bool {
    let is_right = claim.is_pointing() && claim.absent_streak == 0;
    let is_refused = claim.certificate == CertificateState::Failed && reason.is(ReasonCode::CertificateFailed);
    !is_right || is_refused || claim.preflight == Preflight::Blocked
}

/// What follows from the facets taken together. Certificates come through here as well.
pub(crate) fn settle(
    before: &Claim,
    claim: &mut Claim,
    events: &mut Vec<(EventKind, Value)>,
    now: Moment,
    s: &CoreSettings,
) {
    if claim.is_open() && claim.is_pointing() {
        (claim.deadline, claim.deadline_at) = (Deadline::None, None);
        if claim.certificate == CertificateState::None && s.certificates_reported {
            claim.certificate = CertificateState::Issuing;
        }
        explain_certificate(claim);
    }
    let has_certificate = claim.certificate == CertificateState::Valid || !s.certificates_reported;
    if claim.is_open() && claim.is_pointing() && has_certificate && claim.live_at.is_none() {
        claim.live_at = Some(now);
        events.push((EventKind::CertificateIssued, about(claim)));
        events.push((EventKind::ClaimLive, about(claim)));
    }
    if before.live_at.is_some() && before.is_live() != claim.is_live() && claim.is_open() {
        let kind = if claim.is_live() { EventKind::ClaimRecovered } else { EventKind::ClaimDrifted };
        events.push((kind, about(claim)));
    }
}

fn explain_certificate(claim: &mut Claim) {
    let is_of_certificate = |reason: &Document<Reason>| {
        use ReasonCode::{CertificateExpired, CertificateFailed, CertificatePending};
        [CertificateExpired, CertificateFailed, CertificatePending].into_iter().any(|code| reason.0.is(code))
    };
    match claim.certificate {
        CertificateState::None | CertificateState::Issuing if claim.reason.is_none() => {
            claim.reason = Some(Document(Reason::new(ReasonCode::CertificatePending)));
        }
        CertificateState::Valid if claim.reason.as_ref().is_some_and(is_of_certificate) => claim.reason = None,
        _ => {}
    }
}

/// How long until the next look, with a jitter of a tenth either way that is the claim's own, so that many claims made
/// at once do not stay together.
fn next_look(claim: &Claim, now: Moment, s: &CoreSettings) -> Duration {
    let pace = &s.pace;
    let is_settled = claim.is_pointing() && (claim.live_at.is_some() || claim.certificate == CertificateState::Valid);
    let since = claim.verified_at.unwrap_or(claim.created_at);
    let wait = if claim.deadline == Deadline::Passed {
        pace.stalled
    } else if is_settled && claim.absent_streak > 0 {
        pace.fresh
    } else if is_settled {
        pace.live
    } else if !claim.is_pointing() && claim.written_at.is_some_and(|at| now.since(at) < pace.written_for) {
        pace.written
    } else if now.since(since) < pace.fresh_for {
        pace.fresh
    } else {
        pace.patient
    };
    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one((&claim.id, claim.check_count));
    let per_mille = u32::try_from(900 + hash % 201).unwrap_or(1000);
    wait * per_mille / 1000
}

impl Core {
    /// The time of the next look when this one changes nothing else.
    pub(crate) fn foresee(&self, inquiry: &Inquiry, seen: &Checked) -> Option<Moment> {
        let (connection, now) = (&inquiry.connection, self.now());
        let verdict = judge(&connection.claim, challenge_fix(connection).as_ref(), seen, now, &self.settings);
        let next = verdict.claim.next_check_at.unwrap_or(now);
        let before = &connection.claim;
        let same = Claim {
            last_checked_at: before.last_checked_at,
            check_count: before.check_count,
            next_check_at: before.next_check_at,
            ..verdict.claim.clone()
        } == *before;
        let same = same && verdict.events.is_empty() && changed_records(connection, seen).is_empty();
        same.then_some(next)
    }

    /// Writes down a look.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when the claim is gone; [`CoreError::HostnameConflict`] for a verb whose name another
    /// account holds; [`CoreError::Raced`], [`CoreError::Db`].
    pub async fn apply_check(&self, claim_id: &str, seen: &Checked, looker: Looker) -> Result<Connection, CoreError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let missing = CoreError::NotFound { what: "connection" };
        let Some(claim) = db::claims::find(&mut tx, claim_id).await? else { return Err(missing) };
        let hostname = db::hostnames::lock(&mut tx, &claim.hostname).await?;
        let Some(before) = db::claims::find(&mut tx, claim_id).await? else { return Err(missing) };
        if before.lifecycle != Lifecycle::Active {
            return Err(CoreError::WrongState { lifecycle: before.lifecycle });
        }
        let connection = self.load(&mut tx, before).await?;
        let before = &connection.claim;
        let mut verdict = judge(before, challenge_fix(&connection).as_ref(), seen, now, &self.settings);
        if !before.is_holder() && verdict.claim.is_holder() {
            let admitted = self.admit_claim(&mut tx, &verdict.claim, &hostname, seen, now).await?;
            if !admitted {
                verdict = self.refused(before, looker, now)?;
            }
        }
        self.write_sight(&mut tx, &connection, seen, now).await?;
        self.write_attempt(&mut tx, before, &verdict.claim, now).await?;
        if before.live_at.is_none() && verdict.claim.live_at.is_some() {
            // Metered where the pair of events is made, so as often as it: once.
            self.reserve(&mut tx, &before.account_id, UsageKind::ActiveDomain).await?;
        }
        let change = Change { before: Some(before), after: verdict.claim, events: verdict.events };
        let after = self.save(&mut tx, change, now).await?;
        let connection = self.load(&mut tx, after).await?;
        self.commit(tx).await?;
        Ok(connection)
    }

    /// Whether a claim that has just shown its proof may hold the name; a holder that loses it loses it here.
    async fn admit_claim(
        &self,
        tx: &mut Session,
        claim: &Claim,
        hostname: &db::hostnames::HostnameRow,
        seen: &Checked,
        now: Moment,
    ) -> Result<bool, CoreError> {
        let holder = db::claims::holder_of_hostname(tx, &claim.hostname).await?;
        let released = hostname
            .released_at
            .map(|at| Released { by_newcomer: hostname.last_account_id.as_deref() == Some(&claim.account_id), at });
        let standing = holder.as_ref().map(|holder| Holder {
            proof: holder.proof.unwrap_or(ProofKind::SharedTarget),
            stands: seen.lapsed_holder.as_deref() != Some(&holder.id),
        });
        let proof = claim.proof.unwrap_or(ProofKind::SharedTarget);
        match (admit(proof, standing, released, now, self.settings.cool_off), holder) {
            (Admission::Open, _) => Ok(true),
            (Admission::TakeOver, Some(holder)) => self.dispossess(tx, holder, now).await.map(|()| true),
            (Admission::TakeOver | Admission::Held | Admission::CoolingOff, _) => Ok(false),
        }
    }

    /// Another account has shown better proof: the holder's claim fails, and its account is told.
    async fn dispossess(&self, tx: &mut Session, holder: Claim, now: Moment) -> Result<(), CoreError> {
        let mut after = holder.clone();
        after.lifecycle = Lifecycle::Failed;
        after.reason = Some(Document(Reason::new(ReasonCode::ClaimedElsewhere)));
        after.error_code = Some(ReasonCode::ClaimedElsewhere.to_string());
        (after.next_check_at, after.next_attempt_at, after.deadline_at) = (None, None, None);
        after.deadline = Deadline::None;
        let events = vec![(EventKind::ClaimLost, about(&after))];
        self.save(tx, Change { before: Some(&holder), after, events }, now).await?;
        Ok(db::certificates::delete(tx, &holder.hostname, &holder.id).await?)
    }

    fn refused(&self, before: &Claim, looker: Looker, now: Moment) -> Result<Verdict, CoreError> {
        if looker == Looker::Verb {
            let hostname = before.hostname.as_str().to_owned();
            return Err(CoreError::HostnameConflict { hostname, own_connection: None });
        }
        let mut claim = before.clone();
        claim.last_checked_at = Some(now);
        claim.check_count += 1;
        claim.reason = Some(Document(Reason::new(ReasonCode::ClaimedElsewhere)));
        claim.next_check_at = Some(now.after(self.settings.pace.patient));
        Ok(Verdict { claim, events: Vec::new() })
    }

    async fn write_sight(
        &self,
        tx: &mut Session,
        connection: &Connection,
        seen: &Checked,
        now: Moment,
    ) -> Result<(), CoreError> {
        let id = &connection.claim.id;
        for sight in changed_records(connection, seen) {
            db::records::observe(tx, id, sight.position, sight.propagated, sight.observed.as_deref(), now).await?;
        }
        match &seen.challenge {
            Some(ChallengeSight::Present) => db::proofs::confirm(tx, id, ProofKind::Txt, now).await?,
            Some(ChallengeSight::Absent(values) | ChallengeSight::Partly(values)) => {
                db::proofs::observe(tx, id, ProofKind::Txt, &values.join(", ")).await?;
            }
            Some(ChallengeSight::Unreachable(_)) | None => {}
        }
        Ok(())
    }

    /// One line a change of mind, not one a minute.
    async fn write_attempt(
        &self,
        tx: &mut Session,
        before: &Claim,
        after: &Claim,
        now: Moment,
    ) -> Result<(), CoreError> {
        let code = |claim: &Claim| claim.reason.as_ref().map(|reason| reason.0.code.clone());
        let same = (before.ownership, before.routing, code(before)) == (after.ownership, after.routing, code(after));
        if same && before.check_count > 0 {
            return Ok(());
        }
        let attempt = Attempt {
            n: 0,
            at: now,
            kind: if after.ownership == Ownership::Proven { "routing" } else { "ownership" }.to_owned(),
            outcome: if code(after).is_none() { "ok" } else { "waiting" }.to_owned(),
            reason_code: code(after),
            detail: after.reason.as_ref().and_then(|reason| serde_json::to_value(&reason.0).ok()).map(Document),
        };
        Ok(db::attempts::insert(tx, &after.id, &attempt, self.settings.attempts_keep).await?)
    }

    /// Writes down looks that changed nothing, many at a time, and ends their jobs. A claim that was changed meanwhile
    /// keeps what its change says.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn note_unchanged(&self, looks: &[Unchanged]) -> Result<(), CoreError> {
        let mut rows = Rows::default();
        looks.iter().for_each(|look| rows.push(json!([look.job.subject, look.next.as_millis(), look.version])));
        let mut tx = self.begin().await?;
        db::claims::note_checks(&mut tx, rows, self.now()).await?;
        db::jobs::release(&mut tx, released(looks.iter().map(|look| (&look.job, look.next)))).await?;
        Ok(tx.commit().await?)
    }
}

fn changed_records<'s>(connection: &Connection, seen: &'s Checked) -> Vec<&'s RecordSight> {
    let sights = seen.routing.as_ref().map_or(&[][..], |routing| &routing.records);
    let differs = |sight: &&RecordSight| {
        let known = connection.records.iter().find(|record| record.position == sight.position);
        known.is_some_and(|record| {
            record.propagated.0 != sight.propagated
                || record.observed_value != sight.observed
                || record.observed_at.is_none()
        })
    };
    sights.iter().filter(differs).collect()
}

/// The challenge as a record to publish.
pub(crate) fn challenge_fix(connection: &Connection) -> Option<Fix> {
    connection.challenge().map(record_to_publish)
}

/// The record that shows a proof, as something to do.
pub(crate) fn record_to_publish(proof: &Proof) -> Fix {
    Fix {
        host: proof.name.clone(),
        record_type: "TXT".to_owned(),
        expected: Some(proof.expected.clone()),
        seen: Vec::new(),
    }
}
