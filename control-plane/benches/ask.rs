//! The ask with 1,000,000 names in the gate, on both databases: server time of one question, percentiles.
//!
//! `cargo bench -p control-plane --bench ask`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot go on stops, and prints")]

use std::sync::Arc;

use clock::SystemClock;
use control_plane::{
    core::{Core, CoreSettings},
    db::{Db, DbOptions},
};
use names::Hostname;
use test_support::Postgres;
use tokio::time::Instant;

const NAMES: u32 = 1_000_000;
const QUESTIONS: u32 = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("control.db").display());
        measure(&url, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)").await;
        let postgres = Postgres::start().await;
        measure(&postgres.create_database(), "WITH n(i) AS (SELECT generate_series(1, 1000000))").await;
    });
}

async fn measure(url: &str, numbers: &str) {
    let db = Db::open(url, &DbOptions::default()).await.unwrap();
    db.migrate().await.unwrap();
    fill(&db, numbers).await;
    let core = Core::new(db, Arc::new(SystemClock), CoreSettings::default(), None);
    for tasks in [1, 16] {
        let runs = (0..tasks).map(|task| tokio::spawn(questions(core.clone(), task, QUESTIONS / tasks)));
        let runs = futures::future::join_all(runs).await;
        let mut times: Vec<f64> = runs.into_iter().flat_map(Result::unwrap).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        println!(
            "{} {tasks:>2} at a time: p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms",
            core.db().kind(),
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}

async fn questions(core: Core, seed: u32, count: u32) -> Vec<f64> {
    let mut times = Vec::new();
    let mut number = u64::from(seed) + 1;
    for _ in 0..count {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name: Hostname = format!("shop{}.customer.com", (number >> 33) % u64::from(NAMES) + 1).parse().unwrap();
        let start = Instant::now();
        let answer = core.ask(&name).await.unwrap();
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        assert!(answer.is_some());
    }
    times
}

async fn fill(db: &Db, numbers: &str) {
    let text = format!(
        "INSERT INTO gate (hostname, seq, is_open, is_pointing, generation, connection_id, origin, keep_host, changed_at)
         {numbers} SELECT 'shop' || i || '.customer.com', i, 1, 1, 1, 'connection-' || i, 'https://origin.example', 0, 0
         FROM n"
    );
    match db {
        Db::Postgres { pool, .. } => {
            let mut connection = pool.acquire().await.unwrap();
            sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut *connection).await.unwrap();
            sqlx::raw_sql("VACUUM ANALYZE gate").execute(&mut *connection).await.unwrap();
        }
        Db::Sqlite { write, .. } => {
            sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(write).await.unwrap();
        }
    }
}
