//! [`Site`]: what an allowing answer says, parsed; and what [`Gate::admit`](crate::Gate::admit) gives back.

use std::sync::Arc;

use control_api::AskAnswer;
use names::{Hostname, Tenant};

use crate::{Origin, OriginError, origin};

/// A hostname that may be served, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The customer's name.
    pub hostname: Hostname,
    /// Where its requests go: the answer's origin, else the configured default, else nowhere.
    pub origin: Option<Origin>,
    /// Whether the origin sees the customer's `Host` instead of its own authority.
    pub keep_host: bool,
    /// Version of the connection at the control plane; 0 when the endpoint gives none.
    pub generation: u64,
    /// The control plane's id of the connection, for logs.
    pub connection_id: Option<Arc<str>>,
    /// Every request is answered with a 308 to this URL followed by its path and query. No slash at its end.
    pub redirect: Option<Arc<str>>,
    /// Whose the name is, where that was told: its certificates are nobody else's.
    pub tenant: Option<Tenant>,
}

/// Whose a name is, as far as that was ever told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// It is served no more.
    Gone,
    /// This tenant's.
    Of(Tenant),
    /// Nobody has said.
    Unknown,
}

impl From<Option<Tenant>> for Whose {
    fn from(tenant: Option<Tenant>) -> Self {
        tenant.map_or(Self::Unknown, Self::Of)
    }
}

/// How much an admission may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The endpoint said so within the time of its answer.
    Fresh,
    /// The endpoint cannot be asked; it said so some time in the last days. A certificate that is already held may be
    /// served, a new one must not be ordered.
    Stale,
}

/// The gate is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// What to serve.
    pub site: Arc<Site>,
    /// How sure that is.
    pub freshness: Freshness,
}

/// The gate is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The endpoint knows the name and said no.
    #[error("the gate denied the name")]
    Denied,
    /// Nobody could say: the question failed and nothing usable is remembered, or too many questions are in flight.
    #[error("the gate could not be asked")]
    Unavailable,
}

/// Why an allowing answer cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SiteError {
    /// It is for another name.
    #[error("the answer is for {0}")]
    OtherName(Hostname),
    /// Its origin does not parse.
    #[error("the answer's origin cannot be used")]
    Origin(#[source] OriginError),
    /// Its redirect does not parse.
    #[error("the answer's redirect is not an absolute http or https URL without query")]
    Redirect,
}

impl Site {
    /// Checks an answer for `name`; `default_origin` serves where the answer names none.
    pub(crate) fn parse(
        name: &Hostname,
        answer: &AskAnswer,
        default_origin: Option<&Origin>,
    ) -> Result<Self, SiteError> {
        if let Some(other) = answer.hostname.as_ref().filter(|other| *other != name) {
            return Err(SiteError::OtherName(other.clone()));
        }
        let origin = answer.origin.as_deref().map(str::parse).transpose().map_err(SiteError::Origin)?;
        let redirect = answer.redirect.as_deref().map(|url| origin::parse_redirect(url).ok_or(SiteError::Redirect));
        Ok(Self {
            hostname: name.clone(),
            origin: origin.or_else(|| default_origin.cloned()),
            keep_host: answer.keep_host,
            generation: answer.generation,
            connection_id: answer.connection_id.as_deref().map(Arc::from),
            redirect: redirect.transpose()?,
            tenant: answer.tenant.clone(),
        })
    }

    /// Bytes on the heap, for the cache's weigher.
    pub(crate) fn heap_bytes(&self) -> usize {
        let tenant = self.tenant.as_ref().map(Tenant::as_str);
        let origin = self.origin.as_ref().map(Origin::authority);
        let texts = [self.connection_id.as_deref(), self.redirect.as_deref(), tenant, origin];
        // An origin holds its host twice: as such and in its authority.
        size_of::<Self>() + 2 * texts.into_iter().flatten().map(str::len).sum::<usize>()
    }
}
