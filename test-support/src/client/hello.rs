//! ClientHellos written byte by byte: server names that rustls refuses to send.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The server name extension of a hand-written ClientHello.
#[derive(Debug, Clone, Copy)]
pub enum Sni<'a> {
    /// No such extension.
    Absent,
    /// These bytes as `host_name`, whatever they are.
    Name(&'a [u8]),
}

/// What a server says to a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloAnswer {
    /// An alert with its level (2 is fatal) and its number (112 is `unrecognized_name`).
    Alert {
        /// 1 is a warning, 2 is fatal.
        level: u8,
        /// The number of the alert (RFC 8446 section 6).
        description: u8,
    },
    /// The connection ended without a byte.
    Closed,
    /// A handshake record: the server goes on.
    ServerHello,
    /// A record of another type.
    Other(u8),
}

/// Sends a ClientHello with this server name and returns the first thing that comes back.
///
/// # Errors
/// When there is no connection.
pub async fn send_hello(address: SocketAddr, sni: Sni<'_>) -> io::Result<HelloAnswer> {
    send_bytes(address, &hello_bytes(sni)).await
}

/// Sends anything at all and reads the first TLS record of the answer.
///
/// # Errors
/// When there is no connection.
pub async fn send_bytes(address: SocketAddr, bytes: &[u8]) -> io::Result<HelloAnswer> {
    let mut tcp = TcpStream::connect(address).await?;
    // A server that has heard enough may close before all is sent: then its answer counts, not our broken pipe.
    let _ = tcp.write_all(bytes).await;
    let mut record = [0; 7];
    match tcp.read_exact(&mut record).await {
        Ok(_) => Ok(answer(record)),
        Err(_) => Ok(HelloAnswer::Closed),
    }
}

fn answer([kind, _, _, _, _, first, second]: [u8; 7]) -> HelloAnswer {
    match kind {
        21 => HelloAnswer::Alert { level: first, description: second },
        22 => HelloAnswer::ServerHello,
        other => HelloAnswer::Other(other),
    }
}

/// A ClientHello record: TLS 1.3 and 1.2, X25519, the usual suites.
pub fn hello_bytes(sni: Sni<'_>) -> Vec<u8> {
    let mut hello = vec![0x03, 0x03];
    hello.extend([0x5a; 32]); // random
    hello.push(0); // no session id
    hello.extend(with_length16(&[0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f]));
    hello.extend([1, 0]); // no compression
    hello.extend(with_length16(&extensions(sni)));
    let length = u32::try_from(hello.len()).unwrap().to_be_bytes();
    let mut message = vec![0x01];
    message.extend(&length[1..]);
    message.extend(hello);
    let mut record = vec![22, 0x03, 0x01];
    record.extend(with_length16(&message));
    record
}

fn extensions(sni: Sni<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Sni::Name(name) = sni {
        let mut entry = vec![0];
        entry.extend(with_length16(name));
        all.extend(extension(0, &with_length16(&entry)));
    }
    // X25519 takes any 32 bytes as a public key; 9 is the curve's own base point.
    let mut share = vec![0x00, 0x1d];
    share.extend(with_length16(&[9; 32]));
    all.extend(extension(10, &with_length16(&[0x00, 0x1d])));
    all.extend(extension(11, &[1, 0]));
    all.extend(extension(13, &with_length16(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])));
    all.extend(extension(23, &[]));
    all.extend(extension(43, &[4, 0x03, 0x04, 0x03, 0x03]));
    all.extend(extension(51, &with_length16(&share)));
    all
}

fn extension(number: u16, content: &[u8]) -> Vec<u8> {
    let mut extension = number.to_be_bytes().to_vec();
    extension.extend(with_length16(content));
    extension
}

fn with_length16(content: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    out.extend(content);
    out
}
