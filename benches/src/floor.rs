//! The floor: a relay that does nothing but TLS. It reads a request's bytes and writes them to an origin connection,
//! reads the answer by its `content-length` and writes it back. No header is parsed, added or checked, nothing is
//! limited, HTTP/2 is not spoken: no proxy that is of use can cost less, and the distance to it is what ours adds.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, sync::Arc};

use anyhow::{Context, Result, ensure};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::client::{content_length, head_end};

/// Room for a request, and for the head of an answer with the body of a small one.
const HEAD_BYTES: usize = 8 * 1024;
/// One read of a large body: four TLS records, written with one system call.
const BODY_BYTES: usize = 64 * 1024;

/// Relays everything that reaches `listen` to `origin`, on this thread alone.
pub async fn serve(listen: SocketAddr, chain_pem: &str, key_pem: &str, origin: SocketAddr) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(chain_pem, key_pem)?));
    let listener = TcpListener::bind(listen).await?;
    let pool = Pool { origin, idle: Rc::default() };
    LocalSet::new()
        .run_until(async move {
            loop {
                let (tcp, _) = listener.accept().await?;
                let (acceptor, pool) = (acceptor.clone(), pool.clone());
                // A visitor that goes away is no event here.
                tokio::task::spawn_local(async move { visit(tcp, &acceptor, &pool).await });
            }
        })
        .await
}

fn tls(chain_pem: &str, key_pem: &str) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// Origin connections that wait for their next request.
#[derive(Clone)]
struct Pool {
    origin: SocketAddr,
    idle: Rc<RefCell<Vec<TcpStream>>>,
}

impl Pool {
    async fn take(&self) -> Result<TcpStream> {
        let idle = self.idle.borrow_mut().pop();
        if let Some(stream) = idle {
            return Ok(stream);
        }
        let stream = TcpStream::connect(self.origin).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn give_back(&self, stream: TcpStream) {
        self.idle.borrow_mut().push(stream);
    }
}

async fn visit(tcp: TcpStream, acceptor: &TlsAcceptor, pool: &Pool) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut visitor = acceptor.accept(tcp).await?;
    // Idle connections hold no buffer: both are taken when the first byte of a request is there.
    loop {
        let mut first = [0; 1];
        if visitor.read(&mut first).await? == 0 {
            return Ok(visitor.shutdown().await?);
        }
        let mut buffer = Vec::with_capacity(HEAD_BYTES);
        buffer.extend(first);
        relay(&mut visitor, pool, &mut buffer).await?;
    }
}

async fn fill<S: AsyncRead + Unpin>(from: &mut S, buffer: &mut Vec<u8>) -> Result<usize> {
    let read = from.read_buf(buffer).await?;
    ensure!(read > 0, "closed in the middle of a message");
    Ok(read)
}

/// One request and its answer.
async fn relay(visitor: &mut TlsStream<TcpStream>, pool: &Pool, buffer: &mut Vec<u8>) -> Result<()> {
    while head_end(buffer).is_none() {
        fill(visitor, buffer).await?;
    }
    let mut origin = pool.take().await?;
    origin.write_all(buffer).await?;
    buffer.clear();
    let mut missing = loop {
        fill(&mut origin, buffer).await?;
        let Some(end) = head_end(buffer) else { continue };
        let (head, rest) = buffer.split_at(end);
        break content_length(head).context("an answer without length")?.saturating_sub(rest.len());
    };
    visitor.write_all(buffer).await?;
    if missing > 0 {
        buffer.reserve(BODY_BYTES);
    }
    while missing > 0 {
        buffer.clear();
        missing = missing.saturating_sub(fill(&mut origin, buffer).await?);
        visitor.write_all(buffer).await?;
    }
    visitor.flush().await?;
    pool.give_back(origin);
    Ok(())
}
