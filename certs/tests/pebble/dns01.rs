//! Proof by a record in the DNS, with the records that Pebble sees.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use certs::{
    AcmeIssuer, ChallengeKind, ChallengeRecord, DnsError, DnsSolver, Fault, IssueError, Issuer, Leaf, ObtainError,
    Progress, Store,
};
use names::Hostname;
use parking_lot::Mutex;
use test_support::{Dns, PebbleOptions, wait};

use crate::scene::{Ports, Scene, name, subject};

/// Writes into Pebble's DNS server, as the test says.
struct Scribe {
    dns: Dns,
    /// What stands at each name; locked while the server is told, which knows no removal of one value.
    standing: tokio::sync::Mutex<BTreeMap<String, Vec<String>>>,
    /// A record is shown to nobody before so many stand at its name.
    company: AtomicUsize,
    /// What becomes of the next records: `None` says that they are written.
    trouble: Mutex<Option<DnsError>>,
    /// Removals fail.
    stuck: AtomicBool,
    removals: AtomicUsize,
    /// Nothing is written, though it is said to be.
    lies: AtomicBool,
    /// Records are published for ever.
    hangs: AtomicBool,
    elsewhere: Option<&'static str>,
}

impl Scribe {
    fn new(scene: &Scene) -> Self {
        Self {
            dns: scene.pebble().dns().clone(),
            standing: tokio::sync::Mutex::default(),
            company: AtomicUsize::new(1),
            trouble: Mutex::default(),
            stuck: AtomicBool::new(false),
            removals: AtomicUsize::new(0),
            lies: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            elsewhere: None,
        }
    }

    async fn left(&self) -> usize {
        self.standing.lock().await.values().map(Vec::len).sum()
    }
}

fn trouble(reason: &'static str, passes: bool) -> DnsError {
    DnsError { reason, problem: format!("scripted {reason}"), passes, retry_after: None }
}

#[async_trait]
impl DnsSolver for Scribe {
    async fn proves(&self, name: &Hostname) -> bool {
        name.as_str().ends_with(".customer.test")
    }

    async fn locate(&self, name: &Hostname) -> Result<String, DnsError> {
        Ok(self.elsewhere.map_or_else(|| format!("_acme-challenge.{name}"), str::to_owned))
    }

    async fn publish(&self, record: &ChallengeRecord) -> Result<(), DnsError> {
        if let Some(error) = self.trouble.lock().clone() {
            return Err(error);
        }
        let mut standing = self.standing.lock().await;
        let values = standing.entry(record.name.clone()).or_default();
        if !values.contains(&record.value) {
            values.push(record.value.clone());
        }
        if !self.lies.load(Ordering::SeqCst) {
            self.dns.set_txt(&record.name, &record.value).await;
        }
        drop(standing);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        wait::until("the company of the record", async || {
            let standing = self.standing.lock().await;
            let here = standing.get(&record.name).map_or(0, Vec::len);
            (here >= self.company.load(Ordering::SeqCst)).then_some(())
        })
        .await;
        Ok(())
    }

    async fn remove(&self, records: &[ChallengeRecord]) -> Result<(), DnsError> {
        if self.stuck.load(Ordering::SeqCst) {
            return Err(trouble("transient", true));
        }
        self.removals.fetch_add(1, Ordering::SeqCst);
        let mut standing = self.standing.lock().await;
        for record in records {
            let values = standing.entry(record.name.clone()).or_default();
            values.retain(|value| *value != record.value);
            self.dns.clear(&record.name).await;
            for value in values {
                self.dns.set_txt(&record.name, value).await;
            }
        }
        Ok(())
    }
}

/// Nothing answers at the validation ports: what is proven is proven by records.
async fn scene() -> Scene {
    Scene::with(PebbleOptions::default(), Ports::Neither).await
}

fn issuer(scene: &Scene, scribe: &Arc<Scribe>) -> AcmeIssuer {
    issuer_within(scene, scribe, Duration::from_secs(120))
}

fn issuer_within(scene: &Scene, scribe: &Arc<Scribe>, limit: Duration) -> AcmeIssuer {
    let mut settings = scene.settings();
    settings.order_timeout = limit;
    let store = Arc::clone(&scene.store) as Arc<dyn Store>;
    scene.issuer_with(settings).with_dns(Arc::clone(scribe) as Arc<dyn DnsSolver>, store)
}

async fn issue(issuer: &AcmeIssuer, what: &str) -> Result<Leaf, IssueError> {
    let issued = issuer.issue(&subject(what), None, None, &|_| ()).await?;
    Ok(Leaf::parse(&issued.bundle).unwrap())
}

#[tokio::test]
async fn a_wildcard_and_its_base_name_are_proven_side_by_side_and_nothing_is_left() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    scribe.company.store(2, Ordering::SeqCst);
    let issuer = issuer(&scene, &scribe);
    let (wildcard, base) = tokio::join!(issue(&issuer, "*.shop.customer.test"), issue(&issuer, "shop.customer.test"));
    assert_eq!(wildcard.unwrap().names().collect::<Vec<_>>(), ["*.shop.customer.test"]);
    assert_eq!(base.unwrap().names().collect::<Vec<_>>(), ["shop.customer.test"]);
    for what in ["*.shop.customer.test", "shop.customer.test"] {
        issuer.settled(&subject(what)).await.unwrap();
    }
    assert_eq!(scribe.left().await, 0);
}

