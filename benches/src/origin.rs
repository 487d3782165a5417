//! The origin behind every server: HTTP/1.1 with keep-alive, one small answer, one of 10 MiB, and an ask endpoint that
//! allows everything. It shares the client's core, so it does as little as it can.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::client::head_end;

/// Path of the large answer.
pub const LARGE_PATH: &str = "/10m";
/// Length of the large answer.
pub const LARGE_BYTES: usize = 10 * 1024 * 1024;
/// Path of the ask endpoint.
pub const ASK_PATH: &str = "/ask";
/// Length of the small answer's body: a short JSON or a cached fragment.
pub const SMALL_BYTES: usize = 512;

/// Requests of the bench have no body and a short head; a longer one is not ours.
const MAX_HEAD: usize = 16 * 1024;

/// Opens the origin on a port of the system's choice; it serves as long as the runtime lives.
pub async fn open() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener));
    Ok(address)
}

async fn serve(listener: TcpListener) -> Result<()> {
    let answers = Answers::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that goes away is no event here.
        tokio::spawn(converse(stream, answers.clone()));
    }
}

async fn converse(mut stream: TcpStream, answers: Answers) -> Result<()> {
    let mut head = Vec::with_capacity(2048);
    while head.len() < MAX_HEAD && stream.read_buf(&mut head).await? > 0 {
        let Some(end) = head_end(&head) else { continue };
        stream.write_all(answers.to(&head)).await?;
        head.drain(..end);
    }
    Ok(())
}

#[derive(Clone)]
struct Answers {
    small: Bytes,
    large: Bytes,
    allow: Bytes,
}

impl Answers {
    fn new() -> Self {
        Self { small: answer(SMALL_BYTES), large: answer(LARGE_BYTES), allow: answer(0) }
    }

    fn to(&self, head: &[u8]) -> &[u8] {
        match head.strip_prefix(b"GET ") {
            Some(path) if path.starts_with(LARGE_PATH.as_bytes()) => &self.large,
            Some(path) if path.starts_with(ASK_PATH.as_bytes()) => &self.allow,
            _ => &self.small,
        }
    }
}

fn answer(body: usize) -> Bytes {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-type: text/plain\r\ncache-control: no-store\r\n\
         x-request-id: 0af7651916cd43dd8448eb211c80319c\r\ncontent-length: {body}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + body, b'n');
    answer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_chooses_the_answer() {
        let answers = Answers::new();
        let body = |head: &[u8]| {
            let answer = answers.to(head);
            answer.len() - head_end(answer).expect("an answer has a head")
        };
        assert_eq!(body(b"GET / HTTP/1.1\r\n\r\n"), SMALL_BYTES);
        assert_eq!(body(b"GET /10m HTTP/1.1\r\n\r\n"), LARGE_BYTES);
        assert_eq!(body(b"GET /ask?domain=a.test HTTP/1.1\r\n\r\n"), 0);
    }
}
