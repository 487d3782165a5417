//! What is true about accounts, applications, keys, claims and events, whatever API is spoken about them.
//!
//! Every function that changes something takes the transaction it belongs to or is one. The core knows no HTTP, no state
//! word of a surface and no SQL (that is [`db`](crate::db)'s). Times come from a clock.

mod ids;
mod stored;
mod words;

mod accounts;
mod api_keys;
mod applications;
mod audit;
mod certificates;
mod change;
mod checking;
mod claim;
mod connections;
mod credentials;
mod deadlines;
mod deliveries;
mod delivering;
mod endpoints;
mod error;
mod events;
mod feed;
mod idempotency;
mod inquiry;
mod jobs;
mod ledger;
mod name_rules;
mod policy;
mod preflight;
mod prospects;
mod quotas;
mod reason;
mod record_rules;
mod records;
mod scopes;
mod sealing;
mod secret_key;
mod settings;
mod signing_secrets;
mod takeover;
mod targets;
mod template;
mod upkeep;
mod usage;
mod visits;
mod writing;

pub use self::sealing::Sealing;
pub use accounts::{Account, Plan};
pub use api_keys::{ApiKey, Caller, NewKey, SealedKey};
pub use applications::{Application, ApplicationPatch, NewApplication};
pub use certificates::Certificate;
pub use checking::{ChallengeSight, Checked, Looker, RecordSight, RoutingSight, Unchanged};
pub use claim::{Claim, Proof, Record};
pub use connections::{ChallengeForm, Connection, ConnectionFilter, ConnectionPatch, FacetQuery, NewConnection};
pub use credentials::{Credential, NewCredential};
pub use deliveries::{Delivery, DeliveryAttempt, DeliveryStatus};
pub use delivering::{DisableReason, DueDelivery, DueEndpoint, NextStep, Recorded};
pub use endpoints::{EndpointPatch, NewEndpoint, WebhookEndpoint};
pub use error::CoreError;
pub use events::{Event, EventKind};
pub use feed::{Allowed, GateRow, Standing};
pub use idempotency::{Begun, Replay};
pub use ids::new_id;
pub use inquiry::Inquiry;
pub use jobs::{Job, JobKind};
pub use ledger::{WriteOrder, WriteRow, WrittenRecord};
pub use name_rules::NameRule;
pub use policy::Policy;
pub use preflight::PreflightSight;
pub use prospects::Prospect;
pub use reason::{Fix, Reason, ReasonCode};
pub use records::DesiredRecord;
pub use scopes::Scope;
pub use settings::{CoreSettings, EdgeTarget, Pace, PlanLimits};
pub use signing_secrets::SigningSecrets;
pub use stored::{Document, Flag, Moment};
pub use template::TemplateRecord;
pub use usage::{Usage, UsageKind};
pub use visits::{Return, Visit};
pub use words::{
    CertificateState, Deadline, DnsWrite, Environment, Kind, Lifecycle, Ownership, Preflight, ProofKind, Routing,
    SetupType, Surface, UnknownWord,
};
pub use writing::WriteEnd;

pub use ::sealing::{Keyring, SealError};

pub use crate::db::attempts::Attempt;

pub(crate) use idempotency::IdempotencyRow;
pub(crate) use secret_key::{SecretKey, sha256};

use std::sync::Arc;

use clock::SharedClock;
use tokio::sync::watch;

use crate::db::{Db, DbError, Session};

/// The core of one process: the database, the clock, the rules, and a bell for those who wait for changes.
#[derive(Clone)]
pub struct Core {
    db: Db,
    clock: SharedClock,
    settings: Arc<CoreSettings>,
    keyring: Option<Arc<Keyring>>,
    gate_bell: watch::Sender<u64>,
    event_bell: watch::Sender<u64>,
    calls: Arc<usage::Calls>,
    orphans: Arc<idempotency::Orphans>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("db", &self.db.kind()).finish_non_exhaustive()
    }
}

impl Core {
    /// A core over a database whose schema is up to date.
    pub fn new(db: Db, clock: SharedClock, settings: CoreSettings, keyring: Option<Keyring>) -> Self {
        Self {
            db,
            clock,
            settings: Arc::new(settings),
            keyring: keyring.map(Arc::new),
            gate_bell: watch::Sender::new(0),
            event_bell: watch::Sender::new(0),
            calls: Arc::default(),
            orphans: Arc::default(),
        }
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The clock.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// The rules.
    pub fn settings(&self) -> &CoreSettings {
        &self.settings
    }

    /// The keys that secrets are sealed under.
    pub fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_deref()
    }

    /// The time now.
    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Rings after every commit of this process that changed the gate. Other processes are seen by polling.
    pub fn gate_bell(&self) -> watch::Receiver<u64> {
        self.gate_bell.subscribe()
    }

    /// Rings after every commit of this process that wrote events.
    pub fn event_bell(&self) -> watch::Receiver<u64> {
        self.event_bell.subscribe()
    }

    pub(crate) async fn read(&self) -> Result<Session, DbError> {
        self.db.read().await
    }

    /// Begins a transaction for the functions that take one.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn begin(&self) -> Result<Session, DbError> {
        self.db.begin().await
    }

    /// Commits and wakes those who wait. Ringing for nothing costs one read of each waiter.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn commit(&self, tx: Session) -> Result<(), DbError> {
        tx.commit().await?;
        self.gate_bell.send_modify(|count| *count = count.wrapping_add(1));
        self.event_bell.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }
}
