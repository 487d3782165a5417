//! [`Packet`]: a question as bytes, and which answers belong to it.

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, RecordType,
        rdata::opt::{EdnsCode, EdnsOption},
    },
};

use super::{Question, Validation};
use crate::{Reason, Role, limits::UDP_PAYLOAD};

/// The option of extended errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edns {
    On,
    Off,
}

/// A question that is ready to be sent.
pub(super) struct Packet {
    id: u16,
    query: Query,
    pub(super) bytes: Vec<u8>,
}

impl Packet {
    pub(super) fn new(question: &Question, edns: Edns) -> Result<Self, Reason> {
        let id = rand::random();
        let query = Query::query(question.name.as_name().clone(), question.kind);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = question.role == Role::Recursive;
        message.metadata.checking_disabled = question.validation == Validation::Off;
        message.add_query(query.clone());
        if edns == Edns::On {
            let mut edns = hickory_proto::op::Edns::new();
            edns.set_max_payload(UDP_PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        Ok(Self { id, query, bytes: message.to_vec().map_err(|_| Reason::Name)? })
    }

    /// The answer in these bytes; `None` when they belong to another question (or to nobody's).
    pub(super) fn accept(&self, bytes: &[u8]) -> Option<Result<Message, Reason>> {
        if bytes.get(..2) != Some(self.id.to_be_bytes().as_slice()) {
            return None;
        }
        let Ok(message) = Message::from_vec(bytes) else { return Some(Err(Reason::Malformed)) };
        let echoed = matches!(message.queries.as_slice(), [query] if self.echoes(query));
        // Some servers refuse without repeating the question. Such an answer can only say that nothing is known.
        let bare_refusal = message.queries.is_empty() && !speaks(message.metadata.response_code);
        let ours = message.metadata.message_type == MessageType::Response && (echoed || bare_refusal);
        ours.then_some(Ok(message))
    }

    fn echoes(&self, query: &Query) -> bool {
        query.query_type == self.query.query_type && query.query_class == DNSClass::IN && query.name == self.query.name
    }
}

/// Whether the code says something about the zone.
fn speaks(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// The error that an answer stands for, if it is one.
pub(crate) fn failure(message: &Message) -> Option<Reason> {
    match message.metadata.response_code {
        code if speaks(code) => None,
        ResponseCode::ServFail if extended_errors(message).any(is_bogus) => Some(Reason::Bogus),
        ResponseCode::ServFail => Some(Reason::ServFail),
        ResponseCode::Refused | ResponseCode::NotAuth => Some(Reason::Refused),
        _ => Some(Reason::Error),
    }
}

fn extended_errors(message: &Message) -> impl Iterator<Item = u16> + '_ {
    let options = message.edns.iter().flat_map(|edns| edns.options().options.iter());
    options.filter_map(|(code, option)| match (code, option) {
        (EdnsCode::Unknown(EXTENDED_ERROR), EdnsOption::Unknown(_, data)) => {
            Some(u16::from_be_bytes(data.get(..2)?.try_into().ok()?))
        }
        _ => None,
    })
}

/// From "DNSSEC indeterminate" to "NSEC missing", and an unsupported NSEC3 iteration count.
fn is_bogus(code: u16) -> bool {
    matches!(code, 5..=12 | 27)
}

/// Whether a record of an answer has this type; helps tests and the reader to avoid the codec's names.
pub(crate) fn is_kind(record: &hickory_proto::rr::Record, kind: RecordType) -> bool {
    record.dns_class == DNSClass::IN && record.record_type() == kind
}
