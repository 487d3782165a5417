//! [`Gate`]: memory, then one question for all who wait, then what the answer changes.

mod error;
mod explain;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use clock::{SharedClock, Timestamp};
use control_api::AskAnswer;
use names::Hostname;
use prometheus::Registry;
use tokio::time::Instant;
use tracing::{debug, warn};

pub use self::{
    error::GateError,
    explain::{Explanation, Source},
};
use crate::{
    Admitted, Directory, Freshness, GateSettings, Origin, Refusal, Site, Whose,
    ask::{Answer, AskError, Endpoint},
    control::Forget,
    flights::{Boarding, Flights, Slot, Ticket},
    memory::{Allowed, Entry, Memory, Verdict},
    metrics::Metrics,
    pace::Pace,
    records::{Record, Records},
    sampler::Sampler,
    settings::GateLimits,
};

/// Shortest and longest time an answer may set for itself.
const TTL_BOUNDS: (u64, u64) = (1, 3600);

/// Why a question is not asked.
#[derive(Debug, Clone, Copy)]
enum TooMany {
    /// As many are on their way as may be.
    InFlight,
    /// As many were asked about strangers, lately, as may be.
    OfLate,
}

type Outcome = Result<Admitted, Refusal>;

/// The gate. Clones are handles to the same one.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    flights: Arc<Flights<Outcome>>,
    pace: Pace,
    memory: Memory,
    records: Records,
    directory: Option<Directory>,
    default_origin: Option<Origin>,
    limits: GateLimits,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    /// Source of jitter; it need not be unpredictable.
    jitter: RandomState,
    errors: Sampler,
    refusals: Sampler,
}

impl Gate {
    /// Sets up the client and lists the last answers on disk. Asks nothing and writes nothing.
    ///
    /// # Errors
    /// The URL is neither http nor https, the machine's trusted certificates or the folder cannot be read, or the
    /// metrics are registered already.
    pub fn new(settings: GateSettings, clock: SharedClock, registry: &Registry) -> Result<Self, GateError> {
        let endpoint = Endpoint::new(&settings)?;
        let metrics = Metrics::new(registry)?;
        let records = Records::open(&settings, Arc::clone(&clock), metrics.records.clone())?;
        Ok(Self::assemble(endpoint, records, None, settings, clock, Arc::new(metrics)))
    }

    /// As [`new`](Self::new), for an edge with a control plane of its own: what the directory knows is answered from it,
    /// and only other names are asked about.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_directory(
        settings: GateSettings,
        directory: Directory,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, GateError> {
        let endpoint = Endpoint::new(&settings)?;
        let metrics = Metrics::new(registry)?;
        let records = Records::open(&settings, Arc::clone(&clock), metrics.records.clone())?;
        Ok(Self::assemble(endpoint, records, Some(directory), settings, clock, Arc::new(metrics)))
    }

    /// A gate under other settings, with the same clock, metrics and last answers. Its memory is empty: what the old
    /// settings led to is asked anew. Questions in flight end at the gate that they began at.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for the metrics.
    pub fn reconfigured(&self, settings: GateSettings) -> Result<Self, GateError> {
        let endpoint = Endpoint::new(&settings)?;
        let records = self.0.records.reconfigured(&settings)?;
        let (clock, metrics) = (Arc::clone(&self.0.clock), Arc::clone(&self.0.metrics));
        let directory = self.0.directory.clone();
        Ok(Self::assemble(endpoint, records, directory, settings, clock, metrics))
    }

    fn assemble(
        endpoint: Endpoint,
        records: Records,
        directory: Option<Directory>,
        settings: GateSettings,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let GateSettings { default_origin, limits, .. } = settings;
        let inner = Arc::new(Inner {
            endpoint,
            flights: Flights::new(limits.questions_in_flight),
            pace: Pace::per_second(limits.questions_per_second),
            memory: Memory::new(limits.cache_bytes),
            records,
            directory,
            default_origin,
            limits,
            clock,
            metrics,
            jitter: RandomState::new(),
            errors: Sampler::default(),
            refusals: Sampler::default(),
        });
        if let Some(directory) = &inner.directory {
            let gate: Weak<Inner> = Arc::downgrade(&inner);
            directory.attach(gate);
        }
        Self(inner)
    }

    /// May this name be served? From the directory or from memory when they can say; else by a question that all who
    /// need it share. Dropping the future cancels nothing. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Refusal::Denied`] when the endpoint said no, [`Refusal::Unavailable`] when nobody can say.
    pub async fn admit(&self, name: &Hostname) -> Result<Admitted, Refusal> {
        match self.0.listed(name).or_else(|| self.0.remembered(name)) {
            Some(outcome) => outcome,
            None => self.ask(name).await,
        }
    }

    /// Another number after every change that the control plane's feed brings; always the same without one. Whoever
    /// remembers an admission can tell for the price of one load that it still stands.
    pub fn version(&self) -> u64 {
        self.0.directory.as_ref().map_or(0, Directory::version)
    }

