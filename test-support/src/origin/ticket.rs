//! A server over TLS 1.3 that sends a session ticket without end, as no TLS library would.

use std::{io, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

/// A ticket's type, and a length that is more than is sent (RFC 8446 section 4).
const START: [u8; 4] = [4, 0, 0xea, 0x60];
/// Content of each record.
const CONTENT: usize = 16_000;
/// Records, all of them whole.
const RECORDS: u64 = 3;
/// The types of records: what all look like, and what these are.
const APPLICATION_DATA: u8 = 23;
const HANDSHAKE: u8 = 22;

/// Answers a request with the start of a ticket and then with nothing.
pub(super) async fn serve(tcp: TcpStream, tls: &Arc<ServerConfig>) -> io::Result<()> {
    let mut config = ServerConfig::clone(tls);
    config.enable_secret_extraction = true;
    // The records below are the first behind the handshake.
    config.send_tls13_tickets = 0;
    let mut stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await?;
    let _ = stream.read(&mut [0; 4096]).await?;
    let (mut tcp, connection) = stream.into_inner();
    let secrets = connection.dangerous_extract_secrets().map_err(io::Error::other)?;
    let (first, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
        panic!("the edge and rustls prefer AES-256-GCM");
    };
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    for number in 0..RECORDS {
        let start = if number == 0 { &START[..] } else { &[] };
        let content = [start, &[0; CONTENT], &[HANDSHAKE]].concat();
        tcp.write_all(&record(&key, iv.as_ref(), first + number, content)).await?;
    }
    tcp.read_to_end(&mut Vec::new()).await.map(drop)
}

/// A record of this content (RFC 8446 sections 5.2 and 5.3).
fn record(key: &LessSafeKey, iv: &[u8], number: u64, mut content: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(content.len() + AES_256_GCM.tag_len()).unwrap().to_be_bytes();
    let head = [APPLICATION_DATA, 3, 3, length[0], length[1]];
    let mut nonce: [u8; 12] = iv.try_into().unwrap();
    nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, of)| *byte ^= of);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(head), &mut content).unwrap();
    [&head[..], &content].concat()
}
