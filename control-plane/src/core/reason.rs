//! [`Reason`]: why a connection is not live, told to three readers: programs, the SaaS, and its customer.
//!
//! Of our own reasons only the code and the record are kept; their sentences are made when they are read, so that a
//! better sentence mends old rows too. The findings of `dns` bring their own code and sentences.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// A stable word for programs.
    ReasonCode {
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
        /// We wrote the records, and the zone's servers still know nothing of them.
        RecordsNotServed = "records_not_served",
        /// We write the records.
        RecordsBeingWritten = "records_being_written",
        /// We wrote the records; they are on their way to the zone's servers.
        RecordsWritten = "records_written",
        /// The provider did not take the records: their owner does it.
        WriteRefused = "dns_write_refused",
    }
}

/// Why, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The word: one of [`ReasonCode`], or of the findings of `dns`.
    pub code: String,
    /// The record to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What a name server or authority said, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// For the SaaS, when the code alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The same for its customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_told: Option<String>,
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
        Self { code: code.to_string(), fix: None, detail: None, told: None, user_told: None }
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

    /// Whether it is this one.
    pub fn is(&self, code: ReasonCode) -> bool {
        self.code == code.as_str()
    }

    /// For the SaaS.
    pub fn message(&self) -> String {
        match (&self.told, self.code.parse()) {
            (Some(told), _) => told.clone(),
            (None, Ok(code)) => self.own_message(code),
            (None, Err(_)) => self.code.clone(),
        }
    }

    /// For the customer of the SaaS: what to do, in plain words.
    pub fn user_message(&self) -> String {
        match (&self.user_told, self.code.parse()) {
            (Some(told), _) => told.clone(),
            (None, Ok(code)) => self.own_user_message(code),
            (None, Err(_)) => self.message(),
        }
    }

    fn own_message(&self, code: ReasonCode) -> String {
        let record = self.record();
        let seen = self.seen();
        let said = self.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        match code {
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
            ReasonCode::RecordsNotServed => {
                format!(
                    "the records were written, but the servers that the name is delegated to do not show them{said}"
                )
            }
            ReasonCode::RecordsBeingWritten => format!("the records are being written at the DNS provider{said}"),
            ReasonCode::RecordsWritten => {
                format!("the records were written; the zone's name servers do not show them yet{said}")
            }
            ReasonCode::WriteRefused => format!("the records were not written{said}"),
        }
    }

    fn own_user_message(&self, code: ReasonCode) -> String {
        let (host, kind) = self.fix.as_ref().map_or(("your domain", "DNS"), |fix| (&fix.host, &fix.record_type));
        let value = self.fix.as_ref().and_then(|fix| fix.expected.as_deref()).unwrap_or("the value shown");
        match code {
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
            ReasonCode::RecordsNotServed => {
                "Your records were added, but your domain uses other name servers than those of the account that we were \
                 given. Check at your registrar which name servers it uses."
                    .to_owned()
            }
            ReasonCode::RecordsBeingWritten => "We are adding the records for you.".to_owned(),
            ReasonCode::RecordsWritten => {
                "Your records were added. They are on their way through the DNS; this can take a few minutes.".to_owned()
            }
            ReasonCode::WriteRefused => "We could not add the records for you. Add them at your DNS provider.".to_owned(),
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
