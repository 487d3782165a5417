//! [`TlsClient`]: one handshake, and everything a test may want to know about it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use http::{Request, Response};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, HandshakeKind, ProtocolVersion, RootCertStore,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    time_provider::TimeProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Body,
    ca::provider,
    client::http::{Http, HttpError},
};

/// A rustls client. Sessions are remembered across its connections and those of its clones, as a browser's are; the
/// functions that change it make a client that remembers none.
#[derive(Debug, Clone)]
pub struct TlsClient {
    roots: Option<Arc<RootCertStore>>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    now: Option<u64>,
    resumption: bool,
    signatures: bool,
    // One configuration for all connections: rustls resumes a session only under the very verifier that made it.
    config: OnceLock<Arc<ClientConfig>>,
}

/// A finished handshake with its stream.
#[derive(Debug)]
pub struct Visit {
    /// The connection.
    pub stream: TlsStream<TcpStream>,
    /// The negotiated version.
    pub version: ProtocolVersion,
    /// The negotiated application protocol.
    pub alpn: Option<String>,
    /// The chain as sent, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Full, or resumed.
    pub kind: HandshakeKind,
}

/// Why a handshake did not succeed.
#[derive(Debug)]
pub enum Refused {
    /// The server sent this alert.
    Alert(AlertDescription),
    /// The client did not like what the server showed (its certificate, as a rule).
    Client(rustls::Error),
    /// The connection broke or ended without an alert.
    Io(io::Error),
}

impl Refused {
    /// The alert, if it was one.
    pub fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::Alert(alert) => Some(*alert),
            Self::Client(_) | Self::Io(_) => None,
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(alert),
            Some(other) => Self::Client(other),
            None => Self::Io(error),
        }
    }
}

impl TlsClient {
    /// Verifies servers against these roots (PEM, one or several).
    pub fn trusting(roots_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        Self { roots: Some(Arc::new(roots)), ..Self::trusting_anyone() }
    }

    /// Verifies nothing about the certificate, only the signature made with it: for a look at what is served.
    pub fn trusting_anyone() -> Self {
        Self {
            roots: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: Vec::new(),
            now: None,
            resumption: true,
            signatures: true,
            config: OnceLock::new(),
        }
    }

    /// Looks as a CA does that validates by TLS-ALPN-01 (RFC 8737): at a certificate with a critical extension that
    /// rustls does not know, so not even signatures are checked.
    pub fn probing() -> Self {
        Self { signatures: false, ..Self::trusting_anyone().alpn(&["acme-tls/1"]) }
    }

    /// Offers these application protocols.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.config = OnceLock::new();
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Speaks TLS 1.2 only.
    #[must_use]
    pub fn only_tls12(mut self) -> Self {
        self.config = OnceLock::new();
        self.versions = vec![&rustls::version::TLS12];
        self
    }

    /// Speaks TLS 1.3 only.
    #[must_use]
    pub fn only_tls13(mut self) -> Self {
        self.config = OnceLock::new();
        self.versions = vec![&rustls::version::TLS13];
        self
    }

    /// Makes a full handshake each time.
    #[must_use]
    pub fn without_resumption(mut self) -> Self {
        self.config = OnceLock::new();
        self.resumption = false;
        self
    }

    /// Judges validity periods as of this moment (seconds since the epoch).
    #[must_use]
    pub fn at(mut self, unix_seconds: u64) -> Self {
        self.config = OnceLock::new();
        self.now = Some(unix_seconds);
        self
    }

    /// The rustls configuration, for a client of one's own.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.config.get_or_init(|| Arc::new(self.build())))
    }

    fn build(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(Now(self.now)))
            .with_protocol_versions(&self.versions)
            .unwrap();
        let mut config = match &self.roots {
            Some(roots) => builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth(),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider(), self.signatures)))
                .with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = match self.resumption {
            true => Resumption::in_memory_sessions(1024),
            false => Resumption::disabled(),
        };
        config
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// [`Refused`] when there is no connection or no session.
    pub async fn visit(&self, address: SocketAddr, name: &str) -> Result<Visit, Refused> {
        let tcp = TcpStream::connect(address).await.map_err(Refused::Io)?;
        tcp.set_nodelay(true).map_err(Refused::Io)?;
        self.handshake(tcp, name).await
    }

    /// Shakes hands over a connection that is there already.
    ///
    /// # Errors
    /// [`Refused`] when there is no session.
    pub async fn handshake(&self, tcp: TcpStream, name: &str) -> Result<Visit, Refused> {
        let name = ServerName::try_from(name.to_owned()).expect("rustls must know the name; else use send_hello");
        let stream = TlsConnector::from(self.config()).connect(name, tcp).await?;
        let session = stream.get_ref().1;
        Ok(Visit {
            version: session.protocol_version().unwrap(),
            alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            chain: session.peer_certificates().unwrap_or_default().to_vec(),
            kind: session.handshake_kind().unwrap(),
            stream,
        })
    }

    /// One connection, one `GET`, by the protocol that ALPN chose.
    ///
    /// # Errors
    /// [`HttpError`] from the handshake or the exchange.
    pub async fn get(&self, address: SocketAddr, name: &str, path: &str) -> Result<Response<bytes::Bytes>, HttpError> {
        let mut http = self.visit(address, name).await?.http().await?;
        let authority = match address.port() {
            443 => name.to_owned(),
            port => format!("{name}:{port}"),
        };
        http.get(&authority, path).await
    }
}

/// A WebSocket over TLS: a stream and a sink of messages.
pub type WebSocket = tokio_tungstenite::WebSocketStream<TlsStream<TcpStream>>;

impl Visit {
    /// The leaf certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("a server shows a certificate")
    }

    /// Goes on with HTTP: version 2 if ALPN says so, else 1.1.
    ///
    /// # Errors
    /// [`HttpError`] when the connection breaks.
    pub async fn http(self) -> Result<Http, HttpError> {
        let h2 = self.alpn.as_deref() == Some("h2");
        Http::over(self.stream, h2).await
    }

    /// Goes on with a WebSocket.
    ///
    /// # Errors
    /// What the WebSocket library says, an HTTP answer other than 101 included.
    pub async fn websocket(
        self,
        authority: &str,
        path: &str,
    ) -> Result<WebSocket, tokio_tungstenite::tungstenite::Error> {
        let url = format!("wss://{authority}{path}");
        let (socket, _) = tokio_tungstenite::client_async(url, self.stream).await?;
        Ok(socket)
    }

    /// Sends one request over HTTP and returns the answer.
    ///
    /// # Errors
    /// [`HttpError`] from the exchange.
    pub async fn send(self, request: Request<Body>) -> Result<Response<bytes::Bytes>, HttpError> {
        self.http().await?.send(request).await
    }
}

/// The client's clock: fixed, or the machine's.
#[derive(Debug)]
struct Now(Option<u64>);

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(
            self.0.map_or_else(UnixTime::now, |seconds| {
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
            }),
        )
    }
}

/// Accepts every certificate; signatures are still checked if the second says so.
#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>, bool);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.1 {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.1 {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
