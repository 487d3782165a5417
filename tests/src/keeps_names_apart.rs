//! What belongs to one name is never given out under another: requests, and what a CA is to see.

use http::StatusCode;
use test_support::{
    Ca, Echo, Kind, Origin, PebbleOptions, Reply,
    client::{
        Raw, TlsClient,
        http::{Http, HttpError},
    },
};
use tokio::net::TcpStream;

use crate::stack::{Issuing, Proxying};

/// Puts one certificate for several names into the store of an edge that is started again after it.
fn import(storage: &std::path::Path, ca: &Ca, names: &[&str]) {
    let identity = ca.issue(names);
    let folder = storage.join("certificates/imported").join(names[0]);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |ending: &str, text: &str| std::fs::write(folder.join(format!("{}.{ending}", names[0])), text).unwrap();
    write("crt", &identity.chain_pem);
    write("key", &identity.key_pem);
    write("json", &serde_json::json!({"sans": names}).to_string());
}

/// What a request for `host` on a connection that was opened for another name comes to: the origin that answered, or a
/// status.
async fn ask_h1(raw: &mut Raw, host: &str) -> Result<String, u16> {
    raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    let response = raw.response().await.unwrap();
    match response.status {
        200 => Ok(Echo::parse(&response.body).header("host").unwrap().to_owned()),
        status => Err(status),
    }
}

async fn ask_h2(http: &mut Http, host: &str) -> Result<String, u16> {
    let response = http.get(host, "/").await.unwrap();
    match response.status() {
        StatusCode::OK => Ok(Echo::parse(response.body()).header("host").unwrap().to_owned()),
        status => Err(status.as_u16()),
    }
}

#[tokio::test]
async fn a_request_reaches_the_origin_of_its_own_name_or_none() {
    let mut stack = Proxying::start().await;
    let ca = Ca::new("Pair");
    import(&stack.edge.storage(), &ca, &["a.pair.test", "b.pair.test", "c.pair.test", "xn--bcher-kva.pair.test"]);
    stack.edge.restart().await;
    let other = Origin::start(&stack.host).await;
    stack.gate.set("b.pair.test", Reply::origin(&other.url()));
    stack.gate.set("c.pair.test", Reply::Deny);
    stack.gate.set("denied.test", Reply::Deny);
    let (own, others) = (stack.origin.authority(), other.authority());
    // A name of its own certificate, which the edge has in memory: admitted, and still not of this connection.
    assert_eq!(stack.get("apart.test", "/").await.unwrap().status(), StatusCode::OK);
    let asked = stack.gate.asked("apart.test");

    let (own, others) = (Ok(own), Ok(others));
    let cases = [
        ("a.pair.test", &own),
        ("A.Pair.TEST", &own),
        ("a.pair.test:8443", &own),
        ("a.pair.test:443", &own),
        ("a.pair.test:1", &own),
        ("a.pair.test.", &own),
        ("A.PAIR.test.:8443", &own),
        ("b.pair.test", &others),
        ("B.pair.test.:8443", &others),
        ("xn--bcher-kva.pair.test", &own),
        ("XN--BCHER-KVA.pair.test", &own),
        ("c.pair.test", &Err(421)),
        ("d.pair.test", &Err(421)),
        ("pair.test", &Err(421)),
        ("x.a.pair.test", &Err(421)),
        ("apart.test", &Err(421)),
        ("apart.test:8443", &Err(421)),
        ("denied.test", &Err(421)),
        ("nobody.example", &Err(421)),
    ];
    let client = TlsClient::trusting(&ca.root_pem());
    for (host, expected) in cases {
        let mut raw = client.clone().alpn(&["http/1.1"]).visit(stack.edge.https(), "a.pair.test").await.unwrap().raw();
        assert_eq!(&ask_h1(&mut raw, host).await, expected, "h1 {host}");
        // The connection stays good for its own name, whatever was asked before.
        assert_eq!(ask_h1(&mut raw, "a.pair.test").await, own, "h1 after {host}");
        let visit = client.clone().alpn(&["h2"]).visit(stack.edge.https(), "a.pair.test").await.unwrap();
        let mut http = visit.http().await.unwrap();
        assert_eq!(&ask_h2(&mut http, host).await, expected, "h2 {host}");
        assert_eq!(ask_h2(&mut http, "a.pair.test").await, own, "h2 after {host}");
    }
    assert_eq!(
        stack.gate.asked("apart.test"),
        asked,
        "nobody is asked about a name that the certificate does not cover"
    );
    assert_eq!(stack.gate.asked("nobody.example") + stack.gate.asked("d.pair.test"), 0);
}

