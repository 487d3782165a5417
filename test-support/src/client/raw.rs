//! [`Raw`]: bytes of one's own on a secured connection, and what comes back.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::Visit;

/// How long anything that must come may take; only a failing test reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// An HTTP/1 connection without a library: nothing is checked, completed or repaired.
#[derive(Debug)]
pub struct Raw<S = TlsStream<TcpStream>> {
    stream: S,
    came: Vec<u8>,
}

/// A response, read by its framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// Status line and fields, lower case.
    pub head: String,
    /// The body; that of a chunked response without its framing.
    pub body: Vec<u8>,
}

impl Visit {
    /// Goes on with bytes of one's own.
    pub fn raw(self) -> Raw {
        Raw::over(self.stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Over any stream.
    pub fn over(stream: S) -> Self {
        Self { stream, came: Vec::new() }
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the peer has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next response; `None` when the connection ends before it is whole.
    ///
    /// # Panics
    /// When nothing comes within a minute, or what comes is no response.
    pub async fn response(&mut self) -> Option<RawResponse> {
        self.response_to("GET").await
    }

    /// The next response, which has no body when it answers HEAD.
    ///
    /// # Panics
    /// As [`response`](Self::response).
    pub async fn response_to(&mut self, method: &str) -> Option<RawResponse> {
        let end = self.until(|came| came.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)).await?;
        let head = String::from_utf8_lossy(&self.take(end)).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no response: {head:?}"));
        let body = match value(&head, "content-length") {
            _ if method == "HEAD" || matches!(status, 100..200 | 204 | 304) => Vec::new(),
            Some(length) => {
                let length: usize = length.parse().unwrap();
                self.until(|came| (came.len() >= length).then_some(length)).await?;
                self.take(length)
            }
            None if value(&head, "transfer-encoding") == Some("chunked") => self.chunks().await?,
            None => self.rest().await,
        };
        Some(RawResponse { status, head, body })
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.until(|came| came.windows(2).position(|bytes| bytes == b"\r\n").map(|at| at + 2)).await?;
            let line = self.take(end);
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
            self.until(|came| (came.len() >= size + 2).then_some(size)).await?;
            body.extend(self.take(size));
            self.take(2);
            if size == 0 {
                return Some(body);
            }
        }
    }

    /// Everything until the connection ends, by a close or a reset.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub async fn rest(&mut self) -> Vec<u8> {
        let _ = self.until(|_| None::<()>).await;
        std::mem::take(&mut self.came)
    }

    /// Waits until there are this many bytes that no response has taken, and takes them.
    pub async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        self.until(|came| (came.len() >= count).then_some(())).await?;
        Some(self.take(count))
    }

    /// Whether bytes are there, or come within this time.
    pub async fn hears_within(&mut self, time: Duration) -> bool {
        !self.came.is_empty() || timeout(time, self.read()).await.is_ok_and(|more| more)
    }

    async fn until<T>(&mut self, look: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = look(&self.came) {
                return Some(found);
            }
            let more = timeout(LIMIT, self.read()).await;
            if !more.expect("the peer must answer or close within a minute") {
                return None;
            }
        }
    }

    async fn read(&mut self) -> bool {
        // A reset ends a connection as well as a close does.
        self.stream.read_buf(&mut self.came).await.unwrap_or(0) > 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.came.split_off(count);
        std::mem::replace(&mut self.came, rest)
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(':').filter(|(found, _)| *found == name);
    head.lines().find_map(named).map(|(_, value)| value.trim())
}
