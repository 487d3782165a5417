//! Connections to origins for upgrade requests.
//!
//! Pingora runs both directions of an exchange in one task and picks at random when both are ready. If the origin's 101
//! is read before the end of the (empty) request body has been passed on, Pingora takes that end for the end of the
//! tunnel and closes it. A turn of the task between a write and the next read keeps the order: the body's end is waiting
//! by then, and the 101 is not looked at yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use pingora_core::{
    Error, ErrorType, Result,
    connectors::L4Connect,
    protocols::l4::{
        socket::SocketAddr,
        stream::Stream,
        virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

/// Dials an origin for an upgrade request.
#[derive(Debug)]
pub(crate) struct Dial {
    /// Longest time for the TCP connection.
    pub(crate) timeout: Duration,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = address.as_inet().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let connected = timeout(self.timeout, TcpStream::connect(address)).await;
        let tcp = connected.map_err(|_| Error::new_up(ErrorType::ConnectTimedout))?.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        Ok(VirtualSocketStream::new(Box::new(TakingTurns { inner: tcp, wrote: false })).into())
    }
}

fn refused(error: io::Error) -> Box<Error> {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, "dialling an origin for a tunnel", error).into_up()
}

/// A stream whose first read after a write waits for one turn of its task.
#[derive(Debug)]
struct TakingTurns<S> {
    inner: S,
    wrote: bool,
}

impl VirtualSocket for TakingTurns<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.inner.set_nodelay(true),
            VirtualSockOpt::KeepAlive(keepalive) => {
                let settings = socket2::TcpKeepalive::new().with_time(keepalive.idle);
                socket2::SockRef::from(&self.inner).set_tcp_keepalive(&settings.with_interval(keepalive.interval))
            }
            // Options of later versions are wishes about the socket; none that we set.
            _ => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TakingTurns<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TakingTurns<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_first_read_after_a_write_leaves_a_turn_to_others() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = TakingTurns { inner: ours, wrote: false };
        theirs.write_all(b"answer").await.unwrap();
        ours.write_all(b"question").await.unwrap();
        let mut bytes = [0; 6];
        {
            let read = std::pin::pin!(ours.read_exact(&mut bytes));
            assert!(poll_once(read).is_pending());
        }
        ours.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"answer");
    }

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}