#[tokio::test]
async fn a_host_that_is_no_name_reaches_no_origin() {
    let stack = Proxying::start().await;
    for host in
        ["", "127.0.0.1", "[::1]", "b\u{fc}cher.test", "a.test:", "a.test:x", "a_b.test", "a..test", "a.test,b.test"]
    {
        let mut raw = stack.raw("plain.test").await;
        assert_eq!(ask_h1(&mut raw, host).await, Err(400), "{host}");
    }
    assert_eq!(stack.origin.requests(), 0);
}

/// An edge in the middle of an HTTP-01 order for `pair.test`, with what the CA would be shown. `keeper.test` shares a
/// certificate with that name.
struct Pending {
    stack: Issuing,
    token: String,
    ca: Ca,
    waiting: tokio::task::JoinHandle<Result<http::Response<bytes::Bytes>, HttpError>>,
}

impl Pending {
    async fn start() -> Self {
        // Validation over TLS goes to a port where nothing listens, so HTTP-01 is what works and is tried first then.
        let mut stack = Issuing::start_with("", PebbleOptions { tls_port: 9, ..Default::default() }).await;
        let ca = Ca::new("Keeper");
        import(&stack.edge.storage(), &ca, &["keeper.test", "pair.test"]);
        stack.edge.restart().await;
        assert_eq!(stack.get("first.test", "/").await.unwrap().status(), StatusCode::OK);
        stack.proxy.hold(Kind::Challenge);
        let (client, address) = (stack.client(), stack.edge.https());
        let waiting = tokio::spawn(async move { client.get(address, "pair.test", "/").await });
        stack.proxy.reached(Kind::Challenge).await;
        let token = stack.proxy.token_for("pair.test").unwrap();
        Self { stack, token, ca, waiting }
    }

