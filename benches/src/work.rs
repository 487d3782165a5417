//! The works that are compared, one module each.

mod download;
mod full_handshake;
mod http1;
mod http2;
mod idle;
mod resumed_handshake;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    bed::Bed,
    client::{Alpn, Client, Groups, Sessions},
    load::{Effort, Sample},
    server::{Kind, Server},
};

/// What is done to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// TCP connect, full TLS 1.3 handshake (X25519), one request.
    FullHandshake,
    /// The same with X25519MLKEM768, for the servers that speak it.
    FullHandshakeHybrid,
    /// TCP connect, handshake from a ticket, one request.
    ResumedHandshake,
    /// One HTTP/1.1 request on a connection that is kept.
    Http1,
    /// One HTTP/2 request among several streams of a connection that is kept.
    Http2,
    /// One answer of 10 MiB.
    Download,
    /// One connection that has made a request and waits.
    Idle,
}

impl Work {
    /// All of them, in the order they are measured and shown.
    pub const ALL: [Self; 7] = [
        Self::FullHandshake,
        Self::FullHandshakeHybrid,
        Self::ResumedHandshake,
        Self::Http1,
        Self::Http2,
        Self::Download,
        Self::Idle,
    ];

    /// What it is called in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::FullHandshake => "full TLS 1.3 handshake + 1 request",
            Self::FullHandshakeHybrid => "the same with X25519MLKEM768",
            Self::ResumedHandshake => "resumed handshake + 1 request",
            Self::Http1 => "HTTP/1.1 keep-alive request",
            Self::Http2 => "HTTP/2 request",
            Self::Download => "10 MiB response",
            Self::Idle => "idle TLS connection",
        }
    }

    /// The same in the chart.
    pub const fn short(self) -> &'static str {
        match self {
            Self::FullHandshake => "full handshake, CPU",
            Self::FullHandshakeHybrid => "post-quantum handshake, CPU",
            Self::ResumedHandshake => "resumed handshake, CPU",
            Self::Http1 => "HTTP/1.1 request, CPU",
            Self::Http2 => "HTTP/2 request, CPU",
            Self::Download => "10 MiB response, CPU",
            Self::Idle => "idle connection, memory",
        }
    }

    /// What its cost is counted in.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Idle => "KiB",
            _ => "CPU µs",
        }
    }

    /// How the load is made, for the notes.
    pub const fn method(self) -> &'static str {
        match self {
            Self::FullHandshake | Self::FullHandshakeHybrid | Self::ResumedHandshake => "8 connections at a time",
            Self::Http1 => "16 connections, one request at a time on each",
            Self::Http2 => "4 connections, 8 streams at a time on each",
            Self::Download => "4 connections, one request at a time on each",
            Self::Idle => "memory (Pss) of all its processes before and after opening the connections",
        }
    }

    /// Whether a server that runs already must not be used: what it has learned hides what it takes.
    pub const fn needs_fresh_server(self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Measures it once on a server.
    pub async fn sample(self, server: &Server, bed: &Bed, effort: &Effort) -> Result<Sample> {
        match self {
            Self::FullHandshake => full_handshake::sample(server, bed, effort, Groups::Classic).await,
            Self::FullHandshakeHybrid => full_handshake::sample(server, bed, effort, Groups::Hybrid).await,
            Self::ResumedHandshake => resumed_handshake::sample(server, bed, effort).await,
            Self::Http1 => http1::sample(server, bed, effort).await,
            Self::Http2 => http2::sample(server, bed, effort).await,
            Self::Download => download::sample(server, bed, effort).await,
            Self::Idle => idle::sample(server, bed, effort).await,
        }
    }

    /// Why a server cannot do it, if it is known beforehand.
    pub fn possible_on(self, server: Kind) -> Result<()> {
        match self {
            Self::Http2 if !server.speaks_h2() => bail!("speaks no HTTP/2"),
            _ => Ok(()),
        }
    }
}

/// A client of `server` with the groups every server speaks.
fn client(server: &Server, bed: &Bed, alpn: Alpn, sessions: Sessions) -> Result<Client> {
    Client::new(server.address, &bed.identity.root, alpn, Groups::Classic, sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_not_asked_for_http2() {
        assert!(Work::Http2.possible_on(Kind::Floor).is_err());
        assert!(Work::ALL.iter().all(|work| work.possible_on(Kind::Namegate).is_ok()));
    }
}
