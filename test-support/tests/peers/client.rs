use std::{net::SocketAddr, sync::Arc};

use rustls::{
    AlertDescription, HandshakeKind, ProtocolVersion, ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use test_support::{
    Ca, Loopback,
    client::{Curl, HelloAnswer, Refused, SClient, Sni, TlsClient, send_bytes, send_hello},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// A server that knows `known.test` only; rustls answers other names with `access_denied`.
struct Server {
    address: SocketAddr,
    ca: Ca,
    task: JoinHandle<()>,
    _host: Loopback,
}

impl Server {
    async fn start(alpn: &[&str]) -> Self {
        let host = Loopback::take();
        let ca = Ca::new("root");
        let config = ca.issue_valid(&["known.test"], (2020, 1, 1), (2040, 1, 1)).server(alpn);
        let listener = TcpListener::bind(host.at(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, only_known(&config)));
        Self { address, ca, task, _host: host }
    }

    fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.ca.root_pem())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, config: Arc<ServerConfig>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            // Kept open until the client leaves: its session ticket must arrive.
            let mut stream = TlsAcceptor::from(config).accept(tcp).await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        });
    }
}

#[derive(Debug)]
struct OnlyKnown(Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for OnlyKnown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (hello.server_name() == Some("known.test")).then(|| self.0.resolve(hello)).flatten()
    }
}

fn only_known(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.cert_resolver = Arc::new(OnlyKnown(Arc::clone(&config.cert_resolver)));
    Arc::new(config)
}

#[tokio::test]
async fn a_visit_tells_version_protocol_and_chain() {
    let server = Server::start(&["h2", "http/1.1"]).await;
    let visit = server.client().alpn(&["h2"]).visit(server.address, "known.test").await.unwrap();
    assert_eq!((visit.version, visit.alpn.as_deref()), (ProtocolVersion::TLSv1_3, Some("h2")));
    assert_ne!(visit.kind, HandshakeKind::Resumed);
    assert_eq!(visit.chain.len(), 1);
    let visit = server.client().only_tls12().visit(server.address, "known.test").await.unwrap();
    assert_eq!((visit.version, visit.alpn), (ProtocolVersion::TLSv1_2, None));
}

#[tokio::test]
async fn a_client_sees_the_alert_that_the_server_sent() {
    let server = Server::start(&[]).await;
    let refused = server.client().visit(server.address, "unknown.test").await.unwrap_err();
    assert_eq!(refused.alert(), Some(AlertDescription::AccessDenied));
    for sni in [Sni::Absent, Sni::Name(b"unknown.test"), Sni::Name(b"under_score.test")] {
        let answer = send_hello(server.address, sni).await.unwrap();
        assert_eq!(answer, HelloAnswer::Alert { level: 2, description: 49 }, "{sni:?}");
    }
}

#[tokio::test]
async fn a_written_hello_is_a_real_one() {
    let server = Server::start(&[]).await;
    let answer = send_hello(server.address, Sni::Name(b"known.test")).await.unwrap();
    assert_eq!(answer, HelloAnswer::ServerHello);
    assert!(matches!(send_bytes(server.address, b"GET / HTTP/1.1\r\n\r\n").await.unwrap(), HelloAnswer::Alert { .. }));
}

#[tokio::test]
async fn a_client_that_trusts_another_root_says_so_itself() {
    let server = Server::start(&[]).await;
    let stranger = TlsClient::trusting(&Ca::new("another").root_pem());
    let refused = stranger.visit(server.address, "known.test").await.unwrap_err();
    assert!(matches!(refused, Refused::Client(rustls::Error::InvalidCertificate(_))), "{refused:?}");
    assert!(TlsClient::trusting_anyone().visit(server.address, "known.test").await.is_ok());
}

#[tokio::test]
async fn a_client_in_another_year_finds_the_certificate_expired() {
    let server = Server::start(&[]).await;
    let in_2041 = server.client().at(2_240_611_200);
    assert!(matches!(in_2041.visit(server.address, "known.test").await, Err(Refused::Client(_))));
}

#[tokio::test]
async fn sessions_are_resumed_unless_switched_off() {
    let server = Server::start(&["http/1.1"]).await;
    let client = server.client().alpn(&["http/1.1"]).only_tls12();
    client.visit(server.address, "known.test").await.unwrap();
    let second = client.visit(server.address, "known.test").await.unwrap();
    assert_eq!(second.kind, HandshakeKind::Resumed);
    let fresh = client.clone().without_resumption().visit(server.address, "known.test").await.unwrap();
    assert_eq!(fresh.kind, HandshakeKind::Full);
}

#[tokio::test]
async fn openssl_and_curl_run_against_it() {
    let server = Server::start(&["http/1.1"]).await;
    let seen = SClient::new(server.address, Some("known.test")).args(&["-alpn", "http/1.1"]).run().await;
    assert!(seen.stdout.contains("ALPN protocol: http/1.1"), "{seen:?}");
    let url = format!("https://unknown.test:{}/", server.address.port());
    let seen = Curl::new().resolve("unknown.test", server.address).args(&["-k"]).get(&url).await;
    assert_eq!(seen.code, 35, "{seen:?}");
}
