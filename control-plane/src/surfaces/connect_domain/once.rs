//! `Idempotency-Key`: the same POST twice is done once.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::ApiError;
use crate::{
    core::{Begun, Caller, Core, CoreError, Replay},
    db::Session,
};

/// Longest key.
const MAX_KEY: usize = 255;
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request that is done once. Without the header it is simply done.
pub(crate) struct Once {
    core: Core,
    account_id: String,
    key: Option<String>,
}

/// What is to be done with a request.
pub(crate) enum Start {
    /// Do it.
    Do(Once),
    /// It was done: this was the answer.
    Answer(Response),
}

impl Once {
    /// Looks for the header. `what` is method and path, which belong to the request as its body does.
    pub(crate) async fn start(
        core: &Core,
        caller: &Caller,
        headers: &HeaderMap,
        what: &str,
        body: &[u8],
    ) -> Result<Start, ApiError> {
        let once = |key| Self { core: core.clone(), account_id: caller.account_id.clone(), key };
        let Some(key) = headers.get("idempotency-key") else { return Ok(Start::Do(once(None))) };
        let key = key.to_str().ok().filter(|key| {
            let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
            is_visible && !key.is_empty() && key.len() <= MAX_KEY
        });
        let Some(key) = key else {
            let message = format!("Idempotency-Key is between 1 and {MAX_KEY} visible ASCII characters");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid", message));
        };
        let mut print = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        // A token that is bound to one name must not be shown what was made for another.
        let only = |bound: &Option<String>| bound.clone().unwrap_or_default();
        let bound = format!("{}\0{}", only(&caller.only_application), only(&caller.only_hostname));
        for part in [what, caller.environment.as_str(), &bound].map(str::as_bytes).into_iter().chain([body]) {
            print.update(part);
            print.update(b"\0");
        }
        match core.begin_idempotent(&caller.account_id, key, print.finish().as_ref()).await? {
            Begun::Fresh => Ok(Start::Do(once(Some(key.to_owned())))),
            Begun::Replay(replay) => Ok(Start::Answer(answer(replay, true))),
        }
    }

    /// The transaction that the request is.
    pub(crate) async fn begin(&mut self) -> Result<Session, ApiError> {
        match self.core.begin().await {
            Ok(tx) => Ok(tx),
            Err(error) => Err(self.fail(error.into()).await),
        }
    }

    /// Ends the request's transaction before its answer is known: a repetition is shown `begun` until then.
    pub(crate) async fn commit(
        self,
        tx: Session,
        status: StatusCode,
        begun: &impl Serialize,
    ) -> Result<Begin, ApiError> {
        let (core, account_id, key) = (self.core.clone(), self.account_id.clone(), self.key.clone());
        let begun = Replay { status: status.as_u16(), body: erased::Serialize::to_json(begun) };
        self.keep(tx, &begun).await?;
        Ok(Begin { core, account_id, key, begun })
    }

    /// Ends the request's transaction with its answer. `kept` is what a repetition is shown: without secrets.
    pub(crate) async fn finish(
        self,
        tx: Session,
        status: StatusCode,
        shown: &impl Serialize,
        kept: &impl Serialize,
    ) -> Result<Response, ApiError> {
        let replay = |body: &dyn erased::Serialize| Replay { status: status.as_u16(), body: body.to_json() };
        self.keep(tx, &replay(&kept)).await?;
        Ok(answer(replay(&shown), false))
    }

    async fn keep(mut self, mut tx: Session, kept: &Replay) -> Result<(), ApiError> {
        if let Some(key) = &self.key {
            let finished = self.core.finish_idempotent(&mut tx, &self.account_id, key, kept).await;
            if let Err(error) = finished {
                // Another request has the key by now.
                self.key = None;
                return Err(error.into());
            }
        }
        if let Err(error) = self.core.commit(tx).await {
            return Err(self.fail(error.into()).await);
        }
        self.key = None;
        Ok(())
    }

    /// Frees the key of a request that was not done.
    pub(crate) async fn fail(&mut self, error: CoreError) -> ApiError {
        if let Some(key) = &self.key {
            match self.core.abandon_idempotent(&self.account_id, key).await {
                Ok(()) => self.key = None,
                Err(error) => {
                    tracing::debug!(error = %telemetry::chain(&error), "an idempotency key was not freed");
                }
            }
        }
        ApiError::from(error).upgrade_at(self.core.settings().upgrade_url.as_deref())
    }
}

impl Drop for Once {
    /// The client has gone, or the database.
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.core.orphan_idempotent(&self.account_id, &key);
        }
    }
}

/// A request that is done, and whose answer is not known yet.
pub(crate) struct Begin {
    core: Core,
    account_id: String,
    key: Option<String>,
    begun: Replay,
}

impl Begin {
    /// The answer, which a repetition is shown from now on.
    pub(crate) async fn finish(self, shown: &impl Serialize) -> Response {
        let Self { core, account_id, key, begun } = self;
        let shown = Replay { body: erased::Serialize::to_json(shown), ..begun.clone() };
        if let Some(key) = key
            && let Err(error) = core.amend_idempotent(&account_id, &key, &begun, &shown).await
        {
            tracing::warn!(error = %telemetry::chain(&error), "a repetition will be shown an earlier answer");
        }
        answer(shown, false)
    }
}

/// Bodies of either kind, to text.
mod erased {
    pub(super) trait Serialize {
        fn to_json(&self) -> String;
    }

    impl<T: serde::Serialize> Serialize for T {
        fn to_json(&self) -> String {
            // Our own types: nothing in them that JSON cannot hold.
            serde_json::to_string(self).unwrap_or_default()
        }
    }
}

fn answer(replay: Replay, again: bool) -> Response {
    let status = StatusCode::from_u16(replay.status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], replay.body).into_response();
    if again {
        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    response
}