#[tokio::test]
async fn a_record_may_stand_where_a_cname_leads() {
    let scene = scene().await;
    let target = "shop.acme.saas.test";
    scene.pebble().dns().set_cname("_acme-challenge.shop.customer.test", target).await;
    let scribe = Arc::new(Scribe { elsewhere: Some(target), ..Scribe::new(&scene) });
    issue(&issuer(&scene, &scribe), "shop.customer.test").await.unwrap();
}

#[tokio::test]
async fn names_that_the_solver_does_not_want_are_proven_as_ever() {
    let scene = Scene::start().await;
    let scribe = Arc::new(Scribe::new(&scene));
    *scribe.trouble.lock() = Some(trouble("auth", false));
    issue(&issuer(&scene, &scribe), "a.other.test").await.unwrap();
}

#[tokio::test]
async fn what_a_provider_has_against_a_record_is_told_remembered_and_costs_no_second_order() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    for (host, reason, passes, attempts) in [("a", "auth", false, 1), ("b", "rate_limited", true, 0)] {
        *scribe.trouble.lock() = Some(trouble(reason, passes));
        let host = name(&format!("{host}.customer.test"));
        let manager = scene.manager_of(vec![Arc::new(issuer(&scene, &scribe))], Default::default());
        let Err(ObtainError::Failed { failure }) = manager.obtain(&host, None).await else { panic!("it must fail") };
        let told = &failure.last[0];
        assert_eq!((told.reason.clone(), failure.attempts), (format!("dns_{reason}"), attempts));
        assert_eq!(told.fault, if passes { Fault::Ca } else { Fault::Name });
        assert!(told.detail.contains(&format!("scripted {reason}")), "{}", told.detail);
        let again = manager.obtain(&host, None).await;
        assert!(matches!(again, Err(ObtainError::BackingOff { .. })), "{again:?}");
    }
    let orders = scene.orders();
    *scribe.trouble.lock() = None;
    issue(&issuer(&scene, &scribe), "a.customer.test").await.unwrap();
    assert_eq!(scene.orders(), orders, "the order that stood was resumed");
}

#[tokio::test]
async fn a_refused_proof_takes_its_record_with_it() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    scribe.lies.store(true, Ordering::SeqCst);
    let seen = Mutex::new(Vec::new());
    let issuer = issuer(&scene, &scribe);
    let refused = issuer.issue(&subject("*.customer.test"), None, None, &|progress| seen.lock().push(progress)).await;
    assert!(matches!(&refused, Err(IssueError::Refused { authorization: true, .. })), "{:?}", refused.err());
    assert!(seen.lock().contains(&Progress::Refuted(ChallengeKind::Dns01)));
    assert_eq!(scribe.left().await, 0);
}

#[tokio::test]
async fn an_order_that_runs_out_of_time_takes_its_record_with_it() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    // The account is made first, which takes as long as it takes.
    issue(&issuer(&scene, &scribe), "first.customer.test").await.unwrap();
    scribe.hangs.store(true, Ordering::SeqCst);
    let late = issue(&issuer_within(&scene, &scribe, Duration::from_secs(5)), "late.customer.test").await;
    assert!(matches!(late, Err(IssueError::TimedOut { .. })), "{late:?}");
    assert!(!scribe.standing.lock().await["_acme-challenge.late.customer.test"].iter().any(|_| true));
}

#[tokio::test]
async fn the_record_of_an_order_that_a_crash_cut_off_stays_until_the_next_process_has_finished_it() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    // The process ends between writing the record and telling the CA. Order and record are written side by side.
    scribe.hangs.store(true, Ordering::SeqCst);
    let (killed, next) = (issuer(&scene, &scribe), issuer(&scene, &scribe));
    let written = async || {
        let journalled = !next.unfinished().await.unwrap().is_empty();
        (journalled && scribe.left().await == 1).then_some(())
    };
    tokio::select! {
        issued = issue(&killed, "*.customer.test") => panic!("{issued:?}"),
        () = wait::until("order and record are written", written) => {}
    }
    assert_eq!(scribe.left().await, 1);
    scribe.hangs.store(false, Ordering::SeqCst);
    next.sweep().await;
    issue(&next, "*.customer.test").await.unwrap();
    assert_eq!((scribe.left().await, scribe.removals.load(Ordering::SeqCst), scene.orders()), (1, 0, 1));
    next.settled(&subject("*.customer.test")).await.unwrap();
    assert_eq!(scribe.left().await, 0);
}

#[tokio::test]
async fn a_record_that_could_not_be_removed_is_removed_by_the_next_order_or_start() {
    let scene = scene().await;
    let scribe = Arc::new(Scribe::new(&scene));
    let issuing = issuer(&scene, &scribe);
    scribe.stuck.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        issue(&issuing, "*.customer.test").await.unwrap();
        issuing.settled(&subject("*.customer.test")).await.unwrap();
    }
    assert_eq!(scribe.left().await, 2);
    scribe.stuck.store(false, Ordering::SeqCst);
    issue(&issuing, "*.customer.test").await.unwrap();
    assert_eq!(scribe.left().await, 1, "only that of the order itself");
    scribe.stuck.store(true, Ordering::SeqCst);
    issuing.settled(&subject("*.customer.test")).await.unwrap();
    scribe.stuck.store(false, Ordering::SeqCst);
    issuer(&scene, &scribe).sweep().await;
    assert_eq!(scribe.left().await, 0);
}
