//! [`Reply`]: what a message says about one name and type, CNAMEs followed, within the limits.

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType},
};

use crate::{
    Absence, Answer, Limits, OwnerName, Reason, Role,
    exchange::{Question, failure, is_kind},
};

/// Records of one type at the end of a CNAME chain. At least one of both is not empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// The names that the chain leads through, without the one asked for.
    pub(crate) chain: Vec<OwnerName>,
    /// The records at its end.
    pub(crate) records: Vec<RData>,
    /// Why the end of the chain is not known, if so.
    pub(crate) open: Option<Reason>,
    /// Other types that stand beside a CNAME at the name asked for, against RFC 1034 section 3.6.2.
    pub(crate) beside: Vec<RecordType>,
}

/// Reads a message as the answer of a server in its role.
pub(crate) fn read(message: &Message, question: &Question, limits: &Limits) -> Answer<Reply> {
    if let Some(reason) = failure(message) {
        return Answer::Indeterminate(reason);
    }
    if is_not_responsible(message, question.role) {
        return Answer::Indeterminate(Reason::NotResponsible);
    }
    match collect(message, question, limits) {
        Err(reason) => Answer::Indeterminate(reason),
        Ok(reply) if reply.chain.is_empty() && reply.records.is_empty() => Answer::Absent(absence(message)),
        Ok(reply) => Answer::Present(reply),
    }
}

/// The zone that the authority section of a negative answer names.
pub(crate) fn zone_of(message: &Message) -> Option<OwnerName> {
    let soa = message.authorities.iter().find(|record| is_kind(record, RecordType::SOA))?;
    Some(OwnerName::from_answer(&soa.name))
}

/// A server of the zone must say that it is one (AA). A resolver that hands out a referral has not resolved; without
/// this both would read as NODATA.
fn is_not_responsible(message: &Message, role: Role) -> bool {
    if message.metadata.authoritative {
        return false;
    }
    match role {
        Role::Authority => true,
        Role::Recursive => {
            message.answers.is_empty()
                && zone_of(message).is_none()
                && message.authorities.iter().any(|record| is_kind(record, RecordType::NS))
        }
    }
}

fn absence(message: &Message) -> Absence {
    match message.metadata.response_code {
        ResponseCode::NXDomain => Absence::NoName,
        _ => Absence::NoData,
    }
}

fn collect(message: &Message, question: &Question, limits: &Limits) -> Result<Reply, Reason> {
    let chain = match question.kind {
        RecordType::CNAME => Vec::new(),
        _ => chain(&message.answers, &question.name, limits)?,
    };
    let end = chain.last().unwrap_or(&question.name);
    let allowed = match question.kind {
        RecordType::A | RecordType::AAAA => limits.max_addresses,
        _ => limits.max_records,
    };
    let at_end = at(&message.answers, end).filter(|record| is_kind(record, question.kind));
    let records: Vec<RData> = at_end.take(allowed + 1).map(|record| record.data.clone()).collect();
    match records.len() > allowed {
        true => Err(Reason::TooMany),
        false => Ok(Reply { beside: beside(&message.answers, &question.name), chain, records, open: None }),
    }
}

/// Follows CNAMEs from `name` through the answer section, in whatever order it is.
fn chain(answers: &[Record], name: &OwnerName, limits: &Limits) -> Result<Vec<OwnerName>, Reason> {
    let mut chain = Vec::new();
    let mut last = name.clone();
    while let Some(target) = alias(answers, &last) {
        if target == *name || chain.contains(&target) {
            return Err(Reason::ChainLoop);
        }
        if chain.len() == limits.max_chain {
            return Err(Reason::ChainTooLong);
        }
        chain.push(target.clone());
        last = target;
    }
    Ok(chain)
}

fn alias(answers: &[Record], name: &OwnerName) -> Option<OwnerName> {
    at(answers, name).find_map(|record| match &record.data {
        RData::CNAME(target) => Some(OwnerName::from_answer(target)),
        _ => None,
    })
}

fn at<'a>(answers: &'a [Record], name: &'a OwnerName) -> impl Iterator<Item = &'a Record> {
    answers.iter().filter(|record| record.name == *name.as_name())
}

fn beside(answers: &[Record], name: &OwnerName) -> Vec<RecordType> {
    if alias(answers, name).is_none() {
        return Vec::new();
    }
    let mut kinds: Vec<_> = at(answers, name).map(Record::record_type).filter(|kind| stands_alone(*kind)).collect();
    kinds.dedup();
    kinds
}

/// DNSSEC's own records and the DNAME that a CNAME was made from may stand beside it.
fn stands_alone(kind: RecordType) -> bool {
    !matches!(kind, RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | RecordType::DNAME)
}
