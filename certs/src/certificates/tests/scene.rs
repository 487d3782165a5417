//! A manager with everything around it in the test's hand.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::AtomicBool},
};

use clock::{Clock, ManualClock};
use tokio::sync::{Semaphore, watch};

use super::super::*;
use crate::{
    IssueError, Issued, IssuerKey, Obstacle, OrderLimits, Progress, RenewalHint, Store, fixture::Authority,
    memory_store::MemoryStore,
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// What the scripted CA does with one order.
pub(super) enum Script {
    Panic,
    Refuse(&'static str),
    Unreachable,
}

/// An issuer that does what it is told: issues, unless a script says otherwise, as soon as `doors` are open.
pub(super) struct ScriptedCa {
    key: IssuerKey,
    authority: Authority,
    clock: ManualClock,
    doors: Semaphore,
    scripts: Mutex<VecDeque<Script>>,
    orders: watch::Sender<usize>,
    pub(super) settled: Mutex<Vec<Subject>>,
    /// What had to be let go of, and for whom.
    pub(super) abandoned: Mutex<Vec<(Subject, Tenant)>>,
    pub(super) unfinished: Mutex<Vec<Subject>>,
    pub(super) hint: Mutex<Option<RenewalHint>>,
    pub(super) life: Mutex<Duration>,
    pub(super) limits: Mutex<OrderLimits>,
    obstacles: Mutex<VecDeque<&'static str>>,
}

impl ScriptedCa {
    fn new(clock: ManualClock) -> Self {
        Self {
            key: IssuerKey::new("ca.test-directory"),
            authority: Authority::new(),
            clock,
            doors: Semaphore::new(Semaphore::MAX_PERMITS),
            scripts: Mutex::default(),
            orders: watch::Sender::new(0),
            settled: Mutex::default(),
            abandoned: Mutex::default(),
            unfinished: Mutex::default(),
            hint: Mutex::default(),
            life: Mutex::new(LIFE),
            limits: Mutex::default(),
            obstacles: Mutex::default(),
        }
    }

    pub(super) fn orders(&self) -> usize {
        *self.orders.borrow()
    }

    /// Waits until `count` orders have been placed.
    pub(super) async fn ordered(&self, count: usize) {
        let mut orders = self.orders.subscribe();
        within(orders.wait_for(|orders| *orders >= count)).await.unwrap();
    }

    pub(super) fn close_doors(&self) {
        self.doors.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn open_doors(&self) {
        self.doors.add_permits(10_000);
    }

    /// Lets so many orders through closed doors.
    pub(super) fn pass(&self, count: usize) {
        self.doors.add_permits(count);
    }

    pub(super) fn script(&self, script: Script) {
        self.scripts.lock().push_back(script);
    }

    /// The next look before an order finds this.
    pub(super) fn obstacle(&self, code: &'static str) {
        self.obstacles.lock().push_back(code);
    }

    /// A certificate that it would have issued at `start`.
    pub(super) fn bundle(&self, name: &Subject, start: Timestamp) -> Bundle {
        self.authority.bundle_between(name.as_str(), start, *self.life.lock())
    }
}

#[async_trait]
impl Issuer for ScriptedCa {
    fn key(&self) -> &IssuerKey {
        &self.key
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn order_limits(&self) -> OrderLimits {
        *self.limits.lock()
    }

    async fn is_ready(&self, _name: &Subject) -> Result<(), IssueError> {
        match self.obstacles.lock().pop_front() {
            Some(code) => Err(Obstacle { code, found: "scripted".to_owned(), remedy: "none".to_owned() }.into()),
            None => Ok(()),
        }
    }

    async fn issue(
        &self,
        name: &Subject,
        _tenant: Option<&Tenant>,
        _replaces: Option<&Bundle>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Issued, IssueError> {
        self.orders.send_modify(|orders| *orders += 1);
        progress(Progress::Ordered);
        self.doors.acquire().await.unwrap().forget();
        let script = self.scripts.lock().pop_front();
        match script {
            None => Ok(Issued { bundle: self.bundle(name, self.clock.now()), renew_at: None }),
            Some(Script::Panic) => panic!("scripted"),
            Some(Script::Refuse(kind)) => {
                progress(Progress::Refuted(crate::ChallengeKind::TlsAlpn01));
                Err(IssueError::Refused {
                    kind: kind.to_owned(),
                    detail: "scripted".to_owned(),
                    problem: serde_json::json!({"type": kind}),
                    retry_after: None,
                    authorization: true,
                })
            }
            Some(Script::Unreachable) => {
                Err(IssueError::Unreachable { problem: "scripted".to_owned(), retry_after: None })
            }
        }
    }

    async fn settled(&self, name: &Subject) -> Result<(), IssueError> {
        self.settled.lock().push(name.clone());
        Ok(())
    }

    async fn abandon(&self, name: &Subject, stays: &Tenant) -> Result<(), IssueError> {
        self.abandoned.lock().push((name.clone(), stays.clone()));
        Ok(())
    }

    async fn renewal_hint(&self, _bundle: &Bundle) -> Result<Option<RenewalHint>, IssueError> {
        Ok(*self.hint.lock())
    }

    async fn unfinished(&self) -> Result<Vec<Subject>, IssueError> {
        Ok(self.unfinished.lock().clone())
    }
}

/// A gate that says what it is told and counts the questions.
pub(super) struct ScriptedGate {
    answer: Mutex<Permission>,
    tenancies: Mutex<HashMap<Subject, Tenancy>>,
    pub(super) asked: AtomicBool,
}

#[async_trait]
impl Permit for ScriptedGate {
    async fn may_renew(&self, _name: &Subject) -> Permission {
        self.asked.store(true, Ordering::SeqCst);
        *self.answer.lock()
    }

    fn tenancy(&self, name: &Subject) -> Tenancy {
        self.tenancies.lock().get(name).cloned().unwrap_or(Tenancy::Unknown)
    }
}

impl ScriptedGate {
    pub(super) fn say(&self, answer: Permission) {
        *self.answer.lock() = answer;
    }

    /// Says whose a name is.
    pub(super) fn give(&self, text: &str, whose: Tenancy) {
        self.tenancies.lock().insert(subject(text), whose);
    }
}

/// Writes down what it hears.
#[derive(Default)]
pub(super) struct Ear(Mutex<Vec<String>>);

impl Ear {
    /// What was heard since the last time.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observer for Ear {
    fn observe(&self, name: &Subject, step: &Step<'_>, _: Timestamp) {
        let told = match step {
            Step::Failed { failure, renewal: true } => format!("{name} not renewed, failure {}", failure.in_a_row()),
            Step::Failed { failure, renewal: false } => format!("{name} failed {}", failure.in_a_row()),
            Step::Issued { renewal: true, attempt, .. } => format!("{name} renewed at attempt {attempt}"),
            Step::Issued { renewal: false, attempt, .. } => format!("{name} issued at attempt {attempt}"),
            Step::Kept { entry } => format!("{} kept", entry.name),
        };
        self.0.lock().push(told);
    }
}

pub(super) struct Scene {
    pub(super) clock: ManualClock,
    pub(super) store: Arc<MemoryStore>,
    pub(super) ca: Arc<ScriptedCa>,
    pub(super) gate: Arc<ScriptedGate>,
    pub(super) ear: Arc<Ear>,
    pub(super) certificates: Certificates,
    pub(super) settings: Settings,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        // 2026-11-21, a time at which fixtures may be valid.
        let clock = ManualClock::new(Timestamp::from_secs(1_795_000_000));
        let store = Arc::new(MemoryStore::default());
        let ca = Arc::new(ScriptedCa::new(clock.clone()));
        let gate = Arc::new(ScriptedGate {
            answer: Mutex::new(Permission::Renew),
            tenancies: Mutex::default(),
            asked: AtomicBool::new(false),
        });
        let ear = Arc::new(Ear::default());
        let certificates = manager(&settings, &[&ca], &store, &gate, &ear, &clock);
        Self { clock, store, ca, gate, ear, certificates, settings }
    }

    /// Two edges with one store; the second one has its own heart and ears.
    pub(super) fn two(settings: Settings) -> (Self, Self) {
        let one = Self::with(settings);
        one.store.share();
        let ear = Arc::new(Ear::default());
        let certificates = manager(&one.settings, &[&one.ca], &one.store, &one.gate, &ear, &one.clock);
        let two = Self {
            clock: one.clock.clone(),
            store: Arc::clone(&one.store),
            ca: Arc::clone(&one.ca),
            gate: Arc::clone(&one.gate),
            ear,
            certificates,
            settings: one.settings.clone(),
        };
        (one, two)
    }

    /// The same machine after a restart of the process.
    pub(super) fn restart(&mut self) {
        self.certificates = manager(&self.settings, &[&self.ca], &self.store, &self.gate, &self.ear, &self.clock);
    }

    /// A second CA behind the first.
    pub(super) fn add_ca(&mut self) -> Arc<ScriptedCa> {
        let second = Arc::new(ScriptedCa::new(self.clock.clone()));
        self.certificates =
            manager(&self.settings, &[&self.ca, &second], &self.store, &self.gate, &self.ear, &self.clock);
        second
    }

    /// Runs the renewal loop until the returned guard is dropped.
    pub(super) fn run(&self) -> tokio_util::sync::DropGuard {
        let stop = CancellationToken::new();
        let (certificates, token) = (self.certificates.clone(), stop.clone());
        tokio::spawn(async move { certificates.run(token).await });
        stop.drop_guard()
    }

    pub(super) async fn obtain(&self, text: &str) -> Result<Arc<Leaf>, ObtainError> {
        self.certificates.obtain(&name(text), None).await
    }

    /// As a visitor of a name that is served for `id`.
    pub(super) async fn obtain_for(&self, text: &str, id: &str) -> Result<Arc<Leaf>, ObtainError> {
        within(self.certificates.obtain(&name(text), Some(&tenant(id)))).await
    }

    /// Moves a name as the control plane's feed does: told first, then live at the gate.
    pub(super) fn hand_over(&self, text: &str, id: &str) {
        self.certificates.hand_over(&name(text), &tenant(id));
        self.gate.give(text, Tenancy::Of(tenant(id)));
    }

    /// Puts a certificate into the store that was issued `age` ago.
    pub(super) async fn stored(&self, text: &str, age: Duration) {
        let bundle = self.ca.bundle(&subject(text), self.clock.now() - age);
        self.store.save(&subject(text), &bundle).await.unwrap();
    }
}

fn manager(
    settings: &Settings,
    cas: &[&Arc<ScriptedCa>],
    store: &Arc<MemoryStore>,
    gate: &Arc<ScriptedGate>,
    ear: &Arc<Ear>,
    clock: &ManualClock,
) -> Certificates {
    let issuers = cas.iter().map(|ca| Arc::clone(ca) as Arc<dyn Issuer>).collect();
    let (store, gate) = (Arc::clone(store) as Arc<dyn Store>, Arc::clone(gate) as Arc<dyn Permit>);
    let registry = prometheus::Registry::new();
    let (ear, clock) = (Arc::clone(ear) as Arc<dyn Observer>, Arc::new(clock.clone()));
    Certificates::observed(settings.clone(), issuers, store, gate, ear, clock, &registry).unwrap()
}

pub(super) fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

pub(super) fn tenant(text: &str) -> Tenant {
    text.parse().unwrap()
}

pub(super) fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

/// Fails the test instead of hanging it.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("what was waited for did not happen")
}

/// Asks until the answer is yes.
pub(super) async fn until(mut question: impl FnMut() -> bool) {
    within(async {
        while !question() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
