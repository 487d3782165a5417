//! Pingora's errors in the edge's words.

use pingora_core::{Error, ErrorSource, ErrorType};
use rustix::io::Errno;

use crate::http::answer::Fault;

/// An exchange waited in vain for others of its visitor's connection, whose origins are slow; its own may be well.
pub(crate) const NO_TURN: ErrorType = ErrorType::Custom("NoTurn");

/// What a visitor is told of a failed request; `None` when the visitor itself is gone.
pub(crate) fn of(error: &Error) -> Option<Fault> {
    match error.esource() {
        ErrorSource::Upstream => Some(of_origin(error.etype())),
        ErrorSource::Downstream => of_visitor(error.etype()),
        ErrorSource::Internal | ErrorSource::Unset if error.etype() == &NO_TURN => Some(Fault::OriginSlow),
        ErrorSource::Internal | ErrorSource::Unset => Some(Fault::Internal),
    }
}

/// Whether a failed exchange tells something about the origin. A process without descriptors does not; Pingora calls
/// that an internal error.
pub(crate) fn is_origins(error: &Error) -> bool {
    error.esource() == &ErrorSource::Upstream
        && !matches!(error.etype(), ErrorType::InternalError | ErrorType::SocketError)
        && !is_out_of_descriptors(error)
}

fn is_out_of_descriptors(error: &Error) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let code = cause.and_then(std::io::Error::raw_os_error);
    [Errno::MFILE, Errno::NFILE].into_iter().any(|errno| code == Some(errno.raw_os_error()))
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
