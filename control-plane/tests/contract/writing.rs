//! Writing at DNS providers: whatever ends in the middle is completed, and two who write in one zone do not meet. The
//! providers are servers on loopback that answer as the real ones do.

use std::{sync::Arc, time::Duration};

use clock::{Clock as _, SystemClock};
use control_plane::{
    core::{
        Connection, DnsWrite, Job, JobKind, Lifecycle, Moment, NewConnection, NewCredential, Ownership, ProofKind,
        ReasonCode, SetupType,
    },
    metrics::WriteMetrics,
    writer::{Outcome, Report, Writer, WriterLimits},
};
use dns::provider::{Bases, Http, HttpLimits, Problem, Secret};
use prometheus::Registry;
use test_support::provider::{
    server::{Fault, Server},
    shim::{No, Shim, ZONE},
    shims::{cloudflare, desec, namecheap},
};
use test_support::wait;

use crate::harness::{Bench, Tenant, on_both, on_postgres, on_sqlite, proven};

const HOST: &str = "shop.customer.test";
const EDGE: &str = "edge.namegate.test";
const LIMITS: WriterLimits = WriterLimits {
    create_wait: Duration::from_secs(30),
    apply_wait: Duration::from_secs(30),
    attempt: Duration::from_mins(2),
    lease: Duration::from_secs(30),
    beat: Duration::from_secs(8),
    turn: Duration::from_secs(30),
    busy: Duration::from_secs(2),
    look_again: Duration::from_millis(5),
    at_once: 16,
};

/// A tenant with a credential of a customer's zone.
struct Stage {
    tenant: Tenant,
    provider: Server,
    shim: Arc<dyn Shim>,
    writer: Writer,
}

impl Stage {
    async fn new(bench: &Bench, shim: Arc<dyn Shim>) -> Self {
        let provider = Server::start(Arc::clone(&shim)).await;
        provider.zone(|zone| {
            for (name, kind, value) in [
                (ZONE, "MX", "10 mail.customer.test."),
                (ZONE, "TXT", "v=spf1 -all"),
                ("www.customer.test", "CNAME", ZONE),
            ] {
                zone.seed(name, kind, &shim.encode(kind, value), shim.extra());
            }
        });
        provider.well();
        let tenant = bench.tenant("a").await;
        store(&tenant, &*shim).await;
        let writer = writer(bench, &provider, LIMITS);
        Self { tenant, provider, shim, writer }
    }

    fn seed(&self, name: &str, kind: &str, value: &str) {
        self.provider.zone(|zone| zone.seed(name, kind, &self.shim.encode(kind, value), self.shim.extra()));
    }

    async fn connect(&self, hostname: &str) -> (Connection, Job) {
        let made = self.tenant.connect(hostname).await.unwrap();
        (made, self.lease().await)
    }

    /// The one job that is due.
    async fn lease(&self) -> Job {
        let jobs = self.tenant.core.lease_jobs(JobKind::Write, 10, LIMITS.lease).await.unwrap();
        let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
        job.clone()
    }

    async fn apply(&self, id: &str, confirm: Option<&str>) -> Report {
        let job = self.tenant.core.begin_apply(&self.tenant.caller, id, confirm, LIMITS.lease).await.unwrap();
        self.writer.run(job).await.unwrap()
    }

    async fn read(&self, made: &Connection) -> Connection {
        self.tenant.core.connection(&self.tenant.caller, &made.claim.id).await.unwrap()
    }

    fn others(&self, made: &Connection) -> Vec<String> {
        self.provider.others(&[made.claim.hostname.as_str(), &made.challenge().unwrap().name])
    }

    fn is_written(&self, made: &Connection) {
        let challenge = made.challenge().unwrap();
        assert_eq!(self.provider.values(made.claim.hostname.as_str(), "CNAME"), [EDGE]);
        assert_eq!(self.provider.values(&challenge.name, "TXT"), [challenge.expected.as_str()]);
    }
}

