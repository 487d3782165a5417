//! [`Placed`]: one order on its way from `pending` to a certificate.

use std::{borrow::Cow, time::Duration};

use instant_acme::{AuthorizationStatus, ChallengeType, Error, Order, OrderStatus};
use names::Subject;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::json;

use super::{
    check::{check, unusable},
    http::{CaError, with_retry_after},
    journal::Entry,
    pace::Pace,
    problem::{Refusal, document, issue_error, refusal_kind, refused, signed},
    wish::Wish,
};
use crate::{Bundle, ChallengeKind, IssueError, Progress, challenges::Guard};

/// An order that stands at the CA.
pub(super) struct Placed<'a> {
    pub(super) wish: Wish<'a>,
    pub(super) order: Order,
    pub(super) entry: Entry,
    /// Whether the journal holds `entry`.
    pub(super) journalled: bool,
}

/// A challenge that the CA was told to look for.
struct Offered {
    /// `None` when the authorization was valid already.
    kind: Option<ChallengeKind>,
    guard: Option<Guard>,
    /// Whether the CA has heard it.
    told: Result<(), IssueError>,
}

/// After an answer that was lost, the order is watched this long for a sign that the request was not.
const UNSURE: Duration = Duration::from_secs(5);
/// Looks at an order that may fail in a row: a connection that breaks is no reason to give an order up.
const FAILED_LOOKS: u32 = 3;

/// How the proof of control ended.
enum Proof {
    /// The CA does not look any more; the order may still have another state than ready.
    Done,
    /// The CA offers none of the challenges that we can meet.
    Unoffered,
}

impl Placed<'_> {
    /// Brings the order to its end, proving control by the first of `kinds` that the CA offers, if that is still asked
    /// for.
    pub(super) async fn complete(mut self, kinds: &[ChallengeKind]) -> Result<Bundle, IssueError> {
        if self.status() == OrderStatus::Pending {
            self.prove(kinds).await?;
        }
        (self.wish.progress)(Progress::Authorized);
        if self.status() == OrderStatus::Ready {
            self.finalize().await?;
        }
        self.settle(|status| status == OrderStatus::Processing).await?;
        self.download().await
    }

    fn status(&mut self) -> OrderStatus {
        self.order.state().status
    }

    /// Proves control while the journal is written; both must be done before anything is finalized.
    async fn prove(&mut self, kinds: &[ChallengeKind]) -> Result<(), IssueError> {
        let (journal, name) = (&self.wish.issuer.journal, self.wish.name);
        let written = async {
            match self.journalled {
                true => Ok(()),
                false => journal.save(name, &self.entry).await.map_err(IssueError::Store),
            }
        };
        let proof = Self::offer(self.wish, &mut self.order, kinds);
        let (written, proof) = tokio::join!(written, proof);
        written?;
        self.journalled = true;
        match proof? {
            Proof::Done => Ok(()),
            Proof::Unoffered => {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
                Err(unusable(format!("the CA does not offer {}", kinds.join(" or "))))
            }
        }
    }

    /// Offers the challenge of every authorization that is still pending, and waits until the CA has looked.
    async fn offer(wish: Wish<'_>, order: &mut Order, kinds: &[ChallengeKind]) -> Result<Proof, IssueError> {
        let Some(Offered { kind, guard, told }) = Self::offer_one(wish, order, kinds).await? else {
            return Ok(Proof::Unoffered);
        };
        let looked = poll(order, |status| status == OrderStatus::Pending);
        let result = match told {
            Ok(()) => looked.await,
            // The answer may be lost and the CA looking all the same: withdrawing now would fail the authorization.
            Err(error) => tokio::time::timeout(UNSURE, looked).await.unwrap_or(Err(error)),
        };
        drop(guard);
        result?;
        match order.state().status {
            OrderStatus::Invalid => Err(Self::refuted(wish, order, kind).await),
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                if let Some(kind) = kind {
                    wish.issuer.ways.won(kind);
                }
                Ok(Proof::Done)
            }
        }
    }

    /// Our order has one name and so one authorization. `None` when the CA offers no challenge that we can meet.
    async fn offer_one(
        wish: Wish<'_>,
        order: &mut Order,
        kinds: &[ChallengeKind],
    ) -> Result<Option<Offered>, IssueError> {
        let authorization = signed!(async {
            let mut authorizations = order.authorizations();
            authorizations.next().await.transpose().map(|found| found.map(|found| found.status))
        });
        match authorization.map_err(issue_error)? {
            Some(AuthorizationStatus::Pending) => {}
            Some(_) => return Ok(Some(Offered { kind: None, guard: None, told: Ok(()) })),
            None => return Ok(None),
        }
        let mut authorizations = order.authorizations();
        let Some(Ok(mut authorization)) = authorizations.next().await else { return Ok(None) };
        let offered = |kind: ChallengeKind| authorization.challenges.iter().any(|c| c.r#type == acme_type(kind));
        let Some(kind) = kinds.iter().copied().find(|kind| offered(*kind)) else { return Ok(None) };
        let Some(mut challenge) = authorization.challenge(acme_type(kind)) else { return Ok(None) };
        let guard = wish.issuer.offer(wish.name, kind, &challenge).await?;
        let told = signed!(challenge.set_ready()).map_err(issue_error);
        (wish.progress)(Progress::Offered(kind));
        Ok(Some(Offered { kind: Some(kind), guard, told }))
    }

    /// Why the order became invalid: the challenge's own problem, which names what the CA saw.
    async fn refuted(wish: Wish<'_>, order: &mut Order, kind: Option<ChallengeKind>) -> IssueError {
        if let Some(kind) = kind {
            wish.issuer.ways.lost(kind);
            (wish.progress)(Progress::Refuted(kind));
        }
        let problem = signed!(async {
            let mut authorizations = order.authorizations();
            let found = authorizations.next().await.transpose()?;
            let mut challenges = found.iter().flat_map(|found| found.challenges.iter());
            Ok::<_, Error>(challenges.find_map(|challenge| challenge.error.as_ref().map(document)))
        });
        let problem = problem.ok().flatten().or_else(|| order.state().error.as_ref().map(document));
        let problem = problem.unwrap_or_else(|| json!({"type": "unauthorized", "detail": "the order became invalid"}));
        refused(problem, None, Refusal::Authorization)
    }

    /// Sends the signing request: the name as its only subject alternative name and no common name, which takes 64
    /// characters at most.
    async fn finalize(&mut self) -> Result<(), IssueError> {
        if !self.journalled {
            self.wish.issuer.journal.save(self.wish.name, &self.entry).await?;
            self.journalled = true;
        }
        let csr = signing_request(self.wish.name, &self.entry.key)?;
        match signed!(self.order.finalize_csr(csr.as_ref())) {
            Ok(()) => {}
            // A crash after the request went out, or a lost answer: the order is past `ready`, look at it.
            Err(error) if refusal_kind_of(&error) == Some("orderNotReady") => {
                signed!(async { self.order.refresh().await.map(|_| ()) }).map_err(issue_error)?;
            }
            Err(error) => return Err(issue_error(error)),
        }
        (self.wish.progress)(Progress::Finalized);
        Ok(())
    }

    async fn settle(&mut self, busy: impl Fn(OrderStatus) -> bool + Send) -> Result<(), IssueError> {
        if busy(self.status()) {
            poll(&mut self.order, busy).await?;
        }
        let state = self.order.state();
        match (&state.error, state.status) {
            (_, OrderStatus::Valid) => Ok(()),
            (Some(error), _) => Err(refused(document(error), None, Refusal::Request)),
            (None, status) => Err(unusable(format!("the order ended as {status:?}"))),
        }
    }

    async fn download(mut self) -> Result<Bundle, IssueError> {
        let url = self.order.state().certificate.clone();
        let chain = signed!(self.order.certificate()).map_err(issue_error)?;
        let Some(chain_pem) = chain else { return Err(unusable("the order is valid and has no certificate".into())) };
        let issuer = self.wish.issuer;
        let meta = json!({
            "sans": [self.wish.name],
            "issuer_data": {"url": url.unwrap_or_default(), "ca": issuer.settings.directory},
        });
        let Entry { key: key_pem, tenant, .. } = self.entry;
        let bundle = Bundle { issuer: issuer.key.clone(), chain_pem, key_pem, meta }.of(tenant.as_ref());
        check(&bundle, self.wish.name, issuer.clock.now())?;
        (self.wish.progress)(Progress::Downloaded);
        Ok(bundle)
    }
}

