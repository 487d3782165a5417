//! [`Answer`]: present, absent, or nothing said.

use serde::Serialize;

/// What one question brought. Only the first two say something about the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The records are there.
    Present(T),
    /// A server that may know says that they are not.
    Absent(Absence),
    /// Nothing was said.
    Indeterminate(Reason),
}

/// The two ways in which a record is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// NODATA: the name exists, or something below it, without records of this type.
    NoData,
    /// NXDOMAIN: neither the name nor anything below it exists.
    NoName,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The server validates DNSSEC and refuses what it found (RFC 8914 codes 5 to 12).
    #[error("the zone's DNSSEC signatures do not validate")]
    Bogus,
    /// The CNAME chain is longer than the limit.
    #[error("the CNAME chain is too long")]
    ChainTooLong,
    /// The CNAME chain comes back to a name that it has passed.
    #[error("the CNAME chain is a loop")]
    ChainLoop,
    /// A response code that is neither success nor one of the others here.
    #[error("the server answered with an error")]
    Error,
    /// Bytes that are no DNS message, or not an answer to the question.
    #[error("the answer cannot be read")]
    Malformed,
    /// The text is no DNS name.
    #[error("the name cannot be asked for")]
    Name,
    /// A server of the zone answers without authority, or a resolver with a referral: neither knows.
    #[error("the server is not responsible for the name")]
    NotResponsible,
    /// No server could be asked.
    #[error("no server could be asked")]
    NoServer,
    /// Our own limit of questions in flight was reached until the deadline.
    #[error("too many questions are in flight")]
    Overloaded,
    /// REFUSED.
    #[error("the server refuses to answer")]
    Refused,
    /// SERVFAIL.
    #[error("the server failed (SERVFAIL)")]
    ServFail,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// More records than a name of a site has.
    #[error("the answer holds too many records")]
    TooMany,
    /// The network or the host says that nobody listens there.
    #[error("the server cannot be reached")]
    Unreachable,
}

impl Reason {
    /// Every reason, for metrics that must exist before they count.
    pub const ALL: [Self; 14] = [
        Self::Bogus,
        Self::ChainTooLong,
        Self::ChainLoop,
        Self::Error,
        Self::Malformed,
        Self::Name,
        Self::NotResponsible,
        Self::NoServer,
        Self::Overloaded,
        Self::Refused,
        Self::ServFail,
        Self::Timeout,
        Self::TooMany,
        Self::Unreachable,
    ];

    /// A stable word for metrics and API codes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Bogus => "bogus",
            Self::ChainTooLong => "chain_too_long",
            Self::ChainLoop => "chain_loop",
            Self::Error => "error",
            Self::Malformed => "malformed",
            Self::Name => "name",
            Self::NotResponsible => "not_responsible",
            Self::NoServer => "no_server",
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
            Self::ServFail => "servfail",
            Self::Timeout => "timeout",
            Self::TooMany => "too_many",
            Self::Unreachable => "unreachable",
        }
    }
}

impl<T> Answer<T> {
    /// Turns what is there into something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Present(value) => Answer::Present(f(value)),
            Self::Absent(absence) => Answer::Absent(absence),
            Self::Indeterminate(reason) => Answer::Indeterminate(reason),
        }
    }

    /// What is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent(_) | Self::Indeterminate(_) => None,
        }
    }

    /// Whether something was said, be it yes or no.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Indeterminate(_))
    }
}