    /// Whose a name is, as far as was ever told; asks nobody.
    pub fn whose(&self, name: &Hostname) -> Whose {
        let listed = self.0.directory.as_ref().and_then(|directory| directory.whose(name));
        listed.unwrap_or_else(|| {
            let last = self.0.memory.find(name).and_then(Entry::last_allow);
            last.and_then(|last| last.site.tenant.clone()).into()
        })
    }

    /// What [`admit`](Self::admit) would say and why. May send a question, but changes no memory, file or metric.
    pub async fn explain(&self, name: &Hostname) -> Explanation {
        explain::explain(&self.0, name).await
    }

    /// Waits until the last answers given so far are on disk; for a graceful stop.
    pub async fn flush(&self) {
        self.0.records.flush().await;
    }

    async fn ask(&self, name: &Hostname) -> Outcome {
        let ticket = match self.0.flights.board(name, || self.0.remembered(name)) {
            Boarding::Full => return self.0.refuse(name, TooMany::InFlight),
            Boarding::Join(ticket) => {
                self.0.metrics.joined.inc();
                ticket
            }
            Boarding::Landed(outcome) => return outcome,
            Boarding::Lead(..) if !self.0.may_ask(name) => return self.0.refuse(name, TooMany::OfLate),
            Boarding::Lead(slot, ticket) => self.take_off(slot, ticket),
        };
        // Without an outcome the flight's task is gone, by a panic or with its runtime.
        let outcome = ticket.outcome().await.unwrap_or(Err(Refusal::Unavailable));
        self.0.counted(outcome)
    }

    fn take_off(&self, slot: Slot<Outcome>, ticket: Ticket<Outcome>) -> Ticket<Outcome> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let outcome = inner.fly(slot.name()).await;
            slot.land(outcome);
            inner.gauge();
        });
        self.0.gauge();
        ticket
    }
}

impl Forget for Inner {
    fn changed(&self, name: &Hostname) {
        self.memory.forget(name);
    }

    fn gone(&self, name: &Hostname) {
        self.memory.forget(name);
        self.records.remove(name);
    }
}

impl Inner {
    /// The decision of the directory, if there is one and it has one.
    fn listed(&self, name: &Hostname) -> Option<Outcome> {
        let directory = self.directory.as_ref()?;
        Some(self.counted(directory.admit(name, self.default_origin.as_ref(), self.clock.now())?))
    }

    /// The lowest generation of an answer for a name.
    fn floor(&self, name: &Hostname, known: Option<&Allowed>) -> u64 {
        let in_memory = known.map_or(0, |known| known.site.generation);
        let deleted = self.directory.as_ref().map_or(0, |directory| directory.floor(name));
        in_memory.max(self.records.generation(name).unwrap_or(0)).max(deleted)
    }

    /// The decision of memory, if it has a current one.
    fn remembered(&self, name: &Hostname) -> Option<Outcome> {
        let entry = self.memory.find(name)?;
        let now = self.clock.now();
        if !entry.is_current(now) {
            return None;
        }
        match &entry.verdict {
            Verdict::Allow(_) => self.metrics.hits.allow.inc(),
            Verdict::Deny => self.metrics.hits.deny.inc(),
            Verdict::Error(_) => self.metrics.hits.error.inc(),
        }
        Some(self.counted(entry.decide(now, self.limits.stale)))
    }

    /// Asks, and makes the answer known to memory and disk.
    async fn fly(&self, name: &Hostname) -> Outcome {
        let started = Instant::now();
        let asked = self.endpoint.ask(name).await;
        self.metrics.seconds.observe(started.elapsed().as_secs_f64());
        // The name may have been connected or deleted while the question was on its way; the feed knows better.
        if let Some(outcome) = self.listed(name) {
            return outcome;
        }
        match asked {
            Ok(Answer::Allow(answer)) => self.allow(name, &answer).await,
            Ok(Answer::Deny(status)) => {
                debug!(%name, status = status.as_u16(), "ask.denied");
                self.deny(name)
            }
            Err(error) => self.fail(name, &error, self.recall(name).await),
        }
    }

    async fn allow(&self, name: &Hostname, answer: &AskAnswer) -> Outcome {
        let now = self.clock.now();
        let known = match self.records.generation(name) {
            Some(_) => self.memory.find(name).and_then(Entry::last_allow),
            // A record that a restart left unread is read once, for its generation. Its name was allowed before and is
            // allowed now, so no stranger can make the disk work.
            None => self.recall(name).await,
        };
        let floor = self.floor(name, known.as_ref());
        match check(name, answer, self.default_origin.as_ref(), floor) {
            Ok(site) => self.accept(site, known, answer, now),
            Err(error) if known.is_some() => self.fail(name, &error, known),
            Err(error) => self.fail(name, &error, self.recall(name).await),
        }
    }

