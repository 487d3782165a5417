//! What the layers against hostile traffic take of a request's processor time.
//!
//! The guard (the strict reader of HTTP/1 and its deadlines) and fair use (seat, lane, memory's level) are run by
//! themselves, in this process, over the very bytes that a client then sends through the whole edge; a loop without them
//! is taken off. Both are measured in every round, so that whatever the machine does in between is done to both, and a
//! round gives one share. `benches/LAYERS.md` has the command and the figures.

use std::{
    hint::black_box,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use benches::{
    bed::Bed,
    client::{Alpn, Answers, Client, Groups, Sessions, request},
    load::{Effort, Worker, cpu_per_operation},
    origin,
    pki::{self, Identity},
    progress::say,
    server::{Kind, Server},
    stats::Spread,
};
use clap::Parser;
use edge::{
    fair::{Fair, FairLimits, Lane, Lanes, Rate, Seat},
    guard::{Baton, Guard, GuardLimits},
    http1::HeadLimits,
    metrics::Metrics,
};
use prometheus::Registry;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Connections of the client, each with one request at a time.
const CONNECTIONS: usize = 16;
/// Requests that the layers alone are run for in a round: about a tenth of a second.
const ALONE: u32 = 200_000;
/// What the edge reads at once.
const READ: usize = 16 * 1024;
/// What the edge writes for an answer, in one piece.
const ANSWER: [u8; 768] = [b'x'; 768];

const BROWSER: &str = "GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: https://bench.test/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n\r\n";

#[derive(Debug, Parser)]
struct Cli {
    /// The edge's release binary.
    #[arg(long, default_value = "target/release/namegate-edge")]
    edge: PathBuf,
    /// The core the edge runs on; this program must be pinned to another.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// Rounds; each gives one share.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Cli { edge, server_core, rounds } = Cli::parse();
    let bed = Bed {
        server_core,
        edge: Some(edge),
        trixie: None,
        identity: Identity::generate()?,
        origin: origin::open().await?,
        cache: PathBuf::new(),
    };
    let server = Kind::Namegate.start(&bed).await?;
    let measured = async {
        for (what, head) in [("a program's", request(pki::NAME, "/")), ("a browser's", BROWSER.as_bytes().to_vec())] {
            print(what, &head, &shares(&server, &bed, &head, rounds).await?)?;
        }
        Ok(())
    };
    let measured = measured.await;
    server.stop().await;
    measured
}

/// What one round found, in CPU microseconds for each request.
struct Found {
    whole: f64,
    guard: f64,
    fair: f64,
}

async fn shares(server: &Server, bed: &Bed, head: &[u8], rounds: usize) -> Result<Vec<Found>> {
    let effort = Effort { warm_up: Duration::from_millis(250), span: Duration::from_millis(1000), idle_connections: 0 };
    let client = Client::new(server.address, &bed.identity.root, Alpn::Http1, Groups::Classic, Sessions::Forgotten)?;
    let mut found = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let bare = alone(&mut Replay::of(head), || ())?;
        let baton = Arc::<Baton>::default();
        let mut guarded = guard(head, &baton)?;
        let with_guard = alone(&mut guarded, || baton.answered())?;
        let manners = Manners::new()?;
        let with_both = alone(&mut guarded, || {
            manners.one_request();
            baton.answered();
        })?;
        let mut workers = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let stream = client.connect().await?;
            workers.push(Staying { stream, head: head.to_vec(), answers: Answers::default() });
        }
        let whole = cpu_per_operation(&server.tree, workers, &effort).await?.cost;
        found.push(Found { whole, guard: with_guard - bare, fair: with_both - with_guard });
    }
    Ok(found)
}

fn print(what: &str, head: &[u8], rounds: &[Found]) -> Result<()> {
    let spread = |of: fn(&Found) -> f64| Spread::of(&rounds.iter().map(of).collect::<Vec<_>>()).context("no rounds");
    let (whole, guard, fair) = (spread(|f| f.whole)?, spread(|f| f.guard)?, spread(|f| f.fair)?);
    let share = spread(|f| 100.0 * (f.guard + f.fair) / f.whole)?;
    let fields = head.split(|byte| *byte == b'\n').count().saturating_sub(3);
    say(&format!(
        "{what} head, {fields} fields, {} bytes: edge {:.2} µs a request, guard {:.3} µs, fair use {:.3} µs: {:.2} % \
         ({:.2}..{:.2} in {} rounds)",
        head.len(),
        whole.median,
        guard.median,
        fair.median,
        share.median,
        share.low,
        share.high,
        share.rounds,
    ));
    Ok(())
}

/// A visitor who stays.
struct Staying {
    stream: TlsStream<TcpStream>,
    head: Vec<u8>,
    answers: Answers,
}

impl Worker for Staying {
    async fn operate(&mut self) -> Result<()> {
        self.answers.exchange(&mut self.stream, &self.head).await?;
        Ok(())
    }
}

/// CPU microseconds of a request that is read from a stream and answered on it, with `between` in between.
fn alone<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, mut between: impl FnMut()) -> Result<f64> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut room = vec![0; READ];
    let begun = own_cpu();
    for _ in 0..ALONE {
        let mut buf = ReadBuf::new(&mut room);
        ready(Pin::new(&mut *stream).poll_read(&mut cx, &mut buf))?;
        black_box(buf.filled());
        ready(Pin::new(&mut *stream).poll_write(&mut cx, black_box(&ANSWER)))?;
        ready(Pin::new(&mut *stream).poll_flush(&mut cx))?;
        between();
    }
    Ok((own_cpu() - begun).as_secs_f64() * 1e6 / f64::from(ALONE))
}

fn ready<T>(poll: Poll<io::Result<T>>) -> Result<T> {
    match poll {
        Poll::Ready(done) => Ok(done?),
        Poll::Pending => bail!("a stream in memory is never busy"),
    }
}

/// CPU time of this thread.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn guard(head: &[u8], baton: &Arc<Baton>) -> Result<Guard<Replay>> {
    let limits = GuardLimits {
        head: HeadLimits { bytes: 32 * 1024, fields: 100, target: 8 * 1024 },
        head_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
        control_frames: 1000,
    };
    Ok(Guard::http1(Replay::of(head), &limits, baton.clone(), Metrics::new(&Registry::new())?.cuts()))
}

/// What fair use asks of each request.
struct Manners {
    seat: Arc<Seat>,
    lane: Arc<Lane>,
}

impl Manners {
    fn new() -> Result<Self> {
        let rate = Rate::per_second(5000);
        let limits = FairLimits {
            address_connections: 1000,
            address_handshakes: 200,
            address_rate: rate,
            handshakes: 5000,
            rate,
        };
        let seat = Fair::new(&Registry::new())?.seat(Some(std::net::IpAddr::from([127, 0, 0, 1]).into()), &limits)?;
        let lane = Arc::new(Lanes::default()).find(&names::Hostname::parse(pki::NAME)?);
        Ok(Self { seat, lane })
    }

    fn one_request(&self) {
        let busy = self.seat.begin_request();
        let on_lane = self.lane.enter(black_box(5000));
        black_box(self.seat.level());
        drop((busy, on_lane));
    }
}

/// The same request again and again, and nobody who reads the answers.
struct Replay(Vec<u8>);

impl Replay {
    fn of(head: &[u8]) -> Self {
        Self(head.to_vec())
    }
}

impl AsyncRead for Replay {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buf.put_slice(&self.0);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
