//! What would happen to a visitor of a name, and why, without doing any of it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use certs::{CertificateView, Certificates};
use control_client::{Explanation, Freshness, Refusal, Site, Source};
use names::Hostname;
use serde::Serialize;

use crate::policy::Policy;

/// Explains names. Cheap to clone.
#[derive(Clone)]
pub struct Explainer {
    /// The rules of the moment.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The certificates.
    pub certificates: Certificates,
}

/// The end that a visitor would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A certificate would be ordered during the handshake.
    Order,
    /// The handshake would end with an alert.
    Refuse,
    /// The request would be answered by the edge: redirected, or told that no origin is known.
    Answer,
    /// The request would be proxied.
    Serve,
}

/// The whole explanation.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The name as it was given.
    pub asked: String,
    /// The canonical name, when there is one.
    pub hostname: Option<Hostname>,
    /// What a visitor would meet.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub reason: String,
    /// What the gate says.
    pub gate: Option<GateView>,
    /// What is known of the certificate.
    pub certificate: Option<CertificateView>,
    /// Where requests would go.
    pub origin: Option<OriginView>,
}

/// What the gate says, and how it came to say so.
#[derive(Debug, Serialize)]
pub struct GateView {
    /// `allow`, `allow_stale`, `deny` or `unavailable`.
    pub verdict: &'static str,
    /// `feed`, `memory`, `question` or `last_answer`.
    pub source: &'static str,
    /// Age of the answer that it rests on, in seconds.
    pub age_seconds: Option<u64>,
    /// When memory would be asked no longer, in seconds.
    pub asked_again_in_seconds: Option<u64>,
    /// What went wrong with the question.
    pub problem: Option<String>,
    /// Version of the connection at the control plane.
    pub generation: Option<u64>,
    /// The control plane's id of the connection.
    pub connection_id: Option<String>,
}

impl GateView {
    fn of(explanation: &Explanation) -> Self {
        let site = site(explanation);
        let verdict = match &explanation.verdict {
            Ok(admitted) if admitted.freshness == Freshness::Fresh => "allow",
            Ok(_) => "allow_stale",
            Err(Refusal::Denied) => "deny",
            Err(Refusal::Unavailable) => "unavailable",
        };
        let source = match explanation.source {
            Source::Feed => "feed",
            Source::LastAnswer => "last_answer",
            Source::Memory => "memory",
            Source::Question => "question",
        };
        Self {
            verdict,
            source,
            age_seconds: explanation.age.map(|age| age.as_secs()),
            asked_again_in_seconds: explanation.asked_again_in.map(|wait| wait.as_secs()),
            problem: explanation.problem.clone(),
            generation: site.map(|site| site.generation),
            connection_id: site.and_then(|site| site.connection_id.as_deref()).map(str::to_owned),
        }
    }
}

fn site(explanation: &Explanation) -> Option<&Arc<Site>> {
    explanation.verdict.as_ref().ok().map(|admitted| &admitted.site)
}

/// Where requests would go.
#[derive(Debug, Serialize)]
pub struct OriginView {
    /// `http://…` or `https://…`.
    pub url: String,
    /// Whether the origin sees the customer's `Host`.
    pub keep_host: bool,
    /// The addresses that would be dialled, or why there is none.
    pub addresses: Result<Vec<String>, &'static str>,
}

impl Explainer {
    /// Explains one name, in any spelling.
    pub async fn explain(&self, asked: &str) -> Explained {
        match Hostname::parse(asked) {
            Ok(name) => self.explain_name(asked, name).await,
            Err(error) => Explained {
                asked: asked.to_owned(),
                hostname: None,
                outcome: Outcome::Refuse,
                reason: format!("{error}: refused with `unrecognized_name`, the gate is not asked"),
                gate: None,
                certificate: None,
                origin: None,
            },
        }
    }

    async fn explain_name(&self, asked: &str, name: Hostname) -> Explained {
        let policy = self.policy.load_full();
        let gate = policy.gate.explain(&name).await;
        let certificate = self.certificates.explain(&name).await;
        let origin = origin_view(&gate, &policy).await;
        let (outcome, mut reason) = judge(&gate, &certificate, origin.as_ref());
        if let (Source::Feed, Some(site)) = (gate.source, site(&gate)) {
            reason.push_str(&format!(" (known name, from the feed, generation {})", site.generation));
        }
        Explained {
            asked: asked.to_owned(),
            hostname: Some(name),
            outcome,
            reason,
            gate: Some(GateView::of(&gate)),
            certificate: Some(certificate),
            origin,
        }
    }
}

async fn origin_view(gate: &Explanation, policy: &Policy) -> Option<OriginView> {
    let site = site(gate)?;
    let origin = site.origin.as_ref()?;
    let addresses = match policy.origins.find(origin).await {
        Ok(target) => Ok(target.sockets()),
        Err(fault) => Err(fault.code()),
    };
    Some(OriginView { url: origin.to_string(), keep_host: site.keep_host, addresses })
}

fn judge(gate: &Explanation, certificate: &CertificateView, origin: Option<&OriginView>) -> (Outcome, String) {
    let admitted = match &gate.verdict {
        Ok(admitted) => admitted,
        Err(Refusal::Denied) => {
            return (Outcome::Refuse, "the gate denies the name: refused with `unrecognized_name`".to_owned());
        }
        Err(Refusal::Unavailable) => {
            let problem = gate.problem.as_deref().unwrap_or("it failed a moment ago");
            return (Outcome::Refuse, format!("the gate cannot be asked and the name is not known: {problem}"));
        }
    };
    if certificate.state != "serving" {
        return without_certificate(admitted.freshness, certificate);
    }
    match (&admitted.site.redirect, origin) {
        (Some(to), _) => (Outcome::Answer, format!("every request is redirected to {to}")),
        (None, None) => (Outcome::Answer, "the gate names no origin and no default origin is configured".to_owned()),
        (None, Some(OriginView { addresses: Err(code), .. })) => {
            (Outcome::Answer, format!("the origin cannot be dialled: {code}"))
        }
        (None, Some(view)) => (Outcome::Serve, format!("requests are proxied to {}", view.url)),
    }
}

fn without_certificate(freshness: Freshness, certificate: &CertificateView) -> (Outcome, String) {
    match (freshness, hindrance(certificate)) {
        (Freshness::Stale, _) => {
            (Outcome::Refuse, "the gate cannot be asked, so no certificate may be ordered for the name".to_owned())
        }
        (Freshness::Fresh, Some(hindrance)) => (Outcome::Refuse, hindrance),
        (Freshness::Fresh, None) => {
            (Outcome::Order, "no valid certificate is kept; the first handshake orders one".to_owned())
        }
    }
}

/// What keeps a first handshake from getting a certificate now.
fn hindrance(certificate: &CertificateView) -> Option<String> {
    if let Some(problem) = &certificate.problem {
        return Some(format!("the store or the failure memory cannot be read: {problem}"));
    }
    let until = certificate.next_order.filter(|_| matches!(certificate.state, "backoff" | "refused"))?;
    // The last issuer's word, as the control plane is told.
    let last = certificate.failure.as_ref().and_then(|failure| failure.last.last());
    let why = last.map(|last| format!(" ({}: {})", last.reason, last.detail)).unwrap_or_default();
    Some(format!("earlier orders failed; no order is placed before {until}{why}"))
}
