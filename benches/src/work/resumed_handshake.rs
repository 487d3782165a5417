//! A visitor who comes back: the handshake starts from a ticket of the last visit. A server that does not resume fails
//! the row, it does not get the cost of a full handshake under this name.

use anyhow::Result;
use rustls::HandshakeKind;

use super::{
    client,
    full_handshake::{AT_A_TIME, Visitor},
};
use crate::{
    bed::Bed,
    client::{Alpn, Answers, Sessions, request},
    load::{Effort, Sample, Worker, cpu_per_operation},
    pki,
    server::Server,
};

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let mut visitors = Vec::new();
    for _ in 0..AT_A_TIME {
        visitors.push(returning(server, bed).await?);
    }
    cpu_per_operation(&server.tree, visitors, effort).await
}

/// A visitor with a memory of its own, after the first visit.
async fn returning(server: &Server, bed: &Bed) -> Result<Visitor> {
    let mut visitor = Visitor {
        client: client(server, bed, Alpn::Http1, Sessions::Resumed)?,
        kind: HandshakeKind::Full,
        request: request(pki::NAME, "/"),
        answers: Answers::default(),
    };
    visitor.operate().await?;
    Ok(Visitor { kind: HandshakeKind::Resumed, ..visitor })
}
