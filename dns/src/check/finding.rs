//! [`Finding`]: one thing that stands in the way, with what to change and a sentence for the customer.

use serde::Serialize;

use crate::OwnerName;

/// One thing that stands, or may stand, in the way of a working name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which thing; the `reason_code` of a connection.
    pub code: FindingCode,
    /// Whether an order would fail, and what that takes to change.
    pub severity: Severity,
    /// For the SaaS: what was found.
    pub message: String,
    /// For its customer: what to do, in plain words.
    pub user_message: String,
    /// The record to change, when it is one.
    pub record: Option<RecordRef>,
    /// What should stand there; `None`: nothing.
    pub expected: Option<String>,
    /// What stands there.
    pub seen: Option<String>,
}

/// Whether it is worth trying in spite of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It works, but somebody should know.
    Warning,
    /// The name does not lead here yet: there is a record to make or to move, and nothing to undo.
    Pending,
    /// It could not be told: servers do not answer.
    Unclear,
    /// A certificate order or the visitors' requests will fail until a record is changed.
    Blocking,
}

/// A record by name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordRef {
    /// Its full name.
    pub host: OwnerName,
    /// Its type, as zone files write it.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The things that can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingCode {
    /// An A record leads to another server.
    AElsewhere,
    /// An AAAA record leads to another server.
    AaaaElsewhere,
    /// A CNAME stands, or would have to stand, at the top of a zone.
    ApexCname,
    /// CAA allows another account of our CA only.
    CaaAccount,
    /// CAA does not allow our CA.
    CaaForbids,
    /// The CAA records cannot be read, which CAs take as a no.
    CaaUnreadable,
    /// CAA allows validation methods only that are not ours.
    CaaMethod,
    /// Another service answers for the name.
    CdnInFront,
    /// A CNAME and other records share a name.
    CnameConflict,
    /// The CNAME leads elsewhere.
    CnameElsewhere,
    /// The CNAMEs lead in a circle or on and on.
    CnameLoop,
    /// DNSSEC validation fails.
    DnsBogus,
    /// The name exists without an address.
    DnsNoAddress,
    /// The name does not exist.
    DnsNxdomain,
    /// Servers disagree; it is usually a matter of minutes.
    DnsPropagating,
    /// Resolvers fail at the zone.
    DnsServfail,
    /// More records than a site has.
    DnsTooManyRecords,
    /// No server can be asked, or none answers.
    DnsUnreachable,
    /// More labels than public CAs accept.
    NameTooDeep,
    /// Longer than a certificate store can name.
    NameTooLong,
    /// The name has no record of its own: a wildcard answers.
    WildcardAnswer,
}

impl FindingCode {
    /// A stable word for the API; the same as its serialized form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AElsewhere => "a_elsewhere",
            Self::AaaaElsewhere => "aaaa_elsewhere",
            Self::ApexCname => "apex_cname",
            Self::CaaAccount => "caa_account",
            Self::CaaForbids => "caa_forbids",
            Self::CaaUnreadable => "caa_unreadable",
            Self::CaaMethod => "caa_method",
            Self::CdnInFront => "cdn_in_front",
            Self::CnameConflict => "cname_conflict",
            Self::CnameElsewhere => "cname_elsewhere",
            Self::CnameLoop => "cname_loop",
            Self::DnsBogus => "dns_bogus",
            Self::DnsNoAddress => "dns_no_address",
            Self::DnsNxdomain => "dns_nxdomain",
            Self::DnsPropagating => "dns_propagating",
            Self::DnsServfail => "dns_servfail",
            Self::DnsTooManyRecords => "dns_too_many_records",
            Self::DnsUnreachable => "dns_unreachable",
            Self::NameTooDeep => "name_too_deep",
            Self::NameTooLong => "name_too_long",
            Self::WildcardAnswer => "wildcard_answer",
        }
    }
}

impl Finding {
    pub(super) fn new(code: FindingCode, message: impl Into<String>, user_message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Blocking,
            message: message.into(),
            user_message: user_message.into(),
            record: None,
            expected: None,
            seen: None,
        }
    }

    pub(super) fn warning(self) -> Self {
        self.of(Severity::Warning)
    }

    pub(super) fn pending(self) -> Self {
        self.of(Severity::Pending)
    }

    pub(super) fn unclear(self) -> Self {
        self.of(Severity::Unclear)
    }

    fn of(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn at(mut self, host: &OwnerName, kind: &'static str) -> Self {
        self.record = Some(RecordRef { host: host.clone(), kind });
        self
    }

    pub(super) fn expected(mut self, expected: Option<String>) -> Self {
        self.expected = expected;
        self
    }

    pub(super) fn seen(mut self, seen: Option<String>) -> Self {
        self.seen = seen;
        self
    }
}
