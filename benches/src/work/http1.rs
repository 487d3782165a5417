//! Small requests over connections that are kept.

use anyhow::Result;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client;
use crate::{
    bed::Bed,
    client::{Alpn, Answers, Client, Sessions, request},
    load::{Effort, Sample, Worker, cpu_per_operation},
    pki,
    server::Server,
};

const CONNECTIONS: usize = 16;

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let workers = visitors(&client(server, bed, Alpn::Http1, Sessions::Forgotten)?, CONNECTIONS, "/").await?;
    cpu_per_operation(&server.tree, workers, effort).await
}

/// `count` visitors who stay.
pub(super) async fn visitors(client: &Client, count: usize, path: &str) -> Result<Vec<Staying>> {
    let mut visitors = Vec::with_capacity(count);
    for _ in 0..count {
        visitors.push(Staying {
            stream: client.connect().await?,
            request: request(pki::NAME, path),
            answers: Answers::default(),
        });
    }
    Ok(visitors)
}

/// Asks again and again on one connection.
pub(super) struct Staying {
    stream: TlsStream<TcpStream>,
    request: Vec<u8>,
    answers: Answers,
}

impl Worker for Staying {
    async fn operate(&mut self) -> Result<()> {
        self.answers.exchange(&mut self.stream, &self.request).await?;
        Ok(())
    }
}
