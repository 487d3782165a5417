//! [`BadOrigin`]: an origin that refuses, hangs, resets or talks nonsense.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Loopback, server::Server};

/// Nothing ever listens here on a [`Loopback`].
const CLOSED_PORT: u16 = 1998;

/// What a [`BadOrigin`] does with each connection, once a first piece of the request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Ends the connection without a byte, before it has read anything.
    CloseAtOnce,
    /// Never answers.
    Hang,
    /// Sends bytes that are not HTTP.
    Nonsense,
    /// Nothing listens.
    Refuse,
    /// Resets the connection in the middle of its body.
    ResetMidBody,
    /// Resets the connection in the middle of its header.
    ResetMidHeaders,
    /// Sends a good answer, but its header only after this time.
    SlowHeaders(Duration),
}

/// A listener with a [`Misbehaviour`].
#[derive(Debug)]
pub struct BadOrigin {
    address: SocketAddr,
    server: Option<Server>,
}

impl BadOrigin {
    /// Starts it on `host`.
    pub async fn start(host: &Loopback, how: Misbehaviour) -> Self {
        if how == Misbehaviour::Refuse {
            return Self { address: host.at(CLOSED_PORT), server: None };
        }
        let server = Server::start_raw(host.at(0), move |tcp| misbehave(tcp, how)).await;
        Self { address: server.address, server: Some(server) }
    }

    /// `http://address:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.server.as_ref().map_or(0, Server::connections)
    }
}

async fn misbehave(mut tcp: TcpStream, how: Misbehaviour) {
    if how == Misbehaviour::CloseAtOnce {
        return;
    }
    let mut request = [0; 4096];
    let _ = tcp.read(&mut request).await;
    let _ = match how {
        Misbehaviour::Nonsense => tcp.write_all(b"\x00\xffwhat is HTTP?\r\n\r\n\x16\x03").await,
        Misbehaviour::ResetMidBody => reset(&mut tcp, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123").await,
        Misbehaviour::ResetMidHeaders => reset(&mut tcp, b"HTTP/1.1 200 OK\r\ncontent-le").await,
        Misbehaviour::SlowHeaders(wait) => {
            tokio::time::sleep(wait).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
        }
        Misbehaviour::CloseAtOnce | Misbehaviour::Hang | Misbehaviour::Refuse => std::future::pending().await,
    };
}

/// Sends this much, gives it time to be read, and resets.
async fn reset(tcp: &mut TcpStream, start: &[u8]) -> std::io::Result<()> {
    tcp.write_all(start).await?;
    // A reset overtakes data that the peer has not read: it would see none of it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    tcp.set_zero_linger()
}