/// Looks at the order until it is no longer `busy`.
async fn poll(order: &mut Order, busy: impl Fn(OrderStatus) -> bool) -> Result<(), IssueError> {
    let mut pace = Pace::start();
    let (mut retry_after, mut failed) = (None, 0);
    while busy(order.state().status) {
        pace.wait(retry_after).await;
        let (looked, wait) = with_retry_after(async { signed!(async { order.refresh().await.map(|_| ()) }) }).await;
        failed = match looked.map_err(issue_error) {
            Ok(()) => 0,
            Err(IssueError::Unreachable { .. }) if failed + 1 < FAILED_LOOKS => failed + 1,
            Err(error) => return Err(error),
        };
        retry_after = wait;
    }
    Ok(())
}

fn signing_request(name: &Subject, key_pem: &str) -> Result<Cow<'static, [u8]>, IssueError> {
    // rcgen's errors never quote the key, and the journal's key is not worth another order.
    let failed = |error: rcgen::Error| unusable(format!("the signing request could not be made: {error}"));
    let key = KeyPair::from_pem(key_pem).map_err(failed)?;
    let mut params = CertificateParams::new([name.as_str().to_owned()]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(failed)?;
    Ok(Cow::Owned(request.der().to_vec()))
}

/// The problem type of a refusal by the CA; `None` when it did not refuse but fail.
pub(super) fn refusal_kind_of(error: &Error) -> Option<&str> {
    let Error::Other(other) = error else { return None };
    match other.downcast_ref::<CaError>()? {
        CaError::Problem { status, problem, .. } if status.is_client_error() => Some(super::http::kind_of(problem)),
        CaError::Problem { .. } | CaError::Status { .. } | CaError::TooLong | CaError::Transport(_) => None,
    }
}

fn acme_type(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Dns01 => ChallengeType::Dns01,
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

/// Whether another challenge type may succeed where this one failed: what the CA saw on one port says nothing about
/// the other, while names that do not resolve or may not be certified fail either way.
pub(super) fn is_about_the_challenge(error: &IssueError) -> bool {
    let kind = refusal_kind(error);
    matches!(error, IssueError::Refused { authorization: true, .. })
        && matches!(kind, Some("connection" | "incorrectResponse" | "malformed" | "tls" | "unauthorized"))
}
