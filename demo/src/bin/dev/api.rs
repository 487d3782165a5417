//! The control plane's API, as far as a SaaS and its customers need it here.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use test_support::{ControlProcess, client::http};

/// Calls with the demo's key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    address: SocketAddr,
}

/// The first page of a list; more than that is never asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) default_origin: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) signing_secret: Option<String>,
}

/// A connection: what its owner and its customer have to know.
#[derive(Debug, Deserialize)]
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) hostname: String,
    pub(crate) state: String,
    pub(crate) verified_at: Option<String>,
    pub(crate) ownership_challenge: Option<Challenge>,
    pub(crate) desired_records: Vec<Desired>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Desired {
    pub(crate) host: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) value: String,
}

/// What a check of the records says.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) state: String,
    pub(crate) message: Option<String>,
}

impl Connection {
    /// Whether it is neither archived nor given up.
    pub(crate) fn stands(&self) -> bool {
        !matches!(self.state.as_str(), "archived" | "failed")
    }
}

impl Api {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&Value>) -> Result<T> {
        self.call("POST", path, body).await
    }

    /// Any call; an error of the API is told in the API's own words.
    pub(crate) async fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&Value>) -> Result<T> {
        let url = format!("http://{}{path}", self.address);
        let body = body.map(Value::to_string).unwrap_or_default();
        let Ok(answer) = http::send_with_key(method, &url, ControlProcess::DEMO_KEY, body).await else {
            bail!("the control plane at {} does not answer: is `make dev` running?", self.address)
        };
        if !answer.status().is_success() {
            let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let message = problem.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
            bail!("{method} {path}: {} {message}", answer.status().as_u16());
        }
        // Some answers have no body; null fits those who expect nothing.
        let text = if answer.body().is_empty() { b"null" } else { answer.body().as_ref() };
        serde_json::from_slice(text).with_context(|| format!("{method} {path} answers something unknown"))
    }
}
