//! [`Accounts`]: the one account that an issuer has at its directory.
//!
//! Made once, kept in the store before the first order goes out, shared by all orders. Whoever comes while it is being
//! made waits for the same attempt and gets its outcome, failures included.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clock::{SharedClock, Timestamp};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    sync::{Mutex, RwLock, RwLockReadGuard},
    time::Instant,
};

use super::{
    Settings,
    http::Http,
    problem::{issue_error, refusal_kind},
};
use crate::{
    IssueError, IssuerKey, Store,
    account::{SecretBytes, StoredAccount, load_account, save_account},
    fleet::Held,
};

/// A directory may move its resources: it is read anew after this time.
const DIRECTORY_KEPT: Duration = Duration::from_secs(12 * 3600);
/// A CA that disowns an account which it has just made, and which never served an order, is not asked for another one
/// within this time: CAs allow ten accounts in three hours.
const REGISTER_AGAIN: Duration = Duration::from_secs(20 * 60);

/// A process that dies while it registers keeps the others of its fleet waiting for so long.
const REGISTRATION: Duration = Duration::from_secs(15);

pub(super) struct Accounts {
    pub(super) settings: Settings,
    pub(super) issuer: IssuerKey,
    pub(super) http: Http,
    pub(super) store: Arc<dyn Store>,
    clock: SharedClock,
    /// Held by every order in flight; a rollover waits for them.
    pub(super) orders: RwLock<()>,
    pub(super) slot: Mutex<Slot>,
    /// Whether the account has served an order since it was registered.
    proven: AtomicBool,
}

/// Our account, and which key it signs with.
#[derive(Clone)]
pub(super) struct Ours {
    pub(super) account: Account,
    print: [u8; SHA256_OUTPUT_LEN],
}

#[derive(Default)]
pub(super) struct Slot {
    pub(super) current: Option<(Ours, Timestamp)>,
    failed: Option<(Instant, IssueError)>,
    /// When this process registered last.
    registered: Option<Timestamp>,
}

impl Accounts {
    pub(super) fn new(
        settings: Settings,
        issuer: IssuerKey,
        http: Http,
        store: Arc<dyn Store>,
        clock: SharedClock,
    ) -> Self {
        let (orders, slot, proven) = (RwLock::default(), Mutex::default(), AtomicBool::new(false));
        Self { settings, issuer, http, store, clock, orders, slot, proven }
    }

