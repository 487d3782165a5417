//! [`Why`]: what keeps a zone from Domain Connect, or from knowing.

use crate::Reason;

/// Why Domain Connect cannot be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The settings are not what the protocol says.
    #[error("the provider's settings cannot be used")]
    BadSettings,
    /// The record at `_domainconnect` is no address of a service.
    #[error("the record names no service")]
    BadPlace,
    /// The record could not be looked up.
    #[error("the record could not be looked up: {0}")]
    Dns(Reason),
    /// The zone has no record at `_domainconnect`.
    #[error("the zone is not with a provider that takes templates")]
    NoRecord,
    /// The provider sends customers to no page.
    #[error("the provider has no page for customers")]
    NoPage,
    /// The provider does not know our template.
    #[error("the provider does not know the template")]
    NoTemplate,
    /// The provider says that it does not have the zone.
    #[error("the provider does not have the zone")]
    NoZone,
    /// Our own limit of questions at a time was reached.
    #[error("too many providers are being asked")]
    Overloaded,
    /// It leads to an address that is nobody's on the Internet.
    #[error("the service has no public address")]
    Private,
    /// It sends us elsewhere.
    #[error("the service answered with a redirect")]
    Redirected,
    /// An answer of another status.
    #[error("the service answered with a fault")]
    Status,
    /// An answer without end.
    #[error("the service's answer is too large")]
    TooLarge,
    /// No answer in time.
    #[error("the service did not answer in time")]
    TimedOut,
    /// No connection.
    #[error("the service cannot be reached")]
    Unreachable,
}

impl Why {
    /// A stable word for the API and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadSettings => "bad_settings",
            Self::BadPlace => "bad_record",
            Self::Dns(_) => "dns_unreachable",
            Self::NoRecord => "no_record",
            Self::NoPage => "no_page",
            Self::NoTemplate => "no_template",
            Self::NoZone => "no_zone",
            Self::Overloaded => "overloaded",
            Self::Private => "private_address",
            Self::Redirected => "redirected",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether it is a no. What could not be told is none.
    pub fn is_no(self) -> bool {
        match self {
            Self::BadPlace
            | Self::BadSettings
            | Self::NoPage
            | Self::NoRecord
            | Self::NoTemplate
            | Self::NoZone
            | Self::Private
            | Self::Redirected
            | Self::TooLarge => true,
            Self::Dns(_) | Self::Overloaded | Self::Status | Self::TimedOut | Self::Unreachable => false,
        }
    }
}
