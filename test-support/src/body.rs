//! The one body type of the harness's servers and clients.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// A response or request body.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No bytes.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// These bytes, with their length.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// A response without a body.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// A JSON response.
pub(crate) fn json(value: &impl serde::Serialize) -> Response<Body> {
    let mut response = Response::new(full(serde_json::to_vec(value).unwrap()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn never(error: Infallible) -> io::Error {
    match error {}
}
