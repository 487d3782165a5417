//! The webhooks that came, each once.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

/// More than anybody reads on one page.
const KEPT: usize = 100;

/// A webhook that was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Webhook {
    /// Its id: the same for every attempt to deliver it.
    pub id: String,
    /// What happened, such as `ssl.issued`.
    #[serde(rename = "type")]
    pub kind: String,
    /// To which hostname.
    pub hostname: String,
}

/// The newest webhooks.
#[derive(Debug)]
pub(crate) struct Inbox {
    webhooks: VecDeque<Webhook>,
    told: Option<mpsc::Sender<Webhook>>,
}

impl Inbox {
    pub(crate) fn new(told: Option<mpsc::Sender<Webhook>>) -> Self {
        Self { webhooks: VecDeque::new(), told }
    }

    /// Takes one whose signature was right. A webhook may come again; its id says so.
    pub(crate) fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).ok_or("webhook-id is missing")?;
        let body: Value = serde_json::from_slice(body).map_err(|_| "the body is no JSON")?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.webhooks.iter().any(|webhook| webhook.id == id) {
            return Ok(());
        }
        let webhook = Webhook { id: id.to_owned(), kind: text("/type"), hostname: text("/data/hostname") };
        if let Some(told) = &self.told {
            // Whoever reads too slowly misses some; they are on the page.
            let _ = told.try_send(webhook.clone());
        }
        self.webhooks.push_back(webhook);
        if self.webhooks.len() > KEPT {
            self.webhooks.pop_front();
        }
        Ok(())
    }

    /// The oldest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Webhook> {
        self.webhooks.iter()
    }
}
