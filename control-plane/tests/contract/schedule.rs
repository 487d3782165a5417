//! The worker's schedule: every pending connection is looked at each minute, none late, through restarts. The clock is
//! moved by hand, the DNS is a real server.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use clock::{Clock as _, ManualClock};
use control_plane::{
    checks::{Checks, DnsChecks, Look},
    core::{Checked, Inquiry, Moment},
    db::Db,
    metrics::Metrics,
    worker::{Worker, WorkerLimits},
};
use parking_lot::Mutex;
use prometheus::Registry;
use test_support::{Dns, Loopback, Pebble, PebbleOptions, wait};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, on_both};

const CONNECTIONS: usize = 100;
/// The clock goes on by this at a time, …
const STEP: Duration = Duration::from_secs(2);
/// … for more than two rounds of a minute.
const STEPS: usize = 70;
/// The promise.
const LATE: Duration = Duration::from_secs(10);

/// Asks the DNS, and notes when which claim was looked at and when that was due.
struct Witness {
    checks: DnsChecks,
    clock: ManualClock,
    looks: Mutex<HashMap<String, Vec<(Moment, Moment)>>>,
}

#[async_trait]
impl Checks for Witness {
    async fn look(&self, inquiry: &Inquiry, look: Look) -> Checked {
        let claim = &inquiry.connection.claim;
        let (now, due) = (self.clock.now().into(), claim.next_check_at.unwrap_or_default());
        self.looks.lock().entry(claim.id.clone()).or_default().push((now, due));
        self.checks.look(inquiry, look).await
    }
}

fn witness(bench: &Bench, dns: &Dns) -> Arc<Witness> {
    let mut config = dns::ResolversConfig::new(vec![dns.address().to_string().parse().unwrap()]);
    config.authority = dns::Authority::Skip;
    // One small server: it has no room for more.
    config.limits.queries_in_flight = 64;
    let resolvers = dns::Resolvers::new(config, dns::Metrics::new(&Registry::new()).unwrap()).unwrap();
    let checks = DnsChecks::new(resolvers, &bench.core.settings().edge, Default::default()).unwrap();
    Arc::new(Witness { checks, clock: bench.clock.clone(), looks: Mutex::default() })
}

/// A worker that sees at once that the clock was moved.
fn work(bench: &Bench, checks: &Arc<Witness>) -> (CancellationToken, JoinHandle<()>) {
    let stopping = CancellationToken::new();
    let brief = Duration::from_millis(1);
    let limits = WorkerLimits { gather: brief, look_again: brief, notes_wait: brief, ..WorkerLimits::default() };
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let checks = Arc::clone(checks) as Arc<dyn Checks>;
    let worker = Worker::new(bench.core.clone(), checks, metrics, limits, stopping.clone());
    (stopping, tokio::spawn(worker.run()))
}

/// Every look that was due is written down. The clock stands still until then, so that none is late because this machine
/// is slow.
async fn all_is_done(bench: &Bench) {
    let text = "SELECT COUNT(*) FROM claims WHERE next_check_at <= $1";
    wait::until("all that is due is done", async || {
        let now = bench.core.now().as_millis();
        let due: i64 = match bench.core.db() {
            Db::Postgres { pool, .. } => sqlx::query_scalar(text).bind(now).fetch_one(pool).await.unwrap(),
            Db::Sqlite { read, .. } => sqlx::query_scalar(text).bind(now).fetch_one(read).await.unwrap(),
        };
        (due == 0).then_some(())
    })
    .await;
}

#[test]
fn each_pending_connection_is_looked_at_every_minute_and_none_is_late() {
    on_both(|bench| async move {
        let pebble = Pebble::start(&Loopback::take(), PebbleOptions::default()).await;
        pebble.dns().set_default(None).await;
        let tenant = bench.tenant("a").await;
        for n in 0..CONNECTIONS {
            tenant.connect(&format!("shop{n}.customer.com")).await.unwrap();
        }
        let checks = witness(&bench, pebble.dns());
        let (mut stopping, mut worker) = work(&bench, &checks);
        for step in 0..STEPS {
            if step == STEPS / 2 {
                // A restart in the middle: what is due is known to the database alone.
                stopping.cancel();
                worker.await.unwrap();
                (stopping, worker) = work(&bench, &checks);
            }
            bench.clock.advance(STEP);
            all_is_done(&bench).await;
        }
        stopping.cancel();
        worker.await.unwrap();

        let looks = std::mem::take(&mut *checks.looks.lock());
        assert_eq!(looks.len(), CONNECTIONS);
        for (id, looks) in &looks {
            assert!((2..=4).contains(&looks.len()), "{id}: {looks:?}");
            assert!(looks.iter().all(|(at, due)| at.since(*due) <= LATE), "{id}: {looks:?}");
            for pair in looks.windows(2) {
                let gap = pair[1].0.since(pair[0].0);
                let minute = Duration::from_secs(54)..=Duration::from_secs(66) + STEP;
                assert!(minute.contains(&gap), "{id}: {gap:?}");
            }
        }
        // All were made in one moment; the jitter has spread them.
        let mut seconds: Vec<i64> = looks.values().filter_map(|looks| Some(looks.last()?.1.as_secs())).collect();
        seconds.sort_unstable();
        seconds.dedup();
        assert!(seconds.len() >= 5, "{seconds:?}");
    });
}
