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

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clock::{SharedClock, Timestamp};
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Settings,
    http::Http,
    problem::{issue_error, refusal_kind},
};
use crate::{
    IssueError, IssuerKey, Store,
    account::{SecretBytes, StoredAccount, load_account, save_account},
};

/// A directory may move its resources: it is read anew after this time.
const DIRECTORY_KEPT: Duration = Duration::from_secs(12 * 3600);
/// A CA that disowns an account which it has just made, and which never served an order, is not asked for another one
/// within this time: CAs allow ten accounts in three hours.
const REGISTER_AGAIN: Duration = Duration::from_secs(20 * 60);

pub(super) struct Accounts {
    settings: Settings,
    issuer: IssuerKey,
    http: Http,
    store: Arc<dyn Store>,
    clock: SharedClock,
    slot: Mutex<Slot>,
    /// Whether the account has served an order since it was registered.
    proven: AtomicBool,
}

#[derive(Default)]
struct Slot {
    current: Option<(Account, Timestamp)>,
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
        Self { settings, issuer, http, store, clock, slot: Mutex::default(), proven: AtomicBool::new(false) }
    }

    /// The account: from memory, from the store, or newly registered.
    pub(super) async fn current(&self) -> Result<Account, IssueError> {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        let now = self.clock.now();
        if let Some((account, since)) = &slot.current
            && now.since(*since) < DIRECTORY_KEPT
        {
            return Ok(account.clone());
        }
        // An attempt that ended while we stood in line is ours too: else a dead CA would be asked once per order.
        if let Some((when, error)) = &slot.failed
            && *when >= asked
        {
            return Err(copy(error));
        }
        match self.load_or_register(&mut slot).await {
            Ok(account) => {
                slot.current = Some((account.clone(), now));
                Ok(account)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), copy(&error)));
                Err(error)
            }
        }
    }

    /// Another account in place of `stale`, which the CA says it does not know.
    pub(super) async fn replace(&self, stale: &Account) -> Result<Account, IssueError> {
        let mut slot = self.slot.lock().await;
        if let Some((account, _)) = &slot.current
            && account.id() != stale.id()
        {
            return Ok(account.clone());
        }
        let now = self.clock.now();
        let unproven = !self.proven.load(Ordering::Relaxed);
        if unproven && slot.registered.is_some_and(|at| now.since(at) < REGISTER_AGAIN) {
            let problem = "the CA does not know the account that it has just registered".to_owned();
            return Err(IssueError::Unreachable { problem, retry_after: None });
        }
        tracing::warn!(name: "acme.account_lost", issuer = %self.issuer, "the CA does not know our account; registering another");
        let account = self.register(&mut slot).await?;
        slot.current = Some((account.clone(), now));
        Ok(account)
    }

    /// The account has served an order.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    async fn load_or_register(&self, slot: &mut Slot) -> Result<Account, IssueError> {
        match load_account(&*self.store, &self.issuer, &self.settings.contact).await? {
            Some(stored) => {
                let key = PrivatePkcs8KeyDer::from(stored.key_pkcs8_der.as_slice());
                let account = self.builder().from_parts(stored.location, key, self.settings.directory.clone());
                account.await.map_err(issue_error)
            }
            None => self.register(slot).await,
        }
    }

    async fn register(&self, slot: &mut Slot) -> Result<Account, IssueError> {
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
        Ok(account)
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
}

/// An error for the others who waited for the same attempt.
fn copy(error: &IssueError) -> IssueError {
    match error {
        IssueError::Dns(error) => IssueError::Dns(error.clone()),
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
