//! The first stage: the ClientHello, bounded in time and bytes.
//!
//! The hello is parsed by rustls alone. There is no sniffing and no fallback: a hello that rustls cannot read, one
//! without a name, and one whose name cannot be a hostname all end here, and the gate is never asked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use names::{Hostname, HostnameError};
use rustls::server::{Acceptor, ClientHello};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::{
    arrive::{self, Arrived},
    fair::{Refused, Seat},
    gather::Gather,
    policy::LineLimits,
};

/// The ALPN protocol of a CA's validation connection (RFC 8737 section 6.2).
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// How long a refused peer may take to accept the 7 bytes of its alert.
const ALERT_TIMEOUT: Duration = Duration::from_secs(1);

/// Who is calling.
#[derive(Debug)]
pub enum Hello {
    /// A CA that validates a challenge.
    Probe(Visitor),
    /// Somebody who wants the site.
    Visitor(Visitor),
}

/// A connection whose ClientHello was read.
#[derive(Debug)]
pub struct Visitor {
    /// The name asked for.
    pub name: Hostname,
    /// Who connected.
    pub from: SocketAddr,
    /// What the connection occupies.
    pub seat: Arc<Seat>,
    pub(crate) start: StartHandshake<Gather<TcpStream>>,
}

/// Why there is no usable ClientHello.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The name in the hello cannot be a hostname.
    #[error("the server name cannot be served")]
    Name(#[from] HostnameError),
    /// The hello names no server (RFC 6066 section 3).
    #[error("the ClientHello names no server")]
    NoName,
    /// The bytes are not TLS, or the peer went away.
    #[error("the ClientHello cannot be read")]
    Read(#[source] std::io::Error),
    /// Too many handshakes have begun of late.
    #[error("the handshake may not begin")]
    Refused(#[from] Refused),
    /// The hello did not arrive in time.
    #[error("the ClientHello did not arrive in time")]
    TimedOut,
}

impl HelloError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "hello_bad_name",
            Self::NoName => "hello_no_name",
            Self::Read(error) if error.kind() == std::io::ErrorKind::InvalidData => "hello_not_tls",
            Self::Read(_) => "hello_closed",
            Self::Refused(refused) => refused.code(),
            Self::TimedOut => "hello_timeout",
        }
    }
}

/// TLS alerts that the edge sends on its own account (RFC 8446 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// Something on this side is in the way now; the same name may work later.
    InternalError = 80,
    /// This name is not served here.
    UnrecognizedName = 112,
}

/// Reads the ClientHello.
///
/// # Errors
/// [`HelloError`]; the peer has been sent the matching alert where there is one, and a reset where there were too many.
pub async fn read(arrived: Arrived, limits: &LineLimits) -> Result<Hello, HelloError> {
    let Arrived { tcp, from, seat } = arrived;
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), tcp);
    let start = timeout(limits.hello_timeout, acceptor).await.map_err(|_| HelloError::TimedOut)?;
    // Until here the acceptor sends its alerts itself, and they must not wait for company.
    let StartHandshake { accepted, io, .. } = start.map_err(HelloError::Read)?;
    // From here on there is work to do: the gate's, the store's, and at last a signature.
    if let Err(refused) = seat.begin_handshake(&limits.fair) {
        arrive::reset(&io);
        return Err(refused.into());
    }
    let mut start = StartHandshake::from_parts(accepted, Gather::new(io));
    match asked(&start.client_hello()) {
        Ok((name, true)) => Ok(Hello::Probe(Visitor { name, from, seat, start })),
        Ok((name, false)) => Ok(Hello::Visitor(Visitor { name, from, seat, start })),
        Err(error) => {
            send_alert(&mut start.io, Alert::UnrecognizedName).await;
            Err(error)
        }
    }
}

/// The name that a hello asks for, and whether it is a CA's probe: one that offers `acme-tls/1` and nothing else.
///
/// # Errors
/// [`HelloError::NoName`] and [`HelloError::Name`].
pub fn asked(hello: &ClientHello<'_>) -> Result<(Hostname, bool), HelloError> {
    let name = Hostname::parse(hello.server_name().ok_or(HelloError::NoName)?)?;
    let probe = hello.alpn().is_some_and(|mut alpn| alpn.next() == Some(ACME_TLS_ALPN) && alpn.next().is_none());
    Ok((name, probe))
}

impl Visitor {
    /// Ends the connection with an alert. The handshake has not begun, so the alert goes out in the clear.
    pub async fn refuse(mut self, alert: Alert) {
        send_alert(&mut self.start.io, alert).await;
    }
}

async fn send_alert(tcp: &mut Gather<TcpStream>, alert: Alert) {
    // ContentType alert, TLS 1.2 as the record's legacy version, 2 bytes: fatal, description (RFC 8446 section 5.1).
    let record = [21, 3, 3, 0, 2, 2, alert as u8];
    // Gathered like everything of a handshake.
    if tcp.write_all(&record).await.is_ok() {
        end(tcp).await;
    }
}

/// Ends a connection whose handshake has failed: the alert that was gathered is sent.
pub(crate) async fn end(tcp: &mut Gather<TcpStream>) {
    // A peer that does not take its alert is gone or hostile; either way the connection ends here.
    let _ = timeout(ALERT_TIMEOUT, tcp.shutdown()).await;
}
