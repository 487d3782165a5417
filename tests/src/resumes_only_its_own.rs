//! A session is resumed for the name and the record that it began with, and for nothing else.

use std::sync::Arc;

use http::StatusCode;
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    },
};
use rustls_pki_types::ServerName;
use test_support::{
    Reply,
    client::{TlsClient, Visit},
    wait,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stack::Proxying;

/// Keeps sessions under one name, whichever they are for: a client that offers each server what it has of others.
#[derive(Debug)]
struct Confused(ClientSessionMemoryCache);

impl Confused {
    fn one() -> ServerName<'static> {
        ServerName::try_from("one.test").unwrap()
    }
}

impl ClientSessionStore for Confused {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(Self::one(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&Self::one())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::one(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::one())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&Self::one());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::one(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::one())
    }
}

fn versions(stack: &Proxying) -> [TlsClient; 2] {
    [stack.client().only_tls12(), stack.client().only_tls13()]
}

/// A visit that takes the ticket with it: in TLS 1.3 it comes behind the first response.
async fn visit(stack: &Proxying, client: &TlsClient, name: &str) -> HandshakeKind {
    let visit: Visit = client.visit(stack.edge.https(), name).await.unwrap();
    let kind = visit.kind;
    assert_eq!(visit.http().await.unwrap().get(name, "/").await.unwrap().status(), StatusCode::OK);
    kind
}

/// The same with a configuration of one's own.
async fn visit_with(stack: &Proxying, config: &Arc<ClientConfig>, name: &str) -> HandshakeKind {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
    let server = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = TlsConnector::from(Arc::clone(config)).connect(server, tcp).await.unwrap();
    tls.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    tls.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn a_session_of_one_name_is_not_resumed_for_another() {
    let stack = Proxying::start().await;
    for client in versions(&stack) {
        let mut config = (*client.config()).clone();
        config.resumption = Resumption::store(Arc::new(Confused(ClientSessionMemoryCache::new(64))));
        let config = Arc::new(config);
        assert_eq!(visit_with(&stack, &config, "a.test").await, HandshakeKind::Full);
        assert_eq!(
            visit_with(&stack, &config, "a.test").await,
            HandshakeKind::Resumed,
            "the client offers what it has"
        );
        for name in ["b.test", "c.test", "b.test"] {
            assert_ne!(visit_with(&stack, &config, name).await, HandshakeKind::Resumed, "{name}");
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_the_record_of_its_name() {
    let stack = Proxying::start().await;
    let record = |generation: u64, id: &str| {
        let origin = stack.origin.url();
        let answer =
            serde_json::json!({"origin": origin, "generation": generation, "connection_id": id, "ttl_seconds": 1});
        Reply::Allow(answer)
    };
    for (index, client) in versions(&stack).into_iter().enumerate() {
        let name = format!("moved{index}.test");
        stack.gate.set(&name, record(1, "con_1"));
        assert_eq!(visit(&stack, &client, &name).await, HandshakeKind::Full);
        // The same record, asked for again: sessions go on.
        let asked = stack.gate.asked(&name);
        wait::until("the gate is asked again", async || {
            assert_eq!(visit(&stack, &client, &name).await, HandshakeKind::Resumed);
            (stack.gate.asked(&name) > asked).then_some(())
        })
        .await;
        for (what, reply) in [("another version", record(2, "con_1")), ("another tenant's", record(2, "con_2"))] {
            stack.gate.set(&name, reply);
            wait::until(what, async || (visit(&stack, &client, &name).await == HandshakeKind::Full).then_some(()))
                .await;
            assert_eq!(visit(&stack, &client, &name).await, HandshakeKind::Resumed, "its own sessions go on");
        }
    }
}

#[tokio::test]
async fn with_a_gate_that_names_no_record_a_session_ends_with_the_origin() {
    let stack = Proxying::start_with("[limits]\nask_allow_ttl = \"1s\"").await;
    let other = test_support::Origin::start(&stack.host).await;
    let client = stack.client();
    stack.gate.set("plain.test", Reply::origin(&stack.origin.url()));
    assert_eq!(visit(&stack, &client, "plain.test").await, HandshakeKind::Full);
    assert_eq!(visit(&stack, &client, "plain.test").await, HandshakeKind::Resumed);
    stack.gate.set("plain.test", Reply::origin(&other.url()));
    wait::until("another origin", async || {
        (visit(&stack, &client, "plain.test").await == HandshakeKind::Full).then_some(())
    })
    .await;
    assert_eq!(other.requests(), 1);
}