async fn store(tenant: &Tenant, shim: &dyn Shim) {
    let new = NewCredential {
        provider: shim.key().to_owned(),
        token: Secret::new(&shim.credential()),
        zone_id: shim.zone_id().map(str::to_owned),
    };
    let mut tx = tenant.core.begin().await.unwrap();
    tenant.core.create_credential(&mut tx, &tenant.caller, &tenant.application.id, new).await.unwrap();
    tenant.core.commit(tx).await.unwrap();
}

/// A writer as a process of its own would have it.
fn writer(bench: &Bench, provider: &Server, limits: WriterLimits) -> Writer {
    let base = format!("http://{}", provider.address).parse().unwrap();
    let brief = HttpLimits { pause: Duration::from_millis(1), ..HttpLimits::default() };
    let http = Http::new(Bases::At(base), brief, Arc::new(SystemClock)).unwrap();
    Writer::new(bench.core.clone(), http, None, WriteMetrics::new(&Registry::new()).unwrap(), limits)
}

fn families() -> [Arc<dyn Shim>; 3] {
    [cloudflare::shim(), desec::shim(), namecheap::shim()]
}

#[test]
fn a_connection_of_an_application_with_a_credential_is_written_and_told_of_once() {
    on_both(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, job) = stage.connect(HOST).await;
        assert_eq!((made.claim.setup_type, made.claim.dns_write), (SetupType::Automatic, DnsWrite::Writing));
        assert_eq!(made.claim.next_check_at, None, "a look now would be remembered by resolvers");
        let others = stage.others(&made);
        assert!(matches!(stage.writer.run(job).await.unwrap().outcome, Outcome::Written));
        stage.is_written(&made);
        assert_eq!(stage.others(&made), others);
        let written = stage.read(&made).await;
        assert_eq!((written.claim.dns_write, written.claim.provider.as_deref()), (DnsWrite::Done, Some("cloudflare")));
        assert!(written.reason().unwrap().is(ReasonCode::RecordsWritten));
        assert!(bench.core.ask(&made.claim.hostname).await.unwrap().is_none(), "nothing was seen yet");
        // Again by hand: nothing to do, nothing to tell.
        let writes = stage.provider.writes();
        assert!(matches!(stage.apply(&made.claim.id, None).await.outcome, Outcome::Written));
        assert_eq!(stage.provider.writes(), writes);
        assert_eq!(stage.tenant.event_kinds().await, ["records.written"]);
        let seen = stage.tenant.see(&made.claim.id, proven()).await.unwrap();
        assert_eq!((seen.claim.ownership, seen.claim.proof), (Ownership::Proven, Some(ProofKind::Credential)));
        assert_eq!(stage.tenant.event_kinds().await, ["records.written", "ownership.proven"]);
    });
}

#[test]
fn killed_between_any_two_calls_the_next_run_completes_it() {
    on_both(|bench| async move {
        for shim in families() {
            for fault in [Fault::HangBefore, Fault::HangAfter] {
                let mut nth = 1;
                while !killed_at(&bench, &shim, &fault, nth).await {
                    nth += 1;
                    assert!(nth < 40, "a write of so many calls?");
                }
                assert!(nth > 3, "{}: {nth}", shim.key());
            }
        }
    });
}

