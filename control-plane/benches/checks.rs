//! 100,000 pending connections, each looked at every 60 seconds: how late is the latest look, and what does the process
//! cost? The real `namegate-control` over a database that holds them, against a name server on loopback.
//!
//! `cargo bench -p control-plane --bench checks [-- seconds]`
//!
//! The connections are as they are after a first look: the challenge is missing, the next look is due at some moment of
//! the coming minute. CPU and memory are the process's own, from `/proc`; PostgreSQL's are not in them, SQLite's are.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on stops, and prints"
)]

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clock::SystemClock;
use control_plane::{
    core::{Core, CoreSettings},
    db::{Db, DbOptions},
};
use test_support::{Loopback, Postgres, client::http, wait};
use tokio::time::{Instant, sleep};

const CONNECTIONS: u32 = 100_000;
const SECONDS: u64 = 180;
/// Ticks a second of `/proc/<pid>/stat`, as Linux has it everywhere.
const TICKS: f64 = 100.0;

fn main() {
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(SECONDS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("control.db").display());
        measure(&url, directory.path(), seconds).await;
        let postgres = Postgres::start().await;
        measure(&postgres.create_database(), directory.path(), seconds).await;
    });
}

async fn measure(url: &str, directory: &Path, seconds: u64) {
    let kind = fill(url).await;
    let host = Loopback::take();
    let asked = Arc::new(AtomicU64::new(0));
    let server = serve_dns(host.at(0), Arc::clone(&asked));
    let mut process = start(url, host.at(8080), server, directory);
    let base = format!("http://{}", host.at(8080));
    wait::until("the control plane is ready", async || {
        let ready = http::get(&format!("{base}/readyz")).await.ok()?;
        ready.status().is_success().then_some(())
    })
    .await;
    let (begun, used, before) = (Instant::now(), cpu(&process), asked.load(Ordering::Relaxed));
    let mut resident = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_secs(1)).await;
        resident = resident.max(memory(&process));
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu(&process) - used);
    let metrics = http::get(&format!("{base}/metrics")).await.unwrap();
    let lags = Lags::read(&String::from_utf8_lossy(metrics.body()));
    println!(
        "{kind}: {CONNECTIONS} connections, {took:.0} s: {:.0} looks/s, {:.0} questions/s; {lags}; {:.2} cores, {} MiB",
        lags.count() / took,
        (asked.load(Ordering::Relaxed) - before) as f64 / took,
        used / took,
        resident / 1024
    );
    process.kill().unwrap();
    process.wait().unwrap();
}

fn start(url: &str, listen: SocketAddr, resolver: SocketAddr, directory: &Path) -> Child {
    let log = std::fs::File::create(directory.join("control.log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_namegate-control"))
        .args(["--dev", "run"])
        .env("DATABASE_URL", url)
        .env("NAMEGATE_CONTROL__LISTEN__HTTP", listen.to_string())
        .env("NAMEGATE_CONTROL__EDGE__CNAME", "edge.namegate.test")
        .env("NAMEGATE_CONTROL__DNS__RESOLVERS", resolver.to_string())
        .env("NAMEGATE_CONTROL__DNS__ASK_AUTHORITY", "false")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// User and system time of the process in seconds.
fn cpu(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// Resident memory in KiB.
fn memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many looks began at most this late, in seconds.
struct Lags(Vec<(f64, f64)>);

impl Lags {
    fn read(metrics: &str) -> Self {
        let bucket = |line: &str| {
            let rest = line.strip_prefix("namegate_control_check_lag_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        };
        Self(metrics.lines().filter_map(bucket).collect())
    }

    fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    fn within(&self, share: f64) -> f64 {
        let enough = self.0.iter().find(|(_, count)| *count >= self.count() * share);
        enough.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}

impl std::fmt::Display for Lags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "begun late by at most {} s (99 %) and {} s (all)", self.within(0.99), self.within(1.0))
    }
}

/// Answers every question with NXDOMAIN and the zone that says so, on two threads.
fn serve_dns(address: SocketAddr, asked: Arc<AtomicU64>) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind(address).unwrap());
    for _ in 0..2 {
        let (socket, asked) = (Arc::clone(&socket), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = socket.send_to(&nothing(&buffer[..length]), peer);
            }
        });
    }
    socket.local_addr().unwrap()
}

