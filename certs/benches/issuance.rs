//! First visits: how long a new name waits for its certificate, and how many names a second can be given theirs.
//!
//! `cargo bench -p certs` (`-- --alone --metrics` for the first figure with its stages) against a real Pebble without sleeps, rejecting one good nonce in five, on the same machine.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be taken stops where it stands; what was measured is printed"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use certs::{
    AcmeIssuer, AcmeSettings, Certificates, CertificatesSettings, Challenges, FileStore, Issuer, Permission, Permit,
    Store, Tenancy,
};
use clock::SystemClock;
use names::Subject;
use prometheus::{Encoder, Registry, TextEncoder};
use test_support::{Loopback, Pebble, PebbleOptions};
use tokio::sync::Semaphore;

#[path = "../tests/pebble/answering.rs"]
mod answering;

/// Names that are visited one at a time.
const ALONE: usize = 200;
/// Names that are visited at once, and how many at a time.
const TOGETHER: (usize, usize) = (100, 16);
/// How often the second measurement is taken.
const ROUNDS: usize = 5;

struct Open;

#[async_trait]
impl Permit for Open {
    async fn may_renew(&self, _name: &Subject) -> Permission {
        Permission::Renew
    }

    fn tenancy(&self, _name: &Subject) -> Tenancy {
        Tenancy::Unknown
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let host = Loopback::take();
    let options = PebbleOptions { nonce_reject_percent: 20, ..PebbleOptions::default() };
    let challenges = Arc::new(Challenges::default());
    let (http, tls) = (host.at(options.http_port), host.at(options.tls_port));
    let _answering = answering::Answering::start(&challenges, Some(http), Some(tls)).await;
    let pebble = Pebble::start(&host, options).await;
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let certificates = manager(&pebble, folder.path(), challenges, &registry);

    let mut waits = Vec::new();
    for i in 0..ALONE {
        let start = Instant::now();
        certificates.obtain(&format!("alone{i}.customer.test").parse().unwrap(), None).await.unwrap();
        waits.push(start.elapsed());
    }
    waits.sort();
    let ms = |wait: Duration| wait.as_secs_f64() * 1000.0;
    println!("one at a time: p50 {:.1} ms, p99 {:.1} ms", ms(waits[ALONE / 2]), ms(waits[ALONE * 99 / 100]));
    let rounds = if std::env::args().any(|argument| argument == "--alone") { 0 } else { ROUNDS };
    for round in 0..rounds {
        println!("{} names, {} at a time: {:.0}/s", TOGETHER.0, TOGETHER.1, together(&certificates, round).await);
    }
    if std::env::args().any(|argument| argument == "--metrics") {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        println!("{}", String::from_utf8(text).unwrap());
    }
}

/// Certificates per second.
async fn together(certificates: &Certificates, round: usize) -> f64 {
    let (names, at_a_time) = TOGETHER;
    let turns = Arc::new(Semaphore::new(at_a_time));
    let start = Instant::now();
    let visits: Vec<_> = (0..names)
        .map(|i| {
            let (certificates, turns) = (certificates.clone(), Arc::clone(&turns));
            tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                let name = format!("together{round}-{i}.customer.test").parse().unwrap();
                certificates.obtain(&name, None).await.unwrap();
            })
        })
        .collect();
    for visit in visits {
        visit.await.unwrap();
    }
    names as f64 / start.elapsed().as_secs_f64()
}

fn manager(
    pebble: &Pebble,
    folder: &std::path::Path,
    challenges: Arc<Challenges>,
    registry: &Registry,
) -> Certificates {
    let store: Arc<dyn Store> = Arc::new(FileStore::open(folder, registry).unwrap());
    let mut settings = AcmeSettings::new(pebble.directory_url());
    settings.ca_root = Some(pebble.root_pem_path());
    let issuer = AcmeIssuer::new(settings, Arc::clone(&store), challenges, Arc::new(SystemClock)).unwrap();
    let issuers = vec![Arc::new(issuer) as Arc<dyn Issuer>];
    let settings = CertificatesSettings::default();
    Certificates::new(settings, issuers, store, Arc::new(Open), Arc::new(SystemClock), registry).unwrap()
}
