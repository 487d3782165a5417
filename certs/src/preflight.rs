//! What is looked at before an order: would the CA find the name here, and may it issue?
//!
//! A CA counts failed validations against the name, a handful in an hour; a look at the DNS costs nothing. Whoever looks
//! is behind [`Preflight`]: this crate asks no name server and opens no connection to a visitor's name. What it owns is
//! when a look is taken (before an order that proves control by HTTP-01 or TLS-ALPN-01 and does not stand at the CA yet),
//! and that only a definite "no" keeps an order from being placed.

use std::fmt;

use async_trait::async_trait;
use names::Hostname;

use crate::ChallengeKind;

/// Whom records about CAs must allow (RFC 8659, RFC 8657).
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// The domain names that the CA answers to, the `caaIdentities` of its directory; empty when it does not say.
    pub identities: &'a [String],
    /// The URL of our account there.
    pub account: &'a str,
    /// How we prove control.
    pub methods: &'a [ChallengeKind],
}

/// Looks at a name before an order.
#[async_trait]
pub trait Preflight: Send + Sync + 'static {
    /// Whether an order for `name` has a chance at this CA. What cannot be told is no obstacle.
    ///
    /// # Errors
    /// [`Obstacle`]: the order would fail, and that is certain.
    async fn look(&self, name: &Hostname, applicant: &Applicant<'_>) -> Result<(), Obstacle>;
}

/// What makes an order fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// A stable word, such as `dns_nxdomain` or `caa_forbids`.
    pub code: &'static str,
    /// What was found, and where.
    pub found: String,
    /// How to mend it.
    pub remedy: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.found, self.remedy)
    }
}

impl std::error::Error for Obstacle {}