/// The question with an answer's header and an SOA of `test.` as its authority.
fn nothing(question: &[u8]) -> Vec<u8> {
    // The question's name ends with an empty label; type and class follow.
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut answer = question[..end].to_vec();
    // Response, recursion desired and available, NXDOMAIN; one question, one authority.
    answer[2..12].copy_from_slice(&[0x81, 0x83, 0, 1, 0, 0, 0, 1, 0, 0]);
    answer.extend_from_slice(b"\x04test\0\0\x06\0\x01\0\0\0\x3c\0\x16\0\0");
    answer.extend([1_u32, 60, 60, 60, 60].iter().flat_map(|number| number.to_be_bytes()));
    answer
}

async fn fill(url: &str) -> &'static str {
    let db = Db::open(url, &DbOptions::default()).await.unwrap();
    db.migrate().await.unwrap();
    let core = Core::new(db.clone(), Arc::new(SystemClock), CoreSettings::default(), None);
    let account = core.create_account("bench").await.unwrap().id;
    let now = core.now().as_millis();
    // The same statements on both databases, but for where the numbers come from.
    let numbers = match db {
        Db::Sqlite { .. } => {
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CONNECTIONS})")
        }
        Db::Postgres { .. } => format!("WITH n(i) AS (SELECT generate_series(1, {CONNECTIONS}))"),
    };
    let deadline = now + 48 * 3_600_000;
    let id = "'00000000-0000-7000-8000-' || SUBSTR('000000000000' || i, LENGTH('000000000000' || i) - 11)";
    let missing = r#"{"code":"challenge_missing","fix":{"host":"_customdomain-challenge.shop' || i || '.customer.test","type":"TXT","expected":"cd-verify-' || i || '","seen":[]}}"#;
    run(&db, &[
        format!(
            "INSERT INTO applications (id, account_id, name, environment, allowed_origins, record_template,
             default_keep_host, created_at, updated_at) VALUES ('app', '{account}', 'App', 'test', '[]', '[]', 0, {now}, {now})"
        ),
        format!(
            "INSERT INTO claims (id, account_id, application_id, environment, surface, hostname, kind, setup_type,
             keep_host, ownership, routing, dns_write, certificate, lifecycle, deadline, deadline_at, reason_code,
             reason, absent_streak, check_count, last_checked_at, next_check_at, generation, version, created_at,
             updated_at) {numbers} SELECT {id}, '{account}', 'app', 'test', 'connect_domain',
             'shop' || i || '.customer.test', 'subdomain', 'manual', 0, 'unproven', 'unknown', 'none', 'none', 'active',
             'running', {deadline}, 'challenge_missing', '{missing}', 0, 1, {now}, {now} + (i * 7919) % 60000, 1, 1,
             {now}, {now} FROM n"
        ),
        format!(
            "INSERT INTO proofs (claim_id, kind, name, expected, observed) {numbers} SELECT {id}, 'txt',
             '_customdomain-challenge.shop' || i || '.customer.test', 'cd-verify-' || i, '' FROM n"
        ),
        format!(
            "INSERT INTO records (claim_id, position, host, type, value, ttl) {numbers} SELECT {id}, 0,
             'shop' || i || '.customer.test', 'CNAME', 'edge.namegate.test', 300 FROM n"
        ),
        format!(
            "INSERT INTO jobs (key, kind, subject, run_at) {numbers} SELECT 'check:' || {id}, 'check', {id},
             {now} + (i * 7919) % 60000 FROM n"
        ),
        format!(
            "INSERT INTO jobs (key, kind, subject, run_at) {numbers} SELECT 'deadline:' || {id}, 'deadline', {id},
             {deadline} FROM n"
        ),
    ])
    .await;
    // Due from ten seconds on: what was late before the process is there would be nobody's fault.
    let shift = core.now().as_millis() + 10_000 - now;
    run(
        &db,
        &[
            format!("UPDATE claims SET next_check_at = next_check_at + {shift}"),
            format!("UPDATE jobs SET run_at = run_at + {shift} WHERE kind = 'check'"),
        ],
    )
    .await;
    let kind = db.kind();
    db.close().await;
    kind
}

async fn run(db: &Db, statements: &[String]) {
    for text in statements.iter().cloned().map(sqlx::AssertSqlSafe) {
        match db {
            Db::Postgres { pool, .. } => {
                let mut connection = pool.acquire().await.unwrap();
                sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await.unwrap();
                sqlx::raw_sql(text).execute(&mut *connection).await.unwrap();
            }
            Db::Sqlite { write, .. } => drop(sqlx::raw_sql(text).execute(write).await.unwrap()),
        }
    }
    if let Db::Postgres { pool, .. } = db {
        sqlx::raw_sql("VACUUM ANALYZE").execute(pool).await.unwrap();
    }
}