    async fn ends(self) {
        self.stack.proxy.release();
        assert_eq!(self.waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    /// Targets that a careless server takes for the one on offer.
    fn lookalikes(&self) -> Vec<String> {
        let token = &self.token;
        let (first, rest) = token.split_at(1);
        let encoded = format!("%{:02x}{rest}", first.as_bytes()[0]);
        vec![
            format!("/.well-known/acme-challenge/{token}/"),
            format!("/.well-known/acme-challenge/{token}x"),
            format!("/.well-known/acme-challenge/{token}.txt"),
            format!("/.well-known/acme-challenge/{token}?"),
            format!("/.well-known/acme-challenge/{token}?a=b"),
            format!("/.well-known/acme-challenge/{token};a"),
            format!("/.well-known/acme-challenge/{token}%00"),
            format!("/.well-known/acme-challenge/{token}%20"),
            format!("/.well-known/acme-challenge/{token}/..%2f{token}"),
            format!("/.well-known/acme-challenge/{encoded}"),
            format!("/.well-known/acme-challenge/{rest}"),
            format!("/.well-known/acme-challenge//{token}"),
            format!("/.well-known/acme-challenge/./{token}"),
            format!("/.well-known/acme-challenge/x/../{token}"),
            format!("/.well-known/acme-challenge/x%2f..%2f{token}"),
            format!("/.well-known/acme-challenge%2f{token}"),
            format!("/.well-known/acme-challenge%5c{token}"),
            format!("/.well-known//acme-challenge/{token}"),
            format!("/.well-known/../.well-known/acme-challenge/{token}"),
            format!("//.well-known/acme-challenge/{token}"),
            format!("/x/../.well-known/acme-challenge/{token}"),
            format!("/%2ewell-known/acme-challenge/{token}"),
            format!("/.WELL-KNOWN/acme-challenge/{token}"),
            "/.well-known/acme-challenge/".to_owned(),
            "/.well-known/acme-challenge".to_owned(),
        ]
    }
}

async fn get_plain(stack: &Issuing, host: &str, target: &str) -> (u16, String) {
    let mut raw = Raw::over(TcpStream::connect(stack.edge.http()).await.unwrap());
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    let response = raw.response().await.unwrap();
    (response.status, format!("{}{}", response.head, String::from_utf8_lossy(&response.body)))
}

async fn get_tls(pending: &Pending, host: &str, target: &str) -> (u16, String) {
    let client = TlsClient::trusting(&pending.ca.root_pem()).alpn(&["http/1.1"]);
    let mut raw = client.visit(pending.stack.edge.https(), "keeper.test").await.unwrap().raw();
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    let response = raw.response().await.unwrap();
    (response.status, format!("{}{}", response.head, String::from_utf8_lossy(&response.body)))
}

#[tokio::test]
async fn a_challenge_is_shown_on_its_own_host_at_its_exact_path_on_both_ports_and_nowhere_else() {
    let pending = Pending::start().await;
    let stack = &pending.stack;
    let exact = format!("/.well-known/acme-challenge/{}", pending.token);
    let (status, shown) = get_plain(stack, "pair.test", &exact).await;
    assert_eq!(status, 200, "{shown}");
    // What only the edge knows of the token: the key authorization ends with the account's thumbprint.
    let thumbprint = shown.rsplit('.').next().unwrap().to_owned();
    assert!(thumbprint.len() >= 40 && shown.ends_with(&format!("{}.{thumbprint}", pending.token)), "{shown}");
    for host in ["PAIR.test.", "pair.test:80"] {
        assert!(get_plain(stack, host, &exact).await.1.contains(&thumbprint), "{host}");
    }
    let (status, shown) = get_tls(&pending, "pair.test", &exact).await;
    assert!(status == 200 && shown.ends_with(&thumbprint), "{shown}");

    let asked = stack.gate.asked_in_all();
    for host in ["keeper.test", "first.test", "x.pair.test", "nobody.example"] {
        let (status, shown) = get_plain(stack, host, &exact).await;
        assert!(status == 404 && !shown.contains(&thumbprint), "{host}: {shown}");
    }
    for target in pending.lookalikes() {
        let (status, shown) = get_plain(stack, "pair.test", &target).await;
        assert!(status != 200 && !shown.contains(&thumbprint), "{target}: {shown}");
    }
    assert_eq!(stack.gate.asked_in_all(), asked, "port 80 asks nobody");
    for (host, target) in
        pending.lookalikes().iter().map(|target| ("pair.test", target)).chain([("keeper.test", &exact)])
    {
        // Anything else is the origin's, which is handed the target as it came.
        let (status, shown) = get_tls(&pending, host, target).await;
        assert!(!shown.contains(&thumbprint), "{host} {target}: {shown}");
        assert_eq!(status, 200, "{host} {target}");
    }
    pending.ends().await;
}

#[tokio::test]
async fn a_validation_over_tls_shows_one_names_certificate_and_takes_no_data() {
    let stack = Issuing::start().await;
    stack.proxy.hold(Kind::Challenge);
    let (client, address) = (stack.client(), stack.edge.https());
    let waiting = tokio::spawn(async move { client.get(address, "probed.test", "/").await });
    stack.proxy.reached(Kind::Challenge).await;
    let asked = stack.gate.asked_in_all();
    let probe = TlsClient::probing();
    for foreign in ["other.test", "x.probed.test", "test.probed"] {
        let refused = probe.visit(stack.edge.https(), foreign).await.unwrap_err();
        assert_eq!(refused.alert(), Some(rustls::AlertDescription::UnrecognisedName), "{foreign}");
    }
    let visit = probe.visit(stack.edge.https(), "probed.test").await.unwrap();
    assert_eq!(visit.alpn.as_deref(), Some("acme-tls/1"));
    let mut raw = visit.raw();
    // Whether the bytes still get out depends on who is faster; that nothing answers does not.
    let _ = raw.send("GET / HTTP/1.1\r\nHost: probed.test\r\n\r\n").await;
    assert_eq!(raw.rest().await, b"", "nothing but the end");
    assert_eq!(stack.gate.asked_in_all(), asked);
    stack.proxy.release();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(stack.origin.requests(), 1);
}
