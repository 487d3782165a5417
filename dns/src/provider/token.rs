//! [`Tokens`]: access tokens of OAuth 2.0, kept for as long as they live.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clock::Timestamp;
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{
    api::Api,
    error::{Problem, ProviderError},
    secret::Secret,
};

/// A token is renewed this long before it ends: longer than a request takes.
const EARLY: Duration = Duration::from_mins(2);
/// Where Google's assertions are for, whatever a key file says.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// A token as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Token(pub(crate) Secret);

/// One identity's tokens.
pub(crate) struct Tokens {
    login: Api,
    grant: Grant,
    held: Mutex<Option<(Token, Timestamp)>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

enum Grant {
    /// RFC 7523: a signed assertion.
    Assertion(Assertion),
    /// RFC 6749 section 4.4: an id and a secret.
    Client { tenant: String, id: String, secret: Secret, scope: &'static str },
}

/// What a service account says of itself, signed.
pub(crate) struct Assertion {
    key: RsaKeyPair,
    key_id: String,
    email: String,
    scope: &'static str,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Assertion {
    /// `None` when the text is no RSA key in PEM.
    pub(crate) fn new(pem: &Secret, key_id: String, email: String, scope: &'static str) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.reveal().as_bytes()).ok()?;
        let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
        Some(Self { key, key_id, email, scope })
    }

    fn sign(&self, now: Timestamp) -> Option<String> {
        let issued = now.as_secs();
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email, "scope": self.scope, "aud": AUDIENCE, "iat": issued, "exp": issued + 3600,
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encode(&head), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Tokens {
    pub(crate) fn assertion(login: Api, assertion: Assertion) -> Self {
        Self { login, grant: Grant::Assertion(assertion), held: Mutex::new(None) }
    }

    pub(crate) fn client(login: Api, tenant: String, id: String, secret: Secret, scope: &'static str) -> Self {
        Self { login, grant: Grant::Client { tenant, id, secret, scope }, held: Mutex::new(None) }
    }

    /// The token that is held, or a new one. Whoever comes meanwhile waits for the same.
    pub(crate) async fn get(&self) -> Result<Token, ProviderError> {
        let mut held = self.held.lock().await;
        let now = self.login.http.clock.now();
        if let Some((token, _)) = held.as_ref().filter(|(_, until)| now < *until) {
            return Ok(token.clone());
        }
        let granted = self.ask(now).await?;
        let token = Token(Secret::new(&granted.access_token));
        let life = Duration::from_secs(granted.expires_in.min(86_400)).saturating_sub(EARLY);
        *held = Some((token.clone(), now + life));
        Ok(token)
    }

    async fn ask(&self, now: Timestamp) -> Result<Granted, ProviderError> {
        let (path, form, secret) = match &self.grant {
            Grant::Assertion(assertion) => {
                let signed = assertion.sign(now).ok_or_else(|| self.login.error(Problem::Auth))?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                (vec!["token"], pairs(&[("grant_type", grant), ("assertion", &signed)]), Secret::new(&signed))
            }
            Grant::Client { tenant, id, secret, scope } => {
                let form = pairs(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", id),
                    ("client_secret", secret.reveal()),
                    ("scope", scope),
                ]);
                (vec![tenant.as_str(), "oauth2", "v2.0", "token"], form, secret.clone())
            }
        };
        // Asking for a token changes nothing.
        self.login.post(&path).form(&form).hide(&secret).reads().json().await
    }
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
