//! What stands on the CA's validation ports: port 80 and 443 of a small edge that knows nothing but challenges.

use std::{net::SocketAddr, sync::Arc};

use certs::Challenges;
use names::Hostname;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Two listeners; they end when this is dropped.
pub(crate) struct Answering(#[expect(dead_code, reason = "held for its Drop, which ends the listeners")] JoinSet<()>);

impl Answering {
    /// Answers HTTP-01 on `http` and TLS-ALPN-01 on `tls`, wherever an address is given.
    pub(crate) async fn start(challenges: &Arc<Challenges>, http: Option<SocketAddr>, tls: Option<SocketAddr>) -> Self {
        let mut tasks = JoinSet::new();
        if let Some(address) = http {
            let (listener, challenges) = (TcpListener::bind(address).await.unwrap(), Arc::clone(challenges));
            tasks.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer_http(stream, Arc::clone(&challenges)));
                }
            });
        }
        if let Some(address) = tls {
            let listener = TcpListener::bind(address).await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(alpn_config(Arc::clone(challenges))));
            tasks.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    let handshake = acceptor.accept(stream);
                    tokio::spawn(async move {
                        if let Ok(mut stream) = handshake.await {
                            let _ = stream.shutdown().await;
                        }
                    });
                }
            });
        }
        Self(tasks)
    }
}

async fn answer_http(mut stream: TcpStream, challenges: Arc<Challenges>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let request = String::from_utf8_lossy(&request);
    let found = find(&request, &challenges);
    let response = match found {
        Some(body) => format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
        None => "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    let _ = stream.write_all(response.as_bytes()).await;
}

fn find(request: &str, challenges: &Challenges) -> Option<Arc<str>> {
    let token = request.strip_prefix("GET /.well-known/acme-challenge/")?.split(' ').next()?;
    let host = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host:").map(str::to_owned))?;
    let host = host.trim();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    challenges.find_http(&Hostname::parse(host).ok()?, token)
}

fn alpn_config(challenges: Arc<Challenges>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Resolver(challenges)));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    config
}

#[derive(Debug)]
struct Resolver(Arc<Challenges>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.find_alpn(&Hostname::parse(hello.server_name()?).ok()?)
    }
}
