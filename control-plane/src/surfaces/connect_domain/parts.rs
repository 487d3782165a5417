//! [`Path`] and [`Query`]: axum's, with refusals in this API's own form.

use axum::{
    extract::{FromRequestParts, Path as AxumPath, Query as AxumQuery},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{ApiError, AppState};

/// What stands in the path.
pub(crate) struct Path<T>(pub(crate) T);

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // Whatever is no path of ours leads nowhere.
        match AxumPath::from_request_parts(parts, state).await {
            Ok(AxumPath(value)) if !holds_nul(&parts.uri) => Ok(Self(value)),
            Ok(_) | Err(_) => Err(ApiError::no_route()),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if holds_nul(&parts.uri) {
            return Err(ApiError::invalid("", "the query holds a NUL"));
        }
        match AxumQuery::from_request_parts(parts, state).await {
            Ok(AxumQuery(value)) => Ok(Self(value)),
            Err(error) => Err(refused(&error.body_text())),
        }
    }
}

/// PostgreSQL keeps every character but this one.
fn holds_nul(uri: &Uri) -> bool {
    uri.path_and_query().is_some_and(|text| text.as_str().contains("%00"))
}

/// axum names the parameter before its fault.
fn refused(text: &str) -> ApiError {
    let fault = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    match fault.split_once(": ") {
        Some((name, _)) if !name.contains(' ') => ApiError::invalid(format!("/{name}"), fault),
        _ => ApiError::invalid("", fault),
    }
}
