//! A million names: what they weigh, what an admission costs, how long they take to load.
//!
//! Built without optimisation it is 100,000 names; `cargo test --release` prints the figures that count.

use std::{collections::HashMap, sync::Arc, time::Instant};

use clock::{Clock, SystemClock};
use control_api::{Change, ChangeKind, Route};
use names::Hostname;
use prometheus::Registry;
use proptest::{collection::vec, prelude::*};

use super::{
    ControlLimits, Directory,
    directory::{Applied, Position},
    metrics::Metrics,
    store::Store,
};

const NAMES: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
const LOOKUPS: u64 = 1_000_000;

fn directory() -> Directory {
    let metrics = Arc::new(Metrics::new(&Registry::new()).unwrap());
    Directory::new(Arc::new(ControlLimits::default()), None, Arc::new(SystemClock), metrics)
}

fn name(number: u64) -> Hostname {
    format!("shop-{number}.customer.example").parse().unwrap()
}

/// A thousand origins, one for each large customer of a platform; ids as long as ours are.
fn change(number: u64) -> Change {
    let route = Route {
        origin: Some(format!("https://tenant-{}.app.example", number % 1000)),
        connection_id: Some(format!("conn_{number:020}")),
        pointing: true,
        tenant: Some(format!("app_{:026}", number % 1000).parse().unwrap()),
        ..Route::default()
    };
    Change { seq: number, hostname: name(number), generation: 1, at_ms: 0, kind: ChangeKind::Upsert(route) }
}

fn fill(directory: &Directory) {
    for number in 1..=NAMES {
        assert_eq!(directory.apply(&change(number)), Applied::Upserted);
    }
    directory.advance(Position { epoch: 1, seq: NAMES });
    directory.touch();
}

#[test]
fn a_name_takes_few_bytes_and_an_admission_little_time() {
    let directory = directory();
    let before = resident_bytes();
    fill(&directory);
    let bytes = (resident_bytes() - before) / NAMES;
    let names: Vec<_> = (0..LOOKUPS).map(|n| name(1 + n.wrapping_mul(0x9e37_79b9) % NAMES)).collect();
    let mut times: Vec<_> = names.iter().map(|name| timed(&directory, name)).collect();
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{NAMES} names: {bytes} resident bytes a name; an admission p50 {p50} ns, p99 {p99} ns");
    assert!(bytes <= 200, "{bytes} bytes a name");
    assert!(p50 < 100_000, "{p50} ns");
}

fn timed(directory: &Directory, name: &Hostname) -> u128 {
    let now = SystemClock.now();
    let started = Instant::now();
    let admitted = directory.admit(name, None, now);
    let taken = started.elapsed().as_nanos();
    assert!(matches!(admitted, Some(Ok(_))));
    taken
}

#[tokio::test]
async fn names_on_disk_are_loaded_in_little_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = directory();
    let store = Store::open(folder.path(), &first).unwrap();
    fill(&first);
    let started = Instant::now();
    store.save();
    store.flush().await;
    let saved = started.elapsed();
    drop(store);

    let second = directory();
    let started = Instant::now();
    let _store = Store::open(folder.path(), &second).unwrap();
    let loaded = started.elapsed();
    assert_eq!(second.names(), first.names());
    println!("{NAMES} names: written in {saved:?}, loaded in {loaded:?}");
    assert!(loaded.as_secs() < 30, "{loaded:?}");
}

/// What the feed may say of six names in any order, late, twice or again: a tenant that is served, or nobody.
fn feed() -> impl Strategy<Value = Vec<(u64, u64, Option<u8>)>> {
    vec((0..6u64, 1..12u64, proptest::option::weighted(0.7, 0..4u8)), 1..100)
}

/// The newest that was ever said of one name. A deletion ends everything up to its generation.
#[derive(Default)]
struct Truth {
    served: Option<(u64, u8)>,
    deleted: u64,
}

impl Truth {
    fn hear(&mut self, generation: u64, tenant: Option<u8>) {
        match tenant {
            Some(tenant) if self.served.is_none_or(|(newest, _)| generation >= newest) => {
                self.served = Some((generation, tenant));
            }
            Some(_) => {}
            None => self.deleted = self.deleted.max(generation),
        }
    }

    fn now(&self) -> Option<(u64, u8)> {
        self.served.filter(|(generation, _)| *generation > self.deleted)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    /// About 125,000 changes, and a look at their name and another one after each.
    #[test]
    fn no_order_of_changes_serves_a_name_to_another_tenant(changes in feed()) {
        let directory = directory();
        directory.touch();
        let mut truths: HashMap<u64, Truth> = HashMap::new();
        for (number, generation, tenant) in changes {
            let kind = tenant.map_or(ChangeKind::Delete, |tenant| ChangeKind::Upsert(Route {
                origin: Some(format!("https://tenant-{tenant}.app.example")),
                connection_id: Some(format!("{number}/{generation}/{tenant}")),
                ..Route::default()
            }));
            directory.apply(&Change { seq: 0, hostname: name(number), generation, at_ms: 0, kind });
            truths.entry(number).or_default().hear(generation, tenant);
            for number in [number, (number + 1) % 6] {
                let site = directory.look_up(&name(number), None, SystemClock.now()).and_then(Result::ok);
                let served = site.map(|admitted| {
                    let site = &admitted.site;
                    (site.hostname.clone(), site.connection_id.clone().unwrap(), site.origin.clone().unwrap().to_string())
                });
                let owed = truths.get(&number).and_then(Truth::now).map(|(generation, tenant)| (
                    name(number),
                    Arc::from(format!("{number}/{generation}/{tenant}")),
                    format!("https://tenant-{tenant}.app.example"),
                ));
                prop_assert_eq!(served, owed);
            }
        }
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
