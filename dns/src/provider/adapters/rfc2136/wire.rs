//! [`Exchange`]: one signed conversation over TCP (RFC 7766, RFC 8945).

use std::net::SocketAddr;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Record as Wire, RecordType, TSigVerifier, TSigner},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::problem;
use crate::provider::{error::Problem, http::Http};

const BROKEN: Problem = Problem::Transient("the connection broke");
const UNSIGNED: Problem = Problem::Transient("an answer without a valid signature");
const OTHER: Problem = Problem::Transient("an answer to another question");

/// A connection with a key.
pub(super) struct Exchange<'a> {
    stream: TcpStream,
    signer: &'a TSigner,
    http: &'a Http,
}

impl<'a> Exchange<'a> {
    /// Dials the addresses in turn.
    pub(super) async fn open(addresses: &[SocketAddr], signer: &'a TSigner, http: &'a Http) -> Result<Self, Problem> {
        for address in addresses {
            let dialled = tokio::time::timeout(http.limits.connect, TcpStream::connect(address)).await;
            if let Ok(Ok(stream)) = dialled {
                return Ok(Self { stream, signer, http });
            }
        }
        Err(Problem::Transient("no connection could be made"))
    }

    /// Asks one question with one answer.
    pub(super) async fn ask(&mut self, message: Message) -> Result<Message, Problem> {
        let id = message.metadata.id;
        let mut verifier = self.send(message).await?;
        self.receive(id, &mut verifier).await
    }

    /// Asks for a zone: records come in as many messages as they need, from one SOA to the same again.
    pub(super) async fn transfer(&mut self, message: Message) -> Result<Vec<Wire>, Problem> {
        let id = message.metadata.id;
        let mut verifier = self.send(message).await?;
        let mut all: Vec<Wire> = Vec::new();
        loop {
            let answer = self.receive(id, &mut verifier).await?;
            if answer.metadata.response_code != ResponseCode::NoError {
                return Err(problem(answer.metadata.response_code));
            }
            let soa = |record: &&Wire| record.record_type() == RecordType::SOA;
            if all.is_empty() && answer.answers.first().filter(soa).is_none() {
                return Err(Problem::Transient("a transfer that does not begin with the zone's SOA"));
            }
            all.extend(answer.answers);
            if all.len() > 1 && all.last().filter(soa).is_some() {
                return Ok(all);
            }
            if all.len() > self.http.limits.records {
                return Err(Problem::TooLarge("records of one zone"));
            }
        }
    }

    async fn send(&mut self, mut message: Message) -> Result<TSigVerifier, Problem> {
        let now = self.http.clock.now().as_secs();
        let signed = message.finalize(self.signer, now).map_err(|_| Problem::Invalid)?;
        let bytes = message.to_vec().map_err(|_| Problem::Invalid)?;
        let length = u16::try_from(bytes.len()).map_err(|_| Problem::TooLarge("bytes of one update"))?;
        let framed = [length.to_be_bytes().as_slice(), &bytes].concat();
        self.stream.write_all(&framed).await.map_err(|_| BROKEN)?;
        signed.ok_or(Problem::Invalid)
    }

    async fn receive(&mut self, id: u16, verifier: &mut TSigVerifier) -> Result<Message, Problem> {
        let length = self.stream.read_u16().await.map_err(|_| BROKEN)?;
        let mut bytes = vec![0; length.into()];
        self.stream.read_exact(&mut bytes).await.map_err(|_| BROKEN)?;
        let message = Message::from_vec(&bytes).map_err(|_| Problem::Transient("an answer that is no message"))?;
        if message.metadata.id != id {
            return Err(OTHER);
        }
        if verifier.verify(&bytes).is_ok() {
            return Ok(message);
        }
        // The one thing that can be said without a signature: that ours is not accepted (RFC 8945 section 5.2).
        match message.metadata.response_code {
            ResponseCode::NotAuth => Err(Problem::Auth),
            _ => Err(UNSIGNED),
        }
    }
}
