//! Visitors who have asked once and keep their connection: what each takes of the server's memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client;
use crate::{
    bed::Bed,
    client::{Alpn, Answers, Client, Sessions, request},
    load::{Effort, Sample},
    pki,
    server::Server,
};

/// Opened and closed again before the first reading, so that what a server allocates once is not counted per connection.
const WARM_UP: usize = 64;
/// Opened at a time.
const AT_A_TIME: usize = 32;
/// Until a server has put away what it freed when the last request ended.
const SETTLE: Duration = Duration::from_millis(500);

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let client = client(server, bed, Alpn::Http1, Sessions::Forgotten)?;
    drop(open(&client, WARM_UP).await?);
    tokio::time::sleep(SETTLE).await;

    let before = server.tree.memory_kib()?;
    let connections = open(&client, effort.idle_connections).await?;
    tokio::time::sleep(SETTLE).await;
    let after = server.tree.memory_kib()?;
    ensure!(after > before, "its memory did not grow");

    let cost = (after - before) as f64 / connections.len() as f64;
    require_alive(connections).await?;
    Ok(Sample { cost, p50_us: None, p99_us: None })
}

async fn open(client: &Client, count: usize) -> Result<Vec<TlsStream<TcpStream>>> {
    stream::iter(0..count).map(|_| asked_once(client)).buffer_unordered(AT_A_TIME).try_collect().await
}

async fn asked_once(client: &Client) -> Result<TlsStream<TcpStream>> {
    let mut stream = client.connect().await?;
    Answers::default().exchange(&mut stream, &request(pki::NAME, "/")).await?;
    Ok(stream)
}

/// A connection that was closed behind our back would have cost nothing: the first and the last still answer.
async fn require_alive(mut connections: Vec<TlsStream<TcpStream>>) -> Result<()> {
    let last = connections.pop();
    for mut stream in connections.into_iter().take(1).chain(last) {
        Answers::default().exchange(&mut stream, &request(pki::NAME, "/")).await?;
    }
    Ok(())
}
