//! Pingora's errors in the edge's words.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::http::answer::Fault;

/// What a visitor is told of a failed request; `None` when the visitor itself is gone.
pub(crate) fn of(error: &Error) -> Option<Fault> {
    match error.esource() {
        ErrorSource::Upstream => Some(of_origin(error.etype())),
        ErrorSource::Downstream => of_visitor(error.etype()),
        ErrorSource::Internal | ErrorSource::Unset => Some(Fault::Internal),
    }
}

fn of_origin(kind: &ErrorType) -> Fault {
    match kind {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::WriteTimedout => Fault::OriginSlow,
        ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure => Fault::OriginNotTrusted,
        _ => Fault::OriginBroken,
    }
}

fn of_visitor(kind: &ErrorType) -> Option<Fault> {
    match kind {
        ErrorType::ConnectionClosed
        | ErrorType::ReadError
        | ErrorType::ReadTimedout
        | ErrorType::WriteError
        | ErrorType::WriteTimedout => None,
        _ => Some(Fault::BadRequest),
    }
}
