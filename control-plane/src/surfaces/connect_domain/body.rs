//! Request bodies: JSON whatever the Content-Type says, unknown fields refused with their place.
//!
//! serde reads a struct from a list as well, field after field. Nobody means that, so objects are asked for by name
//! ([`Object`], [`some_objects`]).

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};

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
    if holds_nul(bytes) {
        return Err(ApiError::invalid("", "a text holds a NUL, which cannot be kept"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
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

/// `\u0000` in a text: PostgreSQL keeps every character but this one. A raw NUL is no JSON anyway.
fn holds_nul(bytes: &[u8]) -> bool {
    let is_escape = |start: &usize| bytes.iter().take(*start).rev().take_while(|byte| **byte == b'\\').count() % 2 == 0;
    bytes.windows(6).enumerate().filter(|(_, text)| *text == b"\\u0000").any(|(start, _)| is_escape(&start))
}

/// A struct that is read from an object alone.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(std::marker::PhantomData))
    }
}

/// A list of objects, or null.
pub(crate) fn some_objects<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|Object(value)| value).collect()))
}

/// A list of objects.
pub(crate) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Vec::<Object<T>>::deserialize(deserializer)?.into_iter().map(|Object(value)| value).collect())
}

/// Tells "set to null" from "not there".
pub(crate) fn some_null<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Deserialize::deserialize(deserializer).map(Some)
}
