//! [`Reason`]: why a connection is not live, told to three readers: programs, the SaaS, and its customer.
//!
//! Only the code and the record are kept; the sentences are made when they are read, so that a better sentence mends old
//! rows too.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// A stable word for programs.
    ReasonCode {
        /// A proxy of another provider stands before the name.
        BehindProxy = "behind_proxy",
        /// CAA forbids our authorities.
        CaaForbids = "caa_forbids",
        /// The certificate ended.
        CertificateExpired = "certificate_expired",
        /// The authority refused the order.
        CertificateFailed = "certificate_failed",
        /// The certificate is being ordered.
        CertificatePending = "certificate_pending",
        /// There is no challenge record.
        ChallengeMissing = "challenge_missing",
        /// Not all name servers show the challenge yet.
        ChallengePartlyVisible = "challenge_partly_visible",
        /// There are TXT records at the challenge's name, but not the right one.
        ChallengeWrong = "challenge_wrong",
        /// Another account showed stronger or fresher proof of the name.
        ClaimedElsewhere = "claimed_elsewhere",
        /// Its time is over.
        DeadlinePassed = "deadline_passed",
        /// DNS could not be asked.
        DnsUnreachable = "dns_unreachable",
        /// It has no address.
        NotResolving = "not_resolving",
        /// Not all of its records are seen everywhere yet.
        PartlyVisible = "partly_visible",
        /// It points elsewhere.
        PointsElsewhere = "points_elsewhere",
        /// An address record beside ours points elsewhere.
        StrayAddress = "stray_address",
    }
}

/// Why, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The word.
    pub code: ReasonCode,
    /// The record to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What a name server or authority said, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// One record: what should stand there and what does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Owner name.
    pub host: String,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What should be seen; empty when the record should not be there at all.
    pub expected: Option<String>,
    /// What was seen.
    pub seen: Vec<String>,
}

impl Reason {
    /// A reason without a record.
    pub fn new(code: ReasonCode) -> Self {
        Self { code, fix: None, detail: None }
    }

    /// With the record to change.
    #[must_use]
    pub fn with_fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// With what the other side said.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// For the SaaS.
    pub fn message(&self) -> String {
        let record = self.record();
        let seen = self.seen();
        let said = self.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        match self.code {
            ReasonCode::BehindProxy => format!("{record} is answered by another provider's proxy: {seen}{said}"),
            ReasonCode::CaaForbids => format!("CAA at {record} does not allow our certificate authorities: {seen}{said}"),
            ReasonCode::CertificateExpired => format!("the certificate ended without a successor{said}"),
            ReasonCode::CertificateFailed => format!("the certificate authority refused the order{said}"),
            ReasonCode::CertificatePending => format!("the certificate is being ordered{said}"),
            ReasonCode::ChallengeMissing => format!("{record} does not exist{said}"),
            ReasonCode::ChallengePartlyVisible => format!("some name servers do not show {record} yet{said}"),
            ReasonCode::ChallengeWrong => format!("{record} has another value: {seen}{said}"),
            ReasonCode::ClaimedElsewhere => format!("another account has shown that it holds the hostname{said}"),
            ReasonCode::DeadlinePassed => format!("the records were not published in time{said}"),
            ReasonCode::DnsUnreachable => format!("the zone's name servers do not answer{said}"),
            ReasonCode::NotResolving => format!("{record} does not exist{said}"),
            ReasonCode::PartlyVisible => format!("some name servers do not show {record} yet: {seen}{said}"),
            ReasonCode::PointsElsewhere => format!("{record} points elsewhere: {seen}{said}"),
            ReasonCode::StrayAddress => format!("{record} should not be there: {seen}{said}"),
        }
    }

    /// For the customer of the SaaS: what to do, in plain words.
    pub fn user_message(&self) -> String {
        let (host, kind) = self.fix.as_ref().map_or(("your domain", "DNS"), |fix| (&fix.host, &fix.record_type));
        let value = self.fix.as_ref().and_then(|fix| fix.expected.as_deref()).unwrap_or("the value shown");
        match self.code {
            ReasonCode::BehindProxy => format!("Turn off the proxy (grey cloud) for {host} at your DNS provider."),
            ReasonCode::CaaForbids => format!("Allow our certificate authority in the CAA record of {host}, or remove it."),
            ReasonCode::CertificateExpired | ReasonCode::CertificateFailed => {
                "We could not get a certificate for your domain yet. We keep trying.".to_owned()
            }
            ReasonCode::CertificatePending => "Your domain is set up. Its certificate is on the way.".to_owned(),
            ReasonCode::ChallengeMissing | ReasonCode::NotResolving => {
                format!("Add a {kind} record for {host} with the value {value} at your DNS provider.")
            }
            ReasonCode::ChallengePartlyVisible | ReasonCode::PartlyVisible => {
                "Your change is on its way through the DNS. This can take a few minutes.".to_owned()
            }
            ReasonCode::ChallengeWrong | ReasonCode::PointsElsewhere => {
                format!("Change the {kind} record for {host} to {value} at your DNS provider.")
            }
            ReasonCode::ClaimedElsewhere => "This domain is connected to another account.".to_owned(),
            ReasonCode::DeadlinePassed => "The records were not found in time. Add them, then check again.".to_owned(),
            ReasonCode::DnsUnreachable => "Your DNS provider does not answer right now. We keep trying.".to_owned(),
            ReasonCode::StrayAddress => format!("Remove the {kind} record of {host} that does not point to us."),
        }
    }

    fn record(&self) -> String {
        self.fix.as_ref().map_or_else(|| "the hostname".to_owned(), |fix| format!("{} {}", fix.record_type, fix.host))
    }

    fn seen(&self) -> String {
        match self.fix.as_ref().map(|fix| fix.seen.as_slice()) {
            None | Some([]) => "nothing is there".to_owned(),
            Some(seen) => seen.join(", "),
        }
    }
}