/// One write whose process ends at the n-th call. Answers whether it had ended before.
async fn killed_at(bench: &Bench, shim: &Arc<dyn Shim>, fault: &Fault, nth: usize) -> bool {
    let stage = Stage::new(bench, Arc::clone(shim)).await;
    // Records of others that somebody has agreed to lose, so that there are several steps.
    stage.seed(HOST, "A", "203.0.113.7");
    stage.seed(HOST, "AAAA", "2001:db8::7");
    let wish = NewConnection {
        hostname: HOST.to_owned(),
        setup_type: Some(SetupType::Manual),
        takeover: true,
        ..NewConnection::default()
    };
    let made = stage.tenant.connect_with(wish).await.unwrap();
    let others = stage.others(&made);
    let shown = stage.writer.preview(&made.claim.id).await.unwrap();
    let confirm = control_plane::writer::mark(shown.plan.as_ref().unwrap());
    let (core, caller) = (&stage.tenant.core, &stage.tenant.caller);
    let job = core.begin_apply(caller, &made.claim.id, confirm.as_deref(), LIMITS.lease).await.unwrap();
    let held = fault.clone();
    stage.provider.faults(move |seen| (seen.number == nth).then(|| held.clone()));
    let ended = tokio::select! {
        ended = stage.writer.run(job) => Some(ended.unwrap()),
        // The call hangs; here the process ends, and with it what it has in memory.
        () = stage.provider.called(nth) => None,
    };
    stage.provider.well();
    if ended.is_none() {
        let next = Stage { writer: writer(bench, &stage.provider, LIMITS), ..stage };
        assert_eq!(next.tenant.core.lease_jobs(JobKind::Write, 10, LIMITS.lease).await.unwrap().len(), 0, "leased");
        bench.clock.advance(LIMITS.lease + Duration::from_secs(1));
        let job = next.lease().await;
        assert!(matches!(next.writer.run(job).await.unwrap().outcome, Outcome::Written), "{nth}");
        is_complete(&next, &made, &others, nth).await;
        return false;
    }
    is_complete(&stage, &made, &others, nth).await;
    true
}

async fn is_complete(stage: &Stage, made: &Connection, others: &[String], nth: usize) {
    stage.is_written(made);
    assert_eq!(stage.others(made), others, "{nth}");
    let written = stage.read(made).await;
    assert_eq!((written.claim.dns_write, written.claim.setup_type), (DnsWrite::Done, SetupType::Automatic));
    assert_eq!(stage.tenant.event_kinds().await, ["records.written"], "{nth}");
    assert_eq!(stage.tenant.core.next_job_at(JobKind::Write).await.unwrap(), None, "{nth}");
    // The next connection of the test may have the name.
    stage.tenant.core.archive_connection(&stage.tenant.caller, &made.claim.id).await.unwrap();
}

#[test]
fn a_no_after_a_death_in_the_middle_takes_everything_back() {
    on_sqlite(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, job) = stage.connect(HOST).await;
        let before = stage.provider.others(&[]);
        // The process ends after its first write, before it hears of it.
        let mut writes = 0;
        stage.provider.faults(move |seen| {
            writes += usize::from(seen.writes);
            (writes > 0).then_some(Fault::HangAfter)
        });
        let done = async {
            while stage.provider.writes() == 0 {
                tokio::task::yield_now().await
            }
        };
        tokio::select! {
            ended = stage.writer.run(job) => panic!("{ended:?}"),
            () = done => {}
        }
        assert_ne!(stage.provider.others(&[]), before);
        let mut writes = 0;
        // From now on the credential may remove records and not make any.
        stage.provider.faults(move |seen| {
            writes += usize::from(seen.writes);
            (seen.writes && writes == 1).then_some(Fault::No(No::Forbidden))
        });
        let next = writer(&bench, &stage.provider, LIMITS);
        bench.clock.advance(LIMITS.lease + Duration::from_secs(1));
        let report = next.run(stage.lease().await).await.unwrap();
        assert!(matches!(&report.outcome, Outcome::Failed(error) if error.problem == Problem::Forbidden), "{report:?}");
        assert_eq!(stage.provider.others(&[]), before);
        let left = stage.read(&made).await;
        assert_eq!((left.claim.dns_write, left.claim.setup_type), (DnsWrite::Failed, SetupType::Manual));
        assert!(left.reason().unwrap().is(ReasonCode::WriteRefused));
        assert!(left.reason().unwrap().user_message().contains("may not change this zone"));
        assert!(left.claim.next_check_at.is_some(), "what its owner does by hand is looked for");
        assert_eq!(stage.tenant.event_kinds().await, [""; 0]);
    });
}

