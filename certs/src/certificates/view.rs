//! [`CertificateView`]: what `explain` shows.

use clock::Timestamp;
use names::Subject;
use serde::{Serialize, Serializer};

use super::Shared;
use crate::{
    Failure, Leaf,
    life::{State, Validity},
};

/// What is known about one name's certificate. Making it has no side effect.
#[derive(Debug, Clone, Serialize)]
pub struct CertificateView {
    /// `serving`, `issuing`, `backoff`, `refused` or `missing`.
    pub state: &'static str,
    /// Where the certificate was found: `memory`, `store`, or `none`.
    pub source: &'static str,
    /// Whose certificate it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Its serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Start of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub not_before: Option<Timestamp>,
    /// End of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub not_after: Option<Timestamp>,
    /// When it will be renewed, if that is planned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub renew_at: Option<Timestamp>,
    /// What went wrong since the name last got a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// No order before this moment.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub next_order: Option<Timestamp>,
    /// What kept the view from being complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl CertificateView {
    pub(super) fn new(state: &'static str) -> Self {
        Self {
            state,
            source: "none",
            issuer: None,
            serial: None,
            not_before: None,
            not_after: None,
            renew_at: None,
            failure: None,
            next_order: None,
            problem: None,
        }
    }

    pub(super) fn show(&mut self, source: &'static str, leaf: &Leaf) {
        self.source = source;
        self.issuer = Some(leaf.issuer().as_str().to_owned());
        self.serial = Some(leaf.serial().to_owned());
        self.not_before = Some(leaf.not_before());
        self.not_after = Some(leaf.not_after());
    }
}

impl Shared {
    /// Puts together what memory, store, plan and failure memory know.
    pub(super) async fn explain(&self, name: &Subject) -> CertificateView {
        let now = self.clock.now();
        let state = self.plan.lock().state(name);
        let mut view = CertificateView::new(state.map_or("missing", State::word));
        let mut problems = Vec::new();
        match self.at_hand(name, None) {
            Some(leaf) => view.show("memory", &leaf),
            None => match self.store.load(name).await.map(|bundle| bundle.as_ref().map(Leaf::parse).transpose()) {
                Ok(Ok(Some(leaf))) => view.show("store", &leaf),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => problems.push(telemetry::chain(&error).to_string()),
                Err(error) => problems.push(telemetry::chain(&error).to_string()),
            },
        }
        match self.failures.load(name).await {
            Ok(failure) => {
                view.next_order = failure.as_deref().map(Failure::next_order);
                view.failure = failure.map(|failure| Failure::clone(&failure));
            }
            Err(error) => problems.push(telemetry::chain(&error).to_string()),
        }
        self.explain_plan(&mut view, name, state, now);
        view.problem = (!problems.is_empty()).then(|| problems.join("; "));
        view
    }

    /// The state's word when the plan has none, as before the first visit.
    fn explain_plan(&self, view: &mut CertificateView, name: &Subject, state: Option<State>, now: Timestamp) {
        let valid = view.not_before.is_some_and(|from| from <= now) && view.not_after.is_some_and(|to| now <= to);
        view.renew_at = match (state, view.not_before, view.not_after) {
            (Some(state), _, _) => state.due(),
            (None, Some(not_before), Some(not_after)) if valid => {
                Some(Validity { not_before, not_after }.renew_at(name, None))
            }
            (None, _, _) => None,
        };
        if state.is_none() {
            view.state = match (valid, view.next_order) {
                (true, _) => "serving",
                (false, Some(next)) if now < next => "backoff",
                (false, _) => "missing",
            };
        }
    }
}

fn rfc_3339<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}
