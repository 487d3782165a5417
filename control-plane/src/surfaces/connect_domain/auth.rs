//! Who calls: [`Key`] takes API keys alone, [`KeyOrToken`] widget tokens too.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{ApiError, AppState};
use crate::core::Caller;

/// A caller with an API key.
pub(crate) struct Key(pub(crate) Caller);

/// A caller with an API key or a widget token.
pub(crate) struct KeyOrToken(pub(crate) Caller);

impl FromRequestParts<AppState> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self(state.core.authenticate(bearer(parts)?).await?))
    }
}

impl FromRequestParts<AppState> for KeyOrToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let secret = bearer(parts)?;
        // Keys begin with `sk_`; a token is three parts of base64url.
        match secret.starts_with("sk_") {
            true => Ok(Self(state.core.authenticate(secret).await?)),
            false => Ok(Self(state.tokens.caller(secret, state.core.now())?)),
        }
    }
}

/// The header alone: a secret in a URL ends in logs.
fn bearer(parts: &Parts) -> Result<&str, ApiError> {
    let value = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, secret) = value.and_then(|value| value.split_once(' ')).ok_or_else(ApiError::unauthorized)?;
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(secret.trim()),
        false => Err(ApiError::unauthorized()),
    }
}
