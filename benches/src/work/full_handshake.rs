//! A new visitor: TCP, a full handshake, one request, closed politely.

use anyhow::Result;
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;

use crate::{
    bed::Bed,
    client::{Alpn, Answers, Client, Groups, Sessions, request, require_kind},
    load::{Effort, Sample, Worker, cpu_per_operation},
    pki,
    server::Server,
};

/// Visitors at a time: enough that the server never waits for the client, few enough that no queue is measured.
pub(super) const AT_A_TIME: usize = 8;

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort, groups: Groups) -> Result<Sample> {
    let client = Client::new(server.address, &bed.identity.root, Alpn::Http1, groups, Sessions::Forgotten)?;
    let visitor = || Visitor {
        client: client.clone(),
        kind: HandshakeKind::Full,
        request: request(pki::NAME, "/"),
        answers: Answers::default(),
    };
    cpu_per_operation(&server.tree, (0..AT_A_TIME).map(|_| visitor()).collect(), effort).await
}

/// Connects, asks once and leaves.
pub(super) struct Visitor {
    pub(super) client: Client,
    pub(super) kind: HandshakeKind,
    pub(super) request: Vec<u8>,
    pub(super) answers: Answers,
}

impl Worker for Visitor {
    async fn operate(&mut self) -> Result<()> {
        let mut stream = self.client.connect().await?;
        require_kind(&stream, self.kind)?;
        self.answers.exchange(&mut stream, &self.request).await?;
        // The other side may have closed first; the operation is done either way.
        let _ = stream.shutdown().await;
        Ok(())
    }
}
