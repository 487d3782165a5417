//! The bench's TLS and HTTP/1.1 client: as little work as possible per operation, since it shares a core with the
//! origin. Every client offers the same one cipher suite and key exchange group, so that no server is measured on a
//! cheaper handshake than another.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, RootCertStore,
    client::Resumption,
    crypto::{SupportedKxGroup, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::pki;

/// Which protocol the client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// Which key exchange groups the client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// X25519 alone: what every server speaks.
    Classic,
    /// X25519MLKEM768 alone, for the servers that speak it.
    Hybrid,
    /// Both, the hybrid one first, as browsers do.
    Browser,
}

/// Whether connections remember their sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// Every handshake is a full one.
    Forgotten,
    /// Tickets are kept and used.
    Resumed,
}

/// Connects to one server.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Client {
    /// A client for the server at `address`, trusting `root`.
    pub fn new(
        address: SocketAddr,
        root: &CertificateDer<'static>,
        alpn: Alpn,
        groups: Groups,
        sessions: Sessions,
    ) -> Result<Self> {
        let config = config(root, alpn, groups, sessions)?;
        Ok(Self {
            address,
            name: ServerName::try_from(pki::NAME)?.to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The same client asking for another name.
    pub fn named(&self, name: &str) -> Result<Self> {
        Ok(Self { name: ServerName::try_from(name.to_owned())?, ..self.clone() })
    }

    /// TCP connect and TLS handshake.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.context("TCP connect")?;
        tcp.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), tcp).await.context("TLS handshake")
    }
}

fn config(root: &CertificateDer<'static>, alpn: Alpn, groups: Groups, sessions: Sessions) -> Result<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = kx_groups(groups);
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match alpn {
        Alpn::Http1 => b"http/1.1".to_vec(),
        Alpn::Http2 => b"h2".to_vec(),
    }];
    config.resumption = match sessions {
        Sessions::Forgotten => Resumption::disabled(),
        Sessions::Resumed => Resumption::in_memory_sessions(64),
    };
    Ok(config)
}

fn kx_groups(groups: Groups) -> Vec<&'static dyn SupportedKxGroup> {
    match groups {
        Groups::Classic => vec![aws_lc_rs::kx_group::X25519],
        Groups::Hybrid => vec![aws_lc_rs::kx_group::X25519MLKEM768],
        Groups::Browser => vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519],
    }
}

/// Visits many names at one address, each once, as a person would: whatever it takes to get an answer.
pub struct Visitor {
    client: Client,
}

impl Visitor {
    /// For the server at `address`, trusting `root`.
    pub fn new(address: SocketAddr, root: &CertificateDer<'static>) -> Result<Self> {
        let client = Client::new(address, root, Alpn::Http1, Groups::Classic, Sessions::Forgotten)?;
        Ok(Self { client })
    }

    /// From the TCP connect to the last byte of the answer, in milliseconds.
    pub async fn visit(&self, name: &str) -> Result<f64> {
        let client = self.client.named(name)?;
        let start = Instant::now();
        let mut stream = client.connect().await?;
        Answers::default().exchange(&mut stream, &request(name, "/")).await?;
        Ok(start.elapsed().as_secs_f64() * 1000.0)
    }
}

/// The key exchange group of a finished handshake.
pub fn group_of(stream: &TlsStream<TcpStream>) -> Option<NamedGroup> {
    Some(stream.get_ref().1.negotiated_key_exchange_group()?.name())
}

/// Fails unless the handshake was of the wanted kind: a row that says "resumed" has resumed every time.
pub fn require_kind(stream: &TlsStream<TcpStream>, wanted: HandshakeKind) -> Result<()> {
    let kind = stream.get_ref().1.handshake_kind();
    ensure!(kind == Some(wanted), "the handshake was {kind:?}, not {wanted:?}");
    Ok(())
}

/// A GET as a browser's fetch would send it.
pub fn request(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: namegate-bench/1\r\naccept: */*\r\n\
         accept-language: en-GB,en;q=0.8\r\ncookie: session=4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n"
    )
    .into_bytes()
}

/// Reads answers of one connection into a buffer that is used again for the next.
#[derive(Debug, Default)]
pub struct Answers {
    buffer: Vec<u8>,
}

/// A read takes at most this much, four TLS records.
const READ_BYTES: usize = 64 * 1024;

impl Answers {
    /// Sends `request` and reads the whole answer, which must be 200; gives the length of its body.
    pub async fn exchange<S>(&mut self, stream: &mut S, request: &[u8]) -> Result<usize>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(request).await?;
        stream.flush().await?;
        let (body, mut missing) = self.read_head(stream).await?;
        while missing > 0 {
            self.buffer.clear();
            self.fill(stream).await?;
            missing = missing.checked_sub(self.buffer.len()).context("more body than the answer's length")?;
        }
        Ok(body)
    }

    /// Reads up to the end of the head; gives the body's length and how much of it is still to come.
    async fn read_head<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<(usize, usize)> {
        self.buffer.clear();
        loop {
            self.fill(stream).await?;
            let Some(end) = head_end(&self.buffer) else { continue };
            let (head, rest) = self.buffer.split_at(end);
            ensure!(head.starts_with(b"HTTP/1.1 200"), "answered {}", first_line(head));
            let body = content_length(head).context("an answer without content-length")?;
            return Ok((body, body.checked_sub(rest.len()).context("more body than the answer's length")?));
        }
    }

    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        if stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// Where the body begins, if the whole head is there.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

/// The `content-length` of a head, in whatever case the server writes it.
pub fn content_length(head: &[u8]) -> Option<usize> {
    const FIELD: &[u8] = b"content-length:";
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(FIELD.len())?;
        if !name.eq_ignore_ascii_case(FIELD) {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

fn first_line(head: &[u8]) -> String {
    String::from_utf8_lossy(head).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_found_in_any_case() {
        for head in ["a: b\r\ncontent-length: 12\r\n\r\n", "Content-Length:12\r\n", "a: b\r\nCONTENT-LENGTH:  12 \r\n"]
        {
            assert_eq!(content_length(head.as_bytes()), Some(12), "{head:?}");
        }
        assert_eq!(content_length(b"x-content-length: 1\r\n\r\n"), None);
    }

    #[test]
    fn a_head_ends_at_the_empty_line() {
        assert_eq!(head_end(b"a\r\n\r\nbody"), Some(5));
        assert_eq!(head_end(b"a\r\nb\r\n"), None);
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_whole() {
        let (mut near, mut far) = tokio::io::duplex(7);
        let server = async {
            let mut head = [0; 4];
            far.read_exact(&mut head).await.expect("the request arrives");
            far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n01234567890123456789").await.expect("written");
        };
        let mut answers = Answers::default();
        let (body, ()) = tokio::join!(answers.exchange(&mut near, b"ask!"), server);
        assert_eq!(body.expect("a whole answer"), 20);
    }

    #[tokio::test]
    async fn an_error_answer_is_no_operation() {
        let (mut near, mut far) = tokio::io::duplex(1024);
        far.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await.expect("written");
        let error = Answers::default().exchange(&mut near, b"ask!").await.expect_err("502 is no success");
        assert_eq!(error.to_string(), "answered HTTP/1.1 502 Bad Gateway");
    }
}
