//! Doors for the fuzz targets, which stand outside of the workspace. Built with `--cfg fuzzing` only.

use hickory_proto::rr::RecordType;

use crate::{
    Answer, Limits, Role,
    exchange::{Question, Validation, accept},
    reply,
};

/// Reads `message` as the answer to a question for each type that checks ask for, by both kinds of servers.
///
/// # Panics
/// What is present exceeds the limits.
pub fn answer(message: &[u8]) {
    let limits = Limits::default();
    for kind in [RecordType::A, RecordType::CNAME, RecordType::TXT, RecordType::CAA, RecordType::NS] {
        for role in [Role::Authority, Role::Recursive] {
            let name = "shop.example.com".parse().expect("a name");
            let question = Question { name, kind, role, validation: Validation::Usual };
            let Some(message) = accept(&question, message) else { continue };
            let Answer::Present(reply) = reply::read(&message, &question, &limits) else { continue };
            assert!(reply.chain.len() <= limits.max_chain);
            assert!(reply.records.len() <= limits.max_addresses.max(limits.max_records));
        }
    }
}
