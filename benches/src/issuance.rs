//! New names: how long the first visitor of each waits, and how many a second come through together. Only servers that
//! order on demand are measured, each with a Pebble of its own that sleeps before no validation and refuses no nonce.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use test_support::{Loopback, Pebble, PebbleOptions};

use crate::{
    bed::Bed,
    client::Visitor,
    progress::say,
    results::{Issuance, Measured},
    server::{Ca, Kind},
    stats,
};

const VISITS: usize = 50;
const VISITS_QUICK: usize = 10;
const BURST: usize = 100;
const BURST_QUICK: usize = 20;
const BURST_AT_A_TIME: usize = 16;
/// Nobody waits longer for a page; Caddy holds a handshake for up to three minutes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures our edge and Caddy; what goes wrong is told, not raised.
pub async fn measure(bed: &Bed, quick: bool) -> Vec<Measured<Issuance>> {
    let mut measured = Vec::new();
    for kind in [Kind::Namegate, Kind::Caddy] {
        say(&format!("new names on {kind}"));
        measured.push(Measured::of(kind, on(kind, bed, quick).await));
    }
    measured
}

async fn on(kind: Kind, bed: &Bed, quick: bool) -> Result<Issuance> {
    ensure!(pebble_is_there(&bed.cache), "Pebble is not in the cache folder (make tools)");
    let host = Loopback::take();
    let options = PebbleOptions { nonce_reject_percent: 0, ..PebbleOptions::default() };
    let (http, tls) = (host.at(options.http_port), host.at(options.tls_port));
    let pebble = Pebble::start(&host, options).await;
    let ca = Ca { directory: pebble.directory_url(), root_pem: pebble.root_pem().to_owned(), http, tls };
    let root = CertificateDer::from_pem_slice(pebble.issuer_root_pem().as_bytes()).context("Pebble's root")?;
    let server = kind.start_on_demand(bed, &ca).await?;
    let figures = visit_all(&Visitor::new(server.address, &root)?, quick).await;
    server.stop().await;
    figures
}

/// test-support looks for it at the same place and stops the whole run when it is missing.
fn pebble_is_there(cache: &Path) -> bool {
    ["pebble", "pebble-challtestsrv"].iter().all(|program| cache.join("pebble").join(program).exists())
}

async fn visit_all(visitor: &Visitor, quick: bool) -> Result<Issuance> {
    let (visits, burst) = if quick { (VISITS_QUICK, BURST_QUICK) } else { (VISITS, BURST) };
    // Not counted: the first order also makes the account, once in a server's life.
    visit(visitor, "account", 0).await.context("the first name of all")?;

    let mut waits = Vec::with_capacity(visits);
    for number in 0..visits {
        waits.extend(visit(visitor, "visit", number).await.inspect_err(tell).ok());
    }
    let start = Instant::now();
    let answered = stream::iter(0..burst)
        .map(|number| visit(visitor, "burst", number))
        .buffer_unordered(BURST_AT_A_TIME)
        .filter(|outcome| std::future::ready(outcome.as_ref().inspect_err(|error| tell(error)).is_ok()))
        .count()
        .await;
    Ok(Issuance {
        visits,
        visits_failed: visits - waits.len(),
        first_visit_p50_ms: stats::percentile(&waits, 0.5),
        first_visit_p99_ms: stats::percentile(&waits, 0.99),
        burst,
        burst_at_a_time: BURST_AT_A_TIME,
        burst_failed: burst - answered,
        burst_per_second: answered as f64 / start.elapsed().as_secs_f64(),
    })
}

async fn visit(visitor: &Visitor, series: &str, number: usize) -> Result<f64> {
    let name = format!("{series}{number}.customer.test");
    tokio::time::timeout(PATIENCE, visitor.visit(&name)).await.with_context(|| format!("{name}: no answer"))?
}

fn tell(error: &anyhow::Error) {
    say(&format!("  a visit failed: {error:#}"));
}
