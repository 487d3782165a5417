//! Real connections: is a port open, and what certificate is served under a name.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Greeting, GreetingError, Port, Served};

/// Longer than three lost packets.
const CONNECT: Duration = Duration::from_secs(5);
/// An edge may order the certificate while we wait; it answers within its own 8 s or not at all.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Which roots are trusted.
#[derive(Debug, Clone)]
pub struct Roots(Arc<dyn ServerCertVerifier>);

/// Why roots cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file.
    #[error(transparent)]
    File(#[from] config::RootsError),
    /// What is in it, or what the system has.
    #[error("the roots cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Roots {
    /// Those of the system, or those of a PEM file instead.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn load(file: Option<&Path>) -> Result<Self, RootsError> {
        let Some(file) = file else {
            let system = rustls_platform_verifier::Verifier::new(provider());
            return Ok(Self(Arc::new(system.map_err(|error| RootsError::Unusable(Box::new(error)))?)));
        };
        let mut roots = RootCertStore::empty();
        for root in config::read_roots(file)? {
            roots.add(root).map_err(|error| RootsError::Unusable(Box::new(error)))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        Ok(Self(verifier.map_err(|error| RootsError::Unusable(Box::new(error)))?))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether something listens.
pub(super) async fn knock(address: SocketAddr, is_tls: bool) -> Port {
    Port { address, is_tls, problem: connect(address).await.err() }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT.as_secs())),
    }
}

/// A handshake under the name. What is served is looked at whether it is trusted or not; nothing is sent after it.
pub(super) async fn greet(address: SocketAddr, is_edge: bool, hostname: &str, roots: &Roots) -> Greeting {
    Greeting { address, is_edge, outcome: handshake(address, hostname, roots).await }
}

async fn handshake(address: SocketAddr, hostname: &str, roots: &Roots) -> Result<Served, GreetingError> {
    let name = ServerName::try_from(hostname.to_owned());
    let name = name.map_err(|error| GreetingError::Handshake(error.to_string()))?;
    let stream = connect(address).await.map_err(GreetingError::Connect)?;
    let recorder = Arc::new(Recorder { inner: Arc::clone(&roots.0), seen: Mutex::default() });
    let connector = TlsConnector::from(Arc::new(client(Arc::clone(&recorder))?));
    let ended = timeout(HANDSHAKE, connector.connect(name, stream)).await;
    // A server that shows its certificate and breaks off afterwards has shown it all the same.
    if let Some(served) = recorder.seen.lock().take() {
        return Ok(served);
    }
    Err(match ended {
        Ok(Ok(_)) => GreetingError::Handshake("no legible certificate was served".to_owned()),
        Ok(Err(error)) if is_unknown_name(&error) => GreetingError::UnknownName,
        Ok(Err(error)) => GreetingError::Handshake(error.to_string()),
        Err(_) => GreetingError::Handshake(format!("no answer within {} s", HANDSHAKE.as_secs())),
    })
}

fn is_unknown_name(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(AlertDescription::UnrecognisedName)))
}

fn client(recorder: Arc<Recorder>) -> Result<ClientConfig, GreetingError> {
    let versions = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| GreetingError::Handshake(error.to_string()))?;
    let mut client = builder.dangerous().with_custom_certificate_verifier(recorder).with_no_client_auth();
    // As browsers do; a server that knows h2 alone would refuse a client that offers nothing.
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(client)
}

/// Writes down what is served and what the real verifier says of it, and lets the handshake go on: an expired
/// certificate must be told as one, not as a failed connection. No data follows the handshake.
#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<Served>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let said = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        *self.seen.lock() = Served::read(&chain, said.map(drop));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