#[test]
fn a_provider_that_refuses_every_second_call_for_its_rate_still_ends_right() {
    on_sqlite(|bench| async move {
        for shim in families() {
            let stage = Stage::new(&bench, shim).await;
            let (made, job) = stage.connect(HOST).await;
            stage.provider.faults(|seen| (seen.number % 2 == 1).then_some(Fault::No(No::Rate(0))));
            assert!(matches!(stage.writer.run(job).await.unwrap().outcome, Outcome::Written));
            stage.is_written(&made);
        }
    });
}

#[test]
fn a_provider_that_wants_to_be_left_alone_is_asked_again_when_it_said() {
    on_both(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, job) = stage.connect(HOST).await;
        stage.provider.faults(|seen| seen.writes.then_some(Fault::No(No::Rate(3000))));
        assert!(matches!(stage.writer.run(job).await.unwrap().outcome, Outcome::Failed(_)));
        let waits = stage.read(&made).await;
        assert_eq!(waits.claim.dns_write, DnsWrite::Writing);
        assert!(waits.reason().unwrap().user_message().contains("3000 seconds"), "{:?}", waits.reason());
        let at = stage.tenant.core.next_job_at(JobKind::Write).await.unwrap();
        let now: Moment = bench.clock.now().into();
        assert_eq!(at, Some(now.after(Duration::from_secs(3000))));
        stage.provider.well();
        bench.clock.advance(Duration::from_secs(3000));
        assert!(matches!(stage.writer.run(stage.lease().await).await.unwrap().outcome, Outcome::Written));
        stage.is_written(&made);
    });
}

#[test]
fn a_provider_that_never_answers_is_left_to_the_owner_in_the_end() {
    on_sqlite(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, mut job) = stage.connect(HOST).await;
        stage.provider.faults(|_| Some(Fault::CutBefore));
        let mut runs = 1;
        loop {
            stage.writer.run(job).await.unwrap();
            let now = stage.read(&made).await;
            if now.claim.dns_write == DnsWrite::Failed {
                break;
            }
            let at = stage.tenant.core.next_job_at(JobKind::Write).await.unwrap().unwrap();
            bench.clock.advance(at.since(bench.clock.now().into()));
            job = stage.lease().await;
            runs += 1;
        }
        assert!((20..200).contains(&runs), "{runs}");
        assert_eq!(stage.read(&made).await.claim.setup_type, SetupType::Manual);
    });
}

#[test]
fn credentials_of_other_customers_leave_a_connection_to_its_owner() {
    on_sqlite(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, job) = stage.connect("shop.elsewhere.test").await;
        assert!(matches!(stage.writer.run(job).await.unwrap().outcome, Outcome::NoZone));
        let left = stage.read(&made).await;
        assert_eq!((left.claim.dns_write, left.claim.setup_type), (DnsWrite::None, SetupType::Manual));
        let reason = left.reason().unwrap();
        assert!(reason.is(ReasonCode::ChallengeMissing));
        assert_eq!(reason.fix.as_ref().unwrap().host, made.challenge().unwrap().name);
    });
}

#[test]
fn a_new_connection_of_the_name_removes_what_the_former_one_left() {
    on_both(|bench| async move {
        let stage = Stage::new(&bench, desec::shim()).await;
        let (first, job) = stage.connect(HOST).await;
        stage.writer.run(job).await.unwrap();
        let written = stage.provider.others(&[]);
        let gone = stage.tenant.core.archive_connection(&stage.tenant.caller, &first.claim.id).await.unwrap();
        assert_eq!((gone.claim.lifecycle, stage.provider.others(&[])), (Lifecycle::Archived, written));
        let (second, job) = stage.connect(HOST).await;
        stage.writer.run(job).await.unwrap();
        stage.is_written(&second);
        assert_ne!(first.challenge().unwrap().expected, second.challenge().unwrap().expected);
    });
}

