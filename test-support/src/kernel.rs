//! What the kernel says about connections.

use std::net::SocketAddr;

/// Bytes of these connections over IPv4 that were written and not acknowledged, sent or not: of those from `local` if there
/// is one, and to `remote` if there is one.
///
/// # Panics
/// When the kernel's table cannot be read.
pub fn unacknowledged(local: Option<SocketAddr>, remote: Option<SocketAddr>) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    let [local, remote] = [local, remote].map(|address| address.map(spelled));
    let is = |wanted: &Option<String>, there: &str| wanted.as_ref().is_none_or(|wanted| wanted == there);
    table
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let (from, to, queues) = (columns.next()?, columns.next()?, columns.nth(1)?);
            let (written, _) = queues.split_once(':')?;
            (is(&local, from) && is(&remote, to)).then(|| u64::from_str_radix(written, 16).ok()).flatten()
        })
        .sum()
}

/// An address as the table has it: as the machine keeps it, in hexadecimal.
fn spelled(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener, net::TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_is_counted_for_its_connection_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        let (from, to) = (theirs.local_addr().unwrap(), theirs.peer_addr().unwrap());
        assert_eq!(unacknowledged(Some(from), Some(to)), 0);
        let mut written = 0;
        while let Ok(more) = theirs.try_write(&[7; 64 * 1024]) {
            written += more;
        }
        let waits = unacknowledged(Some(from), Some(to));
        assert!(0 < waits && waits <= written as u64, "{waits} of {written}");
        assert_eq!(unacknowledged(Some(to), None), 0);
        ours.read_exact(&mut vec![0; written]).await.unwrap();
        crate::wait::until("all is taken", async || (unacknowledged(None, Some(to)) == 0).then_some(())).await;
    }
}
