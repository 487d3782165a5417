//! What replies hold, in our own types: addresses, texts, CAA properties.

use std::net::IpAddr;

use hickory_proto::rr::RData;
use serde::Serialize;

use crate::{Absence, Answer, OwnerName, Reason, reply::Reply};

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The names that CNAMEs lead through.
    pub chain: Vec<OwnerName>,
    /// A and AAAA at the end, ordered.
    pub addresses: Vec<IpAddr>,
    /// Why one of the two types is not known, if so.
    pub unknown: Option<Reason>,
}

/// One CAA property (RFC 8659 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaaRecord {
    /// A CA that does not know the tag must not issue.
    pub critical: bool,
    /// `issue`, `issuewild`, `iodef`, in lower case.
    pub tag: String,
    /// As it stands.
    pub value: String,
}

impl Answer<Vec<String>> {
    /// A chain that ends without a record is no record.
    pub(crate) fn non_empty(self) -> Self {
        match self {
            Self::Present(values) if values.is_empty() => Self::Absent(Absence::NoData),
            other => other,
        }
    }
}

/// Each TXT record's character-strings joined, as RFC 7208 section 3.3 and every CA do it.
pub(crate) fn txt_of(records: &[RData]) -> impl Iterator<Item = String> + '_ {
    records.iter().filter_map(|record| match record {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    })
}

/// The properties of a CAA answer.
pub(crate) fn caa_of(records: &[RData]) -> Vec<CaaRecord> {
    let properties = records.iter().filter_map(|record| match record {
        RData::CAA(caa) => Some(CaaRecord {
            critical: caa.issuer_critical,
            tag: caa.tag.to_ascii_lowercase(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        }),
        _ => None,
    });
    properties.collect()
}

/// The servers of an MX answer.
pub(crate) fn mail_of(records: &[RData]) -> Vec<(u16, OwnerName)> {
    let servers = records.iter().filter_map(|record| match record {
        RData::MX(mail) => Some((mail.preference, OwnerName::from_answer(&mail.exchange))),
        _ => None,
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_unstable();
    servers
}

/// Both address types as one answer. One type that is there is an answer; one that is absent is not.
pub(crate) fn addresses_of(v4: &Answer<Reply>, v6: &Answer<Reply>) -> Answer<Addresses> {
    match (v4, v6) {
        (Answer::Present(one), Answer::Present(other)) => Answer::Present(joined(&[one, other], None)),
        (Answer::Present(one), other) | (other, Answer::Present(one)) => {
            Answer::Present(joined(&[one], reason_of(other)))
        }
        (Answer::Indeterminate(reason), _) | (_, Answer::Indeterminate(reason)) => Answer::Indeterminate(*reason),
        (Answer::Absent(Absence::NoName), _) | (_, Answer::Absent(Absence::NoName)) => Answer::Absent(Absence::NoName),
        (Answer::Absent(Absence::NoData), Answer::Absent(Absence::NoData)) => Answer::Absent(Absence::NoData),
    }
}

/// The address in a record of type A or AAAA.
pub(crate) fn ip_of(record: &RData) -> Option<IpAddr> {
    match record {
        RData::A(ip) => Some(ip.0.into()),
        RData::AAAA(ip) => Some(ip.0.into()),
        _ => None,
    }
}

fn joined(replies: &[&Reply], unknown: Option<Reason>) -> Addresses {
    let mut addresses: Vec<_> = replies.iter().flat_map(|reply| reply.records.iter().filter_map(ip_of)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let chain = replies.iter().map(|reply| &reply.chain).max_by_key(|chain| chain.len()).cloned().unwrap_or_default();
    Addresses { chain, addresses, unknown: unknown.or_else(|| replies.iter().find_map(|reply| reply.open)) }
}

fn reason_of<T>(answer: &Answer<T>) -> Option<Reason> {
    match answer {
        Answer::Indeterminate(reason) => Some(*reason),
        Answer::Absent(_) | Answer::Present(_) => None,
    }
}
