//! Account key rollover (RFC 8555 section 7.3.5): the two requests of it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use serde::Deserialize;
use serde_json::json;

use super::{
    http::{CaError, Http},
    jws::{KeyError, Sender, Signer},
    problem::{NONCE_CALLS, issue_error},
};
use crate::{IssueError, StoreError, account::SecretBytes};

/// The nonce for the next request (RFC 8555 section 6.5.1).
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
/// Requests that are signed anew while good nonces are called bad: as often as those of orders are.
const TRIES: u32 = 3 * NONCE_CALLS;

/// What is needed of the directory.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    /// A CA must have it (section 7.1.1); not all do.
    key_change: Option<String>,
}

/// The CA was not asked, or said no, or could not be heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyChangeError {
    /// The CA changes no keys.
    #[error("the CA's directory has no keyChange")]
    NotOffered,
    /// The request failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// One account at one CA.
pub(super) struct Teller<'a> {
    http: &'a Http,
    directory: Directory,
    /// The account's URL.
    account: &'a str,
}

impl<'a> Teller<'a> {
    /// Reads the directory.
    pub(super) async fn at(http: &'a Http, directory: &str, account: &'a str) -> Result<Self, IssueError> {
        let answer = http.send(request(Method::GET, directory, Bytes::new())?).await.map_err(ca)?;
        let directory = serde_json::from_slice(answer.body())
            .map_err(|_| unreachable("the CA's directory cannot be understood".to_owned()))?;
        Ok(Self { http, directory, account })
    }

    /// Whether the CA changes keys.
    pub(super) fn offers(&self) -> bool {
        self.directory.key_change.is_some()
    }

    /// Has the CA take `new` in place of `old` for the account. When the answer is lost, either may hold.
    pub(super) async fn change(&self, old: &SecretBytes, new: &SecretBytes) -> Result<(), KeyChangeError> {
        let Some(url) = self.directory.key_change.as_deref() else { return Err(KeyChangeError::NotOffered) };
        let (old, new) = (signer(old)?, signer(new)?);
        let payload = json!({ "account": self.account, "oldKey": old.jwk().map_err(key)? });
        let inner = new.sign(url, &Sender::Key, &payload.to_string()).map_err(key)?;
        Ok(self.post(url, &old, &inner.to_string()).await?)
    }

    /// Whether the CA takes `key` for the account's. A refusal is "no"; being too fast, or a failing CA, is an error.
    pub(super) async fn knows(&self, key: &SecretBytes) -> Result<bool, IssueError> {
        // An empty payload reads the account (section 6.3).
        match self.post(self.account, &signer(key)?, "").await {
            Ok(()) => Ok(true),
            Err(IssueError::Refused { kind, .. }) if kind != "rateLimited" && kind != "badNonce" => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, url: &str, signer: &Signer, payload: &str) -> Result<(), IssueError> {
        let mut nonce = self.nonce().await?;
        for _ in 0..TRIES {
            let sender = Sender::Account { url: self.account, nonce: &nonce };
            let body = signer.sign(url, &sender, payload).map_err(key)?;
            let answer = self.http.send(request(Method::POST, url, body.to_string().into())?).await.map_err(ca)?;
            if answer.status().is_success() {
                return Ok(());
            }
            // What is no success and no error is a nonce that was called bad; a good one comes with it.
            nonce = match read_nonce(answer.headers()) {
                Some(nonce) => nonce,
                None => self.nonce().await?,
            };
        }
        Err(unreachable("the CA calls every nonce bad".to_owned()))
    }

    async fn nonce(&self) -> Result<String, IssueError> {
        let url = &self.directory.new_nonce;
        let answer: Response<Bytes> = self.http.send(request(Method::HEAD, url, Bytes::new())?).await.map_err(ca)?;
        read_nonce(answer.headers()).ok_or_else(|| unreachable("the CA gives no nonce".to_owned()))
    }
}

fn request(method: Method, url: &str, body: Bytes) -> Result<Request<Bytes>, IssueError> {
    Request::builder()
        .method(method)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/jose+json")
        .body(body)
        .map_err(|_| unreachable("the CA's directory names something that is no URL".to_owned()))
}

fn read_nonce(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(REPLAY_NONCE)?.to_str().ok()?.to_owned())
}

fn signer(bytes: &SecretBytes) -> Result<Signer, IssueError> {
    Signer::new(bytes).map_err(key)
}

fn key(error: KeyError) -> IssueError {
    IssueError::Store(StoreError::Broken { entry: "the account key".to_owned(), problem: error.to_string() })
}

fn ca(error: CaError) -> IssueError {
    issue_error(instant_acme::Error::Other(Box::new(error)))
}

fn unreachable(problem: String) -> IssueError {
    IssueError::Unreachable { problem, retry_after: None }
}
