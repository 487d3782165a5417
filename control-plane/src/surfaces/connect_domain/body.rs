//! Request bodies: JSON whatever the Content-Type says, unknown fields refused with their place.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::{ApiError, AppState};

/// A body and its bytes, which tell one request from another under an idempotency key.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid", "the body is larger than 64 KiB")
            }
            _ => ApiError::invalid("", "the body could not be read"),
        })?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// curl sends JSON as a form unless it is told otherwise: the type that is claimed does not matter.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer_of(&error);
        ApiError::invalid(pointer, error.inner().to_string())
    })?;
    reader.end().map_err(|error| ApiError::invalid("", error.to_string()))?;
    Ok(value)
}

fn pointer_of(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    // The path may end at the object that holds what is wrong; serde names the field in its message alone.
    let message = error.inner().to_string();
    let named = ["unknown field `", "missing field `", "duplicate field `"].into_iter();
    let field = named.filter_map(|start| message.strip_prefix(start)?.split('`').next()).next();
    match field {
        Some(field) if !pointer.ends_with(&format!("/{field}")) => format!("{pointer}/{field}"),
        _ => pointer,
    }
}

/// Tells "set to null" from "not there".
pub(crate) fn some_null<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
