//! Small requests over HTTP/2, several streams at a time on each connection.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};

use super::client;
use crate::{
    bed::Bed,
    client::{Alpn, Client, Sessions},
    load::{Effort, Sample, Worker, cpu_per_operation},
    origin::SMALL_BYTES,
    pki,
    server::Server,
};

const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;
/// Large enough that no stream of the bench ever waits for a window update.
const WINDOW: u32 = 1024 * 1024;

pub(super) async fn sample(server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
    let client = client(server, bed, Alpn::Http2, Sessions::Forgotten)?;
    let mut streams = Vec::with_capacity(CONNECTIONS * STREAMS);
    for _ in 0..CONNECTIONS {
        let connection = connect(&client).await?;
        streams.extend((0..STREAMS).map(|_| Stream { connection: connection.clone() }));
    }
    cpu_per_operation(&server.tree, streams, effort).await
}

async fn connect(client: &Client) -> Result<SendRequest<Bytes>> {
    let stream = client.connect().await?;
    ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "the server did not choose h2");
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(stream)
        .await?;
    // It ends when the last stream's handle is gone; what goes wrong on it is seen by the streams.
    tokio::spawn(connection);
    Ok(requests)
}

struct Stream {
    connection: SendRequest<Bytes>,
}

impl Worker for Stream {
    async fn operate(&mut self) -> Result<()> {
        let mut ready = self.connection.clone().ready().await?;
        let (response, _) = ready.send_request(request()?, true)?;
        let response = response.await?;
        ensure!(response.status() == StatusCode::OK, "answered {}", response.status());
        let mut body = response.into_body();
        let mut received = 0;
        while let Some(piece) = body.data().await {
            let piece = piece?;
            received += piece.len();
            body.flow_control().release_capacity(piece.len())?;
        }
        ensure!(received == SMALL_BYTES, "the body has {received} bytes");
        Ok(())
    }
}

fn request() -> Result<Request<()>> {
    Request::get(format!("https://{}/", pki::NAME))
        .header("user-agent", "namegate-bench/1")
        .header("accept", "*/*")
        .header("accept-language", "en-GB,en;q=0.8")
        .header("cookie", "session=4bf92f3577b34da6a3ce929d0e0e4736")
        .body(())
        .context("a valid request")
}
