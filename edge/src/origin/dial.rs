//! [`Dialler`]: connections to origins, new ones and ones that wait for another request.

use std::{io, path::Path, sync::Arc, time::Duration};

use pingora_core::{Error, ErrorType, Result};
use rustix::io::Errno;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Place, places::Places, pool::Pool, records::Records, socket::Socket, wire::Wire};
use crate::{listen::prepare, proxy::fault::NO_TURN};

/// Why connections to origins cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The file of roots cannot be read.
    #[error("proxy.origin_ca_root: {0}")]
    Roots(#[from] rustls::pki_types::pem::Error),
    /// The TLS library refuses the roots or the system has none.
    #[error("TLS towards origins: {0}")]
    Tls(#[from] rustls::Error),
}

/// Dials origins and keeps idle connections.
pub(crate) struct Dialler {
    tls: TlsConnector,
    pool: Arc<Pool>,
}

impl Dialler {
    /// `roots` replaces the system's; at most `pool` idle connections are kept.
    ///
    /// # Errors
    /// [`DialError`].
    pub(crate) fn new(roots: Option<&Path>, pool: usize) -> Result<Self, DialError> {
        Ok(Self { tls: TlsConnector::from(Arc::new(tls(roots)?)), pool: Pool::new(pool) })
    }

    /// A connection to this place: one that waited, or a new one within `limit` for TCP, `limit` for its turn and `limit` for
    /// TLS. Of what its origin begins and does not end, no more is read than there are `places` for.
    ///
    /// # Errors
    /// An error with the origin as its source, or [`NO_TURN`]; no byte of a request has been sent.
    pub(crate) async fn open(&self, place: &Arc<Place>, limit: Duration, places: Option<&Places>) -> Result<Wire> {
        match self.pool.take(place) {
            Some(wire) => Ok(wire.serving(places)),
            None => self.dial(place, limit, places).await,
        }
    }

    /// Not an `async fn` of the caller's: the handshake's state would have its room in every request.
    async fn dial(&self, place: &Arc<Place>, limit: Duration, places: Option<&Places>) -> Result<Wire> {
        Ok(Wire::new(Box::pin(self.connect(place, limit, places)).await?, place.clone()))
    }

    async fn connect(&self, place: &Place, limit: Duration, places: Option<&Places>) -> Result<Socket> {
        let connected = timeout(limit, TcpStream::connect(place.address)).await;
        let tcp = connected.map_err(|_| late(ErrorType::ConnectTimedout))?.map_err(refused)?;
        prepare(&SockRef::from(&tcp)).map_err(refused)?;
        let Some(name) = &place.tls else { return Ok(Socket::Plain(tcp)) };
        let _turn = match places {
            Some(places) => timeout(limit, places.turn()).await.map_err(|_| Error::new_in(NO_TURN))?,
            None => None,
        };
        let secured = timeout(limit, self.tls.connect(name.clone(), Records::new(tcp, places))).await;
        let mut tls = secured.map_err(|_| late(ErrorType::TLSHandshakeTimedout))?.map_err(not_trusted)?;
        tls.get_mut().0.heard();
        Ok(Socket::Tls(Box::new(tls)))
    }

    /// Takes a connection back, if it may carry another request.
    pub(crate) fn give_back(&self, wire: Wire, idle: Duration) {
        if wire.may_go_on() {
            self.pool.put(wire, idle);
        }
    }
}

fn tls(roots: Option<&Path>) -> Result<ClientConfig, DialError> {
    let builder = ClientConfig::builder();
    let mut config = match roots {
        None => builder.with_platform_verifier()?.with_no_client_auth(),
        Some(path) => {
            let mut store = RootCertStore::empty();
            for root in CertificateDer::pem_file_iter(path)? {
                store.add(root?)?;
            }
            builder.with_root_certificates(store).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn late(kind: ErrorType) -> Box<Error> {
    Error::new_up(kind)
}

fn refused(error: io::Error) -> Box<Error> {
    let out_of_descriptors = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    let kind = match error.kind() {
        _ if out_of_descriptors.contains(&error.raw_os_error()) => ErrorType::SocketError,
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, "dialling an origin", error).into_up()
}

fn not_trusted(error: io::Error) -> Box<Error> {
    let by_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let kind = if by_tls { ErrorType::TLSHandshakeFailure } else { ErrorType::ConnectError };
    Error::because(kind, "securing a connection to an origin", error).into_up()
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use rustls::pki_types::ServerName;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{http::answer::Fault, metrics::Metrics, proxy::fault};

    #[tokio::test]
    async fn an_origin_is_not_blamed_for_the_handshakes_that_are_in_its_way() {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = Some(ServerName::try_from("origin.test").unwrap());
        let place = Arc::new(Place::new(listener.local_addr().unwrap(), tls));
        let roots = tempfile::NamedTempFile::new().unwrap();
        let dialler = Dialler::new(Some(roots.path()), 1).unwrap();
        let places = Places::new(Metrics::new(&Registry::new()).unwrap().shares());
        let (limit, mut turns) = (Duration::from_millis(20), Vec::new());
        let error = loop {
            // Silent for itself, until all turns are taken.
            let error = dialler.open(&place, limit, Some(&places)).await.err().unwrap();
            if !fault::is_origins(&error) {
                break error;
            }
            assert!(turns.len() < 32, "nobody waits in vain");
            turns.push(places.turn().await);
        };
        assert_eq!((turns.len(), fault::of(&error)), (32, Some(Fault::OriginSlow)));
    }
}
