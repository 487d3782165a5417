//! Who calls: [`Key`] takes API keys alone, [`KeyOrToken`] widget tokens too.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use super::{ApiError, AppState};
use crate::{core::Caller, tokens::Tokens};

/// A caller with an API key.
pub(crate) struct Key(pub(crate) Caller);

/// A caller with an API key or a widget token.
pub(crate) struct KeyOrToken(pub(crate) Caller);

impl FromRequestParts<AppState> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = state.core.authenticate(bearer(&parts.headers)?).await?;
        state.core.count_call(&caller.account_id);
        Ok(Self(caller))
    }
}

impl FromRequestParts<AppState> for KeyOrToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let secret = bearer(&parts.headers)?;
        let caller = match is_key(secret) {
            true => state.core.authenticate(secret).await?,
            false => {
                let caller = state.tokens.caller(secret, state.core.now())?;
                state.core.check_key_stands(&caller.account_id, Tokens::minted_by(&caller)).await?;
                caller
            }
        };
        state.core.count_call(&caller.account_id);
        Ok(Self(caller))
    }
}

/// What keys begin with.
pub(super) const KEY_PREFIX: &str = "sk";

/// Whether it is a key; a token is three parts of base64url.
pub(super) fn is_key(secret: &str) -> bool {
    secret.strip_prefix(KEY_PREFIX).is_some_and(|rest| rest.starts_with('_'))
}

/// The header alone: a secret in a URL ends in logs.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, secret) = value.and_then(|value| value.split_once(' ')).ok_or_else(ApiError::unauthorized)?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(secret.trim()),
        false => Err(ApiError::unauthorized()),
    }
}