    fn accept(&self, site: Site, known: Option<Allowed>, answer: &AskAnswer, now: Timestamp) -> Outcome {
        // The same site stays the same allocation, for those who hold it.
        let same = known.map(|known| known.site).filter(|known| **known == site);
        let site = same.unwrap_or_else(|| Arc::new(site));
        self.metrics.asked("allow");
        self.remember(&site.hostname, Verdict::Allow(Arc::clone(&site)), now, ttl(answer, self.limits.allow_ttl));
        self.records.save(&site.hostname, answer, now);
        Ok(Admitted { site, freshness: Freshness::Fresh })
    }

    fn deny(&self, name: &Hostname) -> Outcome {
        self.metrics.asked("deny");
        let now = self.clock.now();
        self.remember(name, Verdict::Deny, now, self.spread(self.limits.deny_ttl, name, now));
        self.records.remove(name);
        Err(Refusal::Denied)
    }

    fn fail(&self, name: &Hostname, error: &AskError, last: Option<Allowed>) -> Outcome {
        let now = self.clock.now();
        self.metrics.asked(error.kind());
        if let Some(left_out) = self.errors.admit(now) {
            warn!(%name, kind = error.kind(), error = %telemetry::chain(error), left_out, "ask.failed");
        }
        let outcome = last.as_ref().map_or(Err(Refusal::Unavailable), |last| last.stale(now, self.limits.stale));
        self.remember(name, Verdict::Error(last), now, self.spread(self.limits.error_ttl, name, now));
        outcome
    }

    /// The last allow of a name: from memory, else from disk. A denial in memory, run out or not, is still the last
    /// thing that the endpoint said.
    async fn recall(&self, name: &Hostname) -> Option<Allowed> {
        match self.memory.find(name) {
            Some(entry) => entry.last_allow(),
            None => self.records.load(name, self.clock.now()).await.and_then(|record| self.revive(name, &record)),
        }
    }

    /// A last answer from disk, read again under the configuration of today.
    fn revive(&self, name: &Hostname, record: &Record) -> Option<Allowed> {
        let site = Site::parse(name, &record.answer, self.default_origin.as_ref()).ok()?;
        // Another endpoint counted its generations for itself.
        let site = Site { generation: self.records.floor(record), ..site };
        Some(Allowed { site: Arc::new(site), answered: Timestamp::from_millis(record.answered) })
    }

    /// Whether there is a question left for this name. One that was allowed before may always be asked about.
    fn may_ask(&self, name: &Hostname) -> bool {
        let remembered = || self.memory.find(name).and_then(Entry::last_allow).is_some();
        self.records.has(name) || remembered() || self.pace.take(self.clock.now())
    }

    /// Too many questions. What memory holds is as good as after a failed question; the disk is left alone,
    /// since whoever filled the flights must not make it work too.
    fn refuse(&self, name: &Hostname, why: TooMany) -> Outcome {
        let (counter, limit, text) = match why {
            TooMany::InFlight => (&self.metrics.refused_in_flight, self.limits.questions_in_flight, "in flight"),
            TooMany::OfLate => (&self.metrics.refused_of_late, self.limits.questions_per_second, "of late"),
        };
        counter.inc();
        let now = self.clock.now();
        if let Some(left_out) = self.refusals.admit(now) {
            warn!(%name, limit, left_out, "ask.refused: too many questions {text}");
        }
        let last = self.memory.find(name).and_then(Entry::last_allow);
        self.counted(last.map_or(Err(Refusal::Unavailable), |last| last.stale(now, self.limits.stale)))
    }

    fn remember(&self, name: &Hostname, verdict: Verdict, now: Timestamp, ttl: Duration) {
        self.memory.remember(name, Entry { verdict, answered: now, until: now + ttl });
    }

    /// Two thirds to four thirds of `ttl`, so that names learnt together are not asked about together.
    fn spread(&self, ttl: Duration, name: &Hostname, now: Timestamp) -> Duration {
        let dice = self.jitter.hash_one((name.as_str(), now));
        let share = u32::try_from(dice % 1000).unwrap_or(0);
        ttl * 2 / 3 + ttl * share / 1500
    }

    fn counted(&self, outcome: Outcome) -> Outcome {
        if matches!(&outcome, Ok(admitted) if admitted.freshness == Freshness::Stale) {
            self.metrics.stale.inc();
        }
        outcome
    }

    fn gauge(&self) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.in_flight.set(i64::try_from(self.flights.count()).unwrap_or(i64::MAX));
        self.metrics.cache_bytes.set(whole(self.memory.bytes()));
        self.metrics.cache_entries.set(whole(self.memory.entries()));
    }
}

/// Whether an allowing answer can be used for `name`.
fn check(name: &Hostname, answer: &AskAnswer, default_origin: Option<&Origin>, floor: u64) -> Result<Site, AskError> {
    let site = Site::parse(name, answer, default_origin).map_err(AskError::Site)?;
    match site.generation < floor {
        true => Err(AskError::Outdated { known: floor, got: site.generation }),
        false => Ok(site),
    }
}

/// How long an allow is used.
fn ttl(answer: &AskAnswer, default: Duration) -> Duration {
    let (shortest, longest) = TTL_BOUNDS;
    answer.ttl_seconds.map_or(default, |seconds| Duration::from_secs(seconds.clamp(shortest, longest)))
}
