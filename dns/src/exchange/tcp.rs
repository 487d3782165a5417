//! A question over TCP (RFC 7766): two bytes of length, then the message. 64 KiB is the most an answer can be.

use std::net::SocketAddr;

use hickory_proto::op::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{message::Packet, unreachable};
use crate::Reason;

/// Connects, asks and waits for the answer. The caller bounds the wait.
pub(super) async fn carry(server: SocketAddr, packet: &Packet) -> Result<Message, Reason> {
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    let length = u16::try_from(packet.bytes.len()).map_err(|_| Reason::Name)?;
    // One write: a length alone in a segment makes some servers wait for an acknowledgement.
    let framed = [length.to_be_bytes().as_slice(), &packet.bytes].concat();
    stream.write_all(&framed).await.map_err(unreachable)?;
    loop {
        let length = stream.read_u16().await.map_err(unreachable)?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await.map_err(unreachable)?;
        if let Some(answer) = packet.accept(&answer) {
            return answer;
        }
    }
}
