//! The start of the edge with a store of 100,000 certificates: how soon it is ready, what it holds then, and what it
//! holds when it has walked through all of them in the background.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    bed::{Bed, free_port},
    client::Visitor,
    process::Tree,
    progress::say,
    results::{Measured, StartUp},
    server::{Kind, Server},
    stats, store,
};

const CERTIFICATES: usize = 100_000;
const CERTIFICATES_QUICK: usize = 5_000;

/// It is not ready by then: something is wrong.
const READY_WAIT: Duration = Duration::from_secs(60);
/// Between two questions; the answer is at most this much late.
const READY_POLL: Duration = Duration::from_millis(2);
/// It has nothing to do any more when it uses less than [`IDLE_CPU_NS`] in each of [`IDLE_LOOKS`] looks this far apart.
const IDLE_LOOK: Duration = Duration::from_millis(500);
const IDLE_CPU_NS: u64 = 10_000_000;
const IDLE_LOOKS: usize = 4;
/// A walk that takes longer than this is told as not ended.
const SETTLE_WAIT: Duration = Duration::from_secs(90);
/// Names visited for the first time once it is ready.
const COLD_VISITS: usize = 20;

/// Measures it; what goes wrong is told, not raised.
pub async fn measure(bed: &Bed, quick: bool) -> Measured<StartUp> {
    let count = if quick { CERTIFICATES_QUICK } else { CERTIFICATES };
    say(&format!("start with {count} certificates"));
    Measured::of(Kind::Namegate, start_up(bed, count).await)
}

async fn start_up(bed: &Bed, count: usize) -> Result<StartUp> {
    let store = store::kept(&bed.cache, count)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let start = Instant::now();
    let server = Server::of_store(bed, &store.storage, admin)?;
    let figures = watch(&server, admin, start, &store.root, count).await;
    server.stop().await;
    figures
}

async fn watch(
    server: &Server,
    admin: SocketAddr,
    start: Instant,
    root: &CertificateDer<'static>,
    count: usize,
) -> Result<StartUp> {
    until_ready(admin, start).await?;
    let ready_ms = milliseconds(start);
    let ready_mib = resident_mib(&server.tree)?;
    let cold = cold_visits(&Visitor::new(server.address, root)?, count).await?;
    let settled_ms = until_idle(&server.tree, start).await?;
    Ok(StartUp {
        certificates: count,
        ready_ms,
        ready_mib,
        settled_ms,
        settled_mib: resident_mib(&server.tree)?,
        cold_visit_p50_ms: stats::percentile(&cold, 0.5),
    })
}

async fn until_ready(admin: SocketAddr, start: Instant) -> Result<()> {
    while !ready(admin).await.unwrap_or(false) {
        if start.elapsed() > READY_WAIT {
            bail!("not ready after {READY_WAIT:?}");
        }
        tokio::time::sleep(READY_POLL).await;
    }
    Ok(())
}

async fn ready(admin: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// Visits names spread over the whole store, each for the first time.
async fn cold_visits(visitor: &Visitor, count: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(COLD_VISITS);
    for visit in 0..COLD_VISITS {
        times.push(visitor.visit(&store::name(visit * count / COLD_VISITS)).await?);
    }
    Ok(times)
}

/// Gives the milliseconds from `start` to the last look at which it was still busy.
async fn until_idle(tree: &Tree, start: Instant) -> Result<f64> {
    let mut busy_until = milliseconds(start);
    let mut idle_looks = 0;
    let mut before = tree.cpu_ns()?;
    while idle_looks < IDLE_LOOKS {
        if start.elapsed() > SETTLE_WAIT {
            bail!("still busy after {SETTLE_WAIT:?}");
        }
        tokio::time::sleep(IDLE_LOOK).await;
        let now = tree.cpu_ns()?;
        if now.saturating_sub(before) < IDLE_CPU_NS {
            idle_looks += 1;
        } else {
            idle_looks = 0;
            busy_until = milliseconds(start);
        }
        before = now;
    }
    Ok(busy_until)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn resident_mib(tree: &Tree) -> Result<f64> {
    Ok(tree.resident_kib()? as f64 / 1024.0)
}