#[test]
fn a_write_that_is_under_way_when_its_connection_is_deleted_changes_nothing_of_it() {
    on_sqlite(|bench| async move {
        let stage = Stage::new(&bench, cloudflare::shim()).await;
        let (made, job) = stage.connect(HOST).await;
        stage.tenant.core.archive_connection(&stage.tenant.caller, &made.claim.id).await.unwrap();
        stage.writer.run(job).await.unwrap();
        assert_eq!((stage.provider.writes(), stage.tenant.event_kinds().await), (0, vec!["claim.archived".to_owned()]));
    });
}

#[test]
fn two_processes_that_write_one_zone_as_a_whole_undo_nothing_of_each_other() {
    on_postgres(|bench| async move {
        let stage = Stage::new(&bench, namecheap::shim()).await;
        // In memory they have nothing in common.
        let processes = [writer(&bench, &stage.provider, LIMITS), writer(&bench, &stage.provider, LIMITS)];
        let names: Vec<_> = (0..12).map(|n| format!("shop{n}.customer.test")).collect();
        let mut runs = tokio::task::JoinSet::new();
        for (name, process) in names.iter().zip(processes.iter().cycle()) {
            let (_, job) = stage.connect(name).await;
            let process = process.clone();
            runs.spawn(async move { process.run(job).await.unwrap() });
        }
        while let Some(report) = runs.join_next().await {
            let report = report.unwrap();
            assert!(matches!(report.outcome, Outcome::Written), "{report:?}");
        }
        for name in &names {
            assert_eq!(stage.provider.values(name, "CNAME"), [EDGE], "{name}");
        }
        assert_eq!(stage.provider.values(ZONE, "TXT"), ["v=spf1 -all"]);
    });
}

#[test]
fn while_one_process_writes_a_zone_another_waits_and_then_goes_another_time() {
    on_postgres(|bench| async move {
        let stage = Stage::new(&bench, namecheap::shim()).await;
        let (_, job) = stage.connect(HOST).await;
        // The first is in the middle of its call.
        stage.provider.faults(|seen| seen.writes.then_some(Fault::HangBefore));
        let first = writer(&bench, &stage.provider, LIMITS);
        let held = tokio::spawn(async move { first.run(job).await });
        let writes = async || (stage.provider.writes() == 1).then_some(());
        wait::until("the first writes", writes).await;
        let second = writer(&bench, &stage.provider, WriterLimits { turn: Duration::from_millis(300), ..LIMITS });
        let (other, job) = stage.connect("other.customer.test").await;
        assert!(matches!(second.run(job).await.unwrap().outcome, Outcome::Busy));
        assert_eq!(stage.provider.writes(), 1, "two at once");
        // The first dies; its turn ends, and everybody's records come to be there.
        held.abort();
        stage.provider.well();
        bench.clock.advance(LIMITS.lease + Duration::from_secs(1));
        for job in stage.tenant.core.lease_jobs(JobKind::Write, 10, LIMITS.lease).await.unwrap() {
            assert!(matches!(second.run(job).await.unwrap().outcome, Outcome::Written));
        }
        stage.is_written(&other);
        assert_eq!(stage.provider.values(HOST, "CNAME"), [EDGE]);
    });
}

#[test]
fn the_turn_of_a_process_that_died_ends_by_itself() {
    on_both(|bench| async move {
        let stage = Stage::new(&bench, namecheap::shim()).await;
        let (made, job) = stage.connect(HOST).await;
        let zone = "namecheap/customer.test";
        assert!(bench.core.take_turn(zone, "of-the-dead", LIMITS.lease).await.unwrap());
        let brief = WriterLimits { turn: Duration::from_millis(100), ..LIMITS };
        let hasty = writer(&bench, &stage.provider, brief);
        assert!(matches!(hasty.run(job).await.unwrap().outcome, Outcome::Busy));
        assert_eq!((stage.provider.writes(), stage.read(&made).await.claim.dns_write), (0, DnsWrite::Writing));
        bench.clock.advance(LIMITS.lease);
        assert!(matches!(stage.writer.run(stage.lease().await).await.unwrap().outcome, Outcome::Written));
        assert!(bench.core.take_turn(zone, "the-next", LIMITS.lease).await.unwrap(), "it was given back");
    });
}
