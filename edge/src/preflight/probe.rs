//! A handshake as a CA makes it for TLS-ALPN-01 (RFC 8737): does this edge's certificate of the moment come back?
//!
//! Nothing secret is sent and no certificate is believed, so none is verified: what counts is that the very one on offer
//! is shown.

use std::{net::SocketAddr, sync::Arc};

use certs::Challenges;
use names::Hostname;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::trip::Seen;

/// The protocol of the handshake.
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// A client that speaks this protocol to whoever answers.
pub(super) fn connector(protocol: &[u8]) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let anyone = Arc::new(Anyone(provider));
    let mut config = builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Who shows what at `address`.
pub(super) async fn probe(
    connector: &TlsConnector,
    challenges: &Arc<Challenges>,
    name: &Hostname,
    address: SocketAddr,
) -> Seen {
    let ip = address.ip();
    let mut digest = [0; 32];
    // It fails only where no handshake could work either.
    let _ = ::aws_lc_rs::rand::fill(&mut digest);
    let offered = challenges.offer_alpn(name, &digest).ok().zip(challenges.find_alpn(name));
    let Some((_guard, key)) = offered else { return Seen::Unclear("no certificate could be offered".to_owned()) };
    let Ok(server) = ServerName::try_from(name.as_str().to_owned()) else {
        return Seen::Unclear(format!("{name} cannot be asked for"));
    };
    let tcp = match TcpStream::connect(address).await {
        Ok(tcp) => tcp,
        Err(error) => return Seen::Unclear(format!("{ip} cannot be reached: {error}")),
    };
    match connector.connect(server, tcp).await {
        Ok(tls) => match tls.get_ref().1.peer_certificates().and_then(<[_]>::first) == key.cert.first() {
            true => Seen::Ourselves,
            false => Seen::Other(format!("{ip} shows another certificate")),
        },
        Err(error) => said(ip, &error),
    }
}

/// An alert is an answer, but for the one by which an edge says that it has no such order: it may be a sibling.
fn said(ip: std::net::IpAddr, error: &std::io::Error) -> Seen {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) if *alert != AlertDescription::UnrecognisedName => {
            Seen::Other(format!("{ip} ends the handshake with {alert:?}"))
        }
        _ => Seen::Unclear(format!("{ip} says nothing that counts: {error}")),
    }
}

#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
