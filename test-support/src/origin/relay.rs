//! [`RecordRelay`]: a way to an origin over TLS that cuts its records into pieces.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Loopback, server::Server};

/// Type, version and length of a record (RFC 8446 section 5.1).
const HEADER: usize = 5;
/// A record with more content than this is large. None of a handshake is.
const LARGE: usize = 8 * 1024;
/// What is withheld of a large record.
const END: usize = 100;

/// How a [`RecordRelay`] passes on what the origin sends. What is sent to the origin passes as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// All of it, in pieces of so many bytes, with this much time between them.
    Pieces(usize, Duration),
    /// Each large record, and behind it the start of another, which is none.
    AndAStart,
    /// So many large records whole, of the next one all but its end, then nothing, and the connection stays open.
    AllButTheEnd(usize),
    /// Of the first large record all but its end, then the end of the connection.
    EndsWithin,
    /// The same, then a reset.
    ResetsWithin,
}

/// A listener that passes on what comes to an origin over TLS, and back what the origin sends.
#[derive(Debug)]
pub struct RecordRelay {
    server: Server,
    broken: Arc<AtomicUsize>,
}

impl RecordRelay {
    /// Starts it on `host` before the origin at `https://address:port`.
    ///
    /// # Panics
    /// When `origin` is none.
    pub async fn start(host: &Loopback, origin: &str, how: Passing) -> Self {
        let origin = origin.strip_prefix("https://").and_then(|address| address.parse().ok());
        let origin: SocketAddr = origin.expect("an origin over TLS, by its address");
        let broken = Arc::<AtomicUsize>::default();
        let count = broken.clone();
        let server = Server::start_raw(host.at(0), move |tcp| {
            let count = count.clone();
            async move {
                // A peer that breaks off is no event here.
                let _ = relay(tcp, origin, how, &count).await;
            }
        })
        .await;
        Self { server, broken }
    }

    /// `https://address:port`; the origin's certificate is good for the address.
    pub fn url(&self) -> String {
        format!("https://{}", self.server.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Records that were begun and not ended, so far.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

async fn relay(mut edge: TcpStream, origin: SocketAddr, how: Passing, broken: &AtomicUsize) -> io::Result<()> {
    let mut origin = TcpStream::connect(origin).await?;
    let (mut asks, mut to_origin) = origin.split();
    let (mut from_edge, mut answers) = edge.split();
    let there = tokio::io::copy(&mut from_edge, &mut to_origin);
    let mut whole = if let Passing::AllButTheEnd(whole) = how { whole } else { 0 };
    let back = async {
        while let Some(record) = record(&mut asks).await? {
            match how {
                Passing::Pieces(size, pause) => {
                    for piece in record.chunks(size) {
                        answers.write_all(piece).await?;
                        match pause.is_zero() {
                            true => tokio::task::yield_now().await,
                            false => tokio::time::sleep(pause).await,
                        }
                    }
                }
                _ if record.len() <= LARGE => answers.write_all(&record).await?,
                Passing::AndAStart => {
                    answers.write_all(&record).await?;
                    answers.write_all(&record[..HEADER]).await?;
                }
                _ if whole > 0 => {
                    answers.write_all(&record).await?;
                    whole -= 1;
                }
                _ => {
                    answers.write_all(&record[..record.len() - END]).await?;
                    return Ok(true);
                }
            }
        }
        Ok::<_, io::Error>(false)
    };
    let cut = tokio::select! {
        cut = back => cut?,
        // The edge has gone.
        _ = there => false,
    };
    if cut {
        broken.fetch_add(1, Ordering::SeqCst);
        match how {
            Passing::EndsWithin => edge.shutdown().await?,
            Passing::ResetsWithin => return edge.set_zero_linger(),
            Passing::AndAStart | Passing::AllButTheEnd(_) | Passing::Pieces(..) => {}
        }
        edge.read_to_end(&mut Vec::new()).await?;
    }
    Ok(())
}

/// The next record, none at the end.
async fn record(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut record = vec![0; HEADER];
    if from.read_exact(&mut record).await.is_err() {
        return Ok(None);
    }
    let content = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(HEADER + content, 0);
    from.read_exact(&mut record[HEADER..]).await?;
    Ok(Some(record))
}
