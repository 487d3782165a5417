//! [`Http`]: the one client that talks to providers.
//!
//! No redirect, no proxy, no cookie, TLS verified; one deadline a request, bodies and pages bounded. Where requests go is
//! fixed by each adapter; [`Bases`] exists so that a test can put a server of its own there.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use clock::SharedClock;
use rustls::{ClientConfig, crypto::aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

/// Connections that are kept open to one provider.
const IDLE_CONNECTIONS: usize = 4;
/// For how long: less than the 60 s after which common servers close them.
const IDLE: Duration = Duration::from_secs(30);
/// Header fields of an answer. Clouds send about 40.
const MAX_HEADERS: usize = 128;

/// Bounds on one conversation.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// A request with its answer. The slowest writes of whole zones take 10 s.
    pub request: Duration,
    /// A TCP and TLS connection.
    pub connect: Duration,
    /// Bytes of an answer: a page of 1,000 records is about 500 KiB.
    pub body: usize,
    /// Tries of a request that was refused for its rate, or of a question that got no answer.
    pub tries: u32,
    /// Before the second try; each further one waits twice as long.
    pub pause: Duration,
    /// The longest `Retry-After` that is waited for at once; a longer one is told to the caller.
    pub longest_wait: Duration,
    /// Pages of one listing.
    pub pages: usize,
    /// Records of one zone.
    pub records: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(20),
            connect: Duration::from_secs(5),
            body: 8 << 20,
            tries: 4,
            pause: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            pages: 500,
            records: 50_000,
        }
    }
}

/// Where providers are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Bases {
    /// Where their documentation says.
    Public,
    /// The same; name servers of one's own may have private addresses.
    Development,
    /// All of them at one server, for tests: scheme, host and port of each base URL are replaced.
    At(Url),
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpSetupError {
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
    /// The TLS settings are refused, or the machine trusts nobody.
    #[error("the TLS client cannot be built")]
    Tls(#[source] rustls::Error),
}

/// The client; clones share its connections.
#[derive(Clone)]
pub struct Http {
    pub(crate) client: reqwest::Client,
    pub(crate) limits: HttpLimits,
    pub(crate) clock: SharedClock,
    bases: Bases,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("bases", &self.bases).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Http {
    /// A client; `clock` dates signatures and `Retry-After`.
    ///
    /// # Errors
    /// [`HttpSetupError`] when the machine has no usable TLS roots.
    pub fn new(bases: Bases, limits: HttpLimits, clock: SharedClock) -> Result<Self, HttpSetupError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("Namegate-DNS/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            // The engine repeats, and looks first.
            .retry(reqwest::retry::never())
            .http1_max_headers(MAX_HEADERS)
            .tcp_nodelay(true)
            .timeout(limits.request)
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE)
            .https_only(!matches!(bases, Bases::At(_)))
            .tls_backend_preconfigured(tls()?)
            .build()
            .map_err(HttpSetupError::Client)?;
        Ok(Self { client, limits, clock, bases })
    }

    /// Whether addresses of our own network may be dialled.
    pub(crate) fn may_dial_private(&self) -> bool {
        !matches!(self.bases, Bases::Public)
    }

    /// The base URL `public` of a provider, or the test's server with its path. `None` when it is no URL.
    pub(crate) fn base(&self, public: &str) -> Option<Url> {
        let mut base = Url::parse(public).ok()?;
        if let Bases::At(server) = &self.bases {
            let path = base.path().to_owned();
            base = server.clone();
            base.set_path(&path);
        }
        Some(base)
    }
}

/// The machine's roots are read once: it takes longer than a request.
fn tls() -> Result<ClientConfig, HttpSetupError> {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = trusting_the_machine()?;
    Ok(CONFIG.get_or_init(|| config).clone())
}

fn trusting_the_machine() -> Result<ClientConfig, HttpSetupError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(HttpSetupError::Tls)?;
    Ok(config.with_platform_verifier().map_err(HttpSetupError::Tls)?.with_no_client_auth())
}
