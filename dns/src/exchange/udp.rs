//! A question over UDP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::Message;
use tokio::net::UdpSocket;

use super::{message::Packet, unreachable};
use crate::{Reason, limits::UDP_BUFFER};

/// Sends the packet once and waits for its answer. The caller bounds the wait.
pub(super) async fn carry(server: SocketAddr, packet: &Packet) -> Result<Message, Reason> {
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await.map_err(unreachable)?;
    // Connected: the kernel drops what others send, and tells when nobody listens.
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(&packet.bytes).await.map_err(unreachable)?;
    let mut buffer = vec![0; UDP_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(unreachable)?;
        if let Some(answer) = packet.accept(buffer.get(..length).unwrap_or_default()) {
            return answer;
        }
    }
}
