//! [`BadOrigin`]: an origin that refuses, hangs, resets or talks nonsense.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ticket;
use crate::{Ca, Loopback, body, server::Server};

/// Nothing ever listens here on a [`Loopback`].
const CLOSED_PORT: u16 = 1998;

/// What a [`BadOrigin`] does with each connection, once a first piece of the request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Ends the connection without a byte, before it has read anything.
    CloseAtOnce,
    /// Sends the first bytes of a head and then a byte more of it each time that has passed, without end.
    Drips(Duration),
    /// Sends these bytes of an answer and ends its side of the connection in order.
    Ends(&'static [u8]),
    /// Never answers.
    Hang,
    /// Sends bytes that are not HTTP.
    Nonsense,
    /// Nothing listens.
    Refuse,
    /// Sends the first bytes, then the second ones again and again, as fast as they are taken.
    Repeats(&'static [u8], &'static [u8]),
    /// Resets the connection in the middle of its body.
    ResetMidBody,
    /// Resets the connection in the middle of its header.
    ResetMidHeaders,
    /// Sends these bytes and keeps the connection open.
    Says(&'static [u8]),
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

    /// A good server over TLS, whose certificate has run out. Second: the root that it is from.
    pub async fn expired(host: &Loopback) -> (Self, String) {
        let ca = Ca::new("Namegate test root of an expired certificate");
        let identity = ca.issue_valid(&[&host.ip().to_string()], (2020, 1, 1), (2020, 2, 1));
        let answer = |_| std::future::ready(Ok(body::status(StatusCode::OK)));
        let server = Server::start(host.at(0), Some(identity.server(&["http/1.1"])), answer).await;
        (Self { address: server.address, server: Some(server) }, ca.root_pem())
    }

    /// A server over TLS that answers requests with a session ticket without end, which is no answer. Second: the root that
    /// its certificate is from.
    pub async fn endless_ticket(host: &Loopback) -> (Self, String) {
        let ca = Ca::new("Namegate test root of an endless ticket");
        let tls = ca.issue(&[&host.ip().to_string()]).server(&["http/1.1"]);
        let server = Server::start_raw(host.at(0), move |tcp| {
            let tls = tls.clone();
            async move {
                // The edge hangs up.
                let _ = ticket::serve(tcp, &tls).await;
            }
        })
        .await;
        (Self { address: server.address, server: Some(server) }, ca.root_pem())
    }

    /// `address:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
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
        Misbehaviour::Ends(bytes) => {
            let _ = tcp.write_all(bytes).await;
            let _ = tcp.shutdown().await;
            tcp.read_to_end(&mut Vec::new()).await.map(drop)
        }
        Misbehaviour::Repeats(first, again) => {
            let mut sent = tcp.write_all(first).await;
            while sent.is_ok() {
                sent = tcp.write_all(again).await;
            }
            sent
        }
        Misbehaviour::Drips(pause) => {
            let mut sent = tcp.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
            while sent.is_ok() {
                tokio::time::sleep(pause).await;
                sent = tcp.write_all(b"a").await;
            }
            sent
        }
        Misbehaviour::ResetMidBody => reset(&mut tcp, b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123").await,
        Misbehaviour::ResetMidHeaders => reset(&mut tcp, b"HTTP/1.1 200 OK\r\ncontent-le").await,
        Misbehaviour::SlowHeaders(wait) => {
            tokio::time::sleep(wait).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
        }
        Misbehaviour::Says(bytes) => {
            let _ = tcp.write_all(bytes).await;
            std::future::pending().await
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