    /// An order begins; the account keeps its key until it ends.
    pub(super) async fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.orders.read().await
    }

    /// The account: from memory, from the store, or newly registered.
    pub(super) async fn current(&self) -> Result<Ours, IssueError> {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        let now = self.clock.now();
        if let Some((ours, since)) = &slot.current
            && now.since(*since) < DIRECTORY_KEPT
        {
            return Ok(ours.clone());
        }
        // An attempt that ended while we stood in line is ours too: else a dead CA would be asked once per order.
        if let Some((when, error)) = &slot.failed
            && *when >= asked
        {
            return Err(copy(error));
        }
        match self.load_or_register(&mut slot).await {
            Ok(ours) => {
                slot.current = Some((ours.clone(), now));
                Ok(ours)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), copy(&error)));
                Err(error)
            }
        }
    }

    /// Another account in place of `stale`, which the CA says it does not know.
    pub(super) async fn replace(&self, stale: &Ours) -> Result<Ours, IssueError> {
        let mut slot = self.slot.lock().await;
        if let Some((ours, _)) = &slot.current
            && ours.account.id() != stale.account.id()
        {
            return Ok(ours.clone());
        }
        let now = self.clock.now();
        let unproven = !self.proven.load(Ordering::Relaxed);
        if unproven && slot.registered.is_some_and(|at| now.since(at) < REGISTER_AGAIN) {
            let problem = "the CA does not know the account that it has just registered".to_owned();
            return Err(IssueError::Unreachable { problem, retry_after: None });
        }
        tracing::warn!(name: "acme.account_lost", issuer = %self.issuer, "the CA does not know our account; registering another");
        let ours = self.register_in_turn(&mut slot, Some(stale.account.id())).await?;
        slot.current = Some((ours.clone(), now));
        Ok(ours)
    }

    /// The account with another key than `stale` signs with, when there is one: somebody else on this store has changed
    /// it.
    pub(super) async fn changed(&self, stale: &Ours) -> Result<Option<Ours>, IssueError> {
        let mut slot = self.slot.lock().await;
        if let Some((ours, _)) = &slot.current
            && ours.print != stale.print
        {
            return Ok(Some(ours.clone()));
        }
        let Some(stored) = self.stored().await?.filter(|stored| print(&stored.key_pkcs8_der) != stale.print) else {
            return Ok(None);
        };
        let ours = self.restore(&stored).await?;
        slot.current = Some((ours.clone(), self.clock.now()));
        Ok(Some(ours))
    }

    /// The account has served an order.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    async fn load_or_register(&self, slot: &mut Slot) -> Result<Ours, IssueError> {
        match self.stored().await? {
            Some(stored) => self.restore(&stored).await,
            None => self.register_in_turn(slot, None).await,
        }
    }

    /// Registers, one process of a fleet at a time: whoever comes second takes the account of the first.
    async fn register_in_turn(&self, slot: &mut Slot, stale: Option<&str>) -> Result<Ours, IssueError> {
        let name = format!("account/{}", self.issuer);
        let Some(held) = Held::wait(&self.store, &name, REGISTRATION).await? else { return self.register(slot).await };
        let registered = async {
            match self.stored().await? {
                Some(stored) if Some(stored.location.as_str()) != stale => self.restore(&stored).await,
                Some(_) | None => self.register(slot).await,
            }
        };
        tokio::select! {
            ours = registered => ours,
            () = held.lost() => {
                let problem = "the store was lost while an account was registered".to_owned();
                Err(IssueError::Unreachable { problem, retry_after: None })
            }
        }
    }

    /// The account of the store, with the key that the CA knows.
    pub(super) async fn stored(&self) -> Result<Option<StoredAccount>, IssueError> {
        match load_account(&*self.store, &self.issuer, &self.settings.contact).await? {
            Some(stored) => self.settle(stored).await.map(Some),
            None => Ok(None),
        }
    }

    async fn restore(&self, stored: &StoredAccount) -> Result<Ours, IssueError> {
        let key = PrivatePkcs8KeyDer::from(stored.key_pkcs8_der.as_slice());
        let directory = self.settings.directory.clone();
        let account = self.builder().from_parts(stored.location.clone(), key, directory).await;
        Ok(Ours { account: account.map_err(issue_error)?, print: print(&stored.key_pkcs8_der) })
    }

    async fn register(&self, slot: &mut Slot) -> Result<Ours, IssueError> {
        let (account, credentials) = self.create().await?;
        let stored = StoredAccount {
            location: account.id().to_owned(),
            key_pkcs8_der: SecretBytes::new(credentials.private_key().secret_pkcs8_der().to_vec()),
            contact: self.settings.contact.clone(),
        };
        save_account(&*self.store, &self.issuer, &stored).await?;
        slot.registered = Some(self.clock.now());
        self.proven.store(false, Ordering::Relaxed);
        tracing::info!(name: "acme.account", issuer = %self.issuer, account = account.id(), "account registered");
        Ok(Ours { account, print: print(&stored.key_pkcs8_der) })
    }

    async fn create(&self) -> Result<(Account, AccountCredentials), IssueError> {
        let contact: Vec<_> = self.settings.contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.external_account()?;
        for _ in 1..super::problem::NONCE_CALLS {
            match self.try_create(&new, external.as_ref()).await {
                Err(error) if refusal_kind(&error) == Some("badNonce") => {}
                result => return result,
            }
        }
        self.try_create(&new, external.as_ref()).await
    }

    async fn try_create(
        &self,
        new: &NewAccount<'_>,
        external: Option<&ExternalAccountKey>,
    ) -> Result<(Account, AccountCredentials), IssueError> {
        self.builder().create(new, self.settings.directory.clone(), external).await.map_err(issue_error)
    }

    fn external_account(&self) -> Result<Option<ExternalAccountKey>, IssueError> {
        let Some(external) = &self.settings.external_account else { return Ok(None) };
        // CAs hand the key out in base64url, some with padding.
        let key = BASE64_URL_SAFE_NO_PAD.decode(external.hmac_key.trim_end_matches('=')).map_err(|_| {
            let problem = "the MAC key of the external account is not base64url".to_owned();
            IssueError::Unreachable { problem, retry_after: None }
        })?;
        Ok(Some(ExternalAccountKey::new(external.key_id.clone(), &key)))
    }

    fn builder(&self) -> instant_acme::AccountBuilder {
        Account::builder_with_http(Box::new(self.http.clone()))
    }

    /// What the CA calls itself in CAA records, as its directory said when it was last read.
    pub(super) fn identities(&self) -> Arc<[String]> {
        self.http.identities()
    }
}

/// Tells a key from another one.
fn print(key: &SecretBytes) -> [u8; SHA256_OUTPUT_LEN] {
    let mut print = [0; SHA256_OUTPUT_LEN];
    for (byte, digested) in print.iter_mut().zip(digest(&SHA256, key.as_slice()).as_ref()) {
        *byte = *digested;
    }
    print
}

/// An error for the others who waited for the same attempt.
fn copy(error: &IssueError) -> IssueError {
    match error {
        IssueError::Dns(error) => IssueError::Dns(error.clone()),
        IssueError::Obstacle(obstacle) => IssueError::Obstacle(obstacle.clone()),
        IssueError::Refused { kind, detail, problem, retry_after, authorization } => IssueError::Refused {
            kind: kind.clone(),
            detail: detail.clone(),
            problem: problem.clone(),
            retry_after: *retry_after,
            authorization: *authorization,
        },
        IssueError::Unreachable { problem, retry_after } => {
            IssueError::Unreachable { problem: problem.clone(), retry_after: *retry_after }
        }
        IssueError::Unusable { .. } | IssueError::TimedOut { .. } | IssueError::Store(_) => {
            IssueError::Unreachable { problem: telemetry::chain(error).to_string(), retry_after: None }
        }
    }
}
