//! A tenant's origin is dialled only where the operator lets it be: at every look-up, in every spelling, and never here.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::{HeaderValue, StatusCode};
use test_support::{
    DnsServer, Echo, EdgeOptions, Loopback, Origin, Reply,
    client::{TlsClient, http as client_http},
    wait,
};
use tokio::net::{TcpListener, TcpStream};

use crate::stack::Proxying;

/// An edge that resolves origins' names at a DNS server of the test, and may dial no other private address than that of
/// the test's host.
struct Named {
    stack: Proxying,
    dns: DnsServer,
    port: u16,
}

impl Named {
    async fn start(refresh: &str) -> Self {
        // Its own address, so that the servers of the test do not collide.
        let at = Loopback::take();
        let dns = DnsServer::start(&at).await;
        let rules = format!(
            "[proxy]\nallow_private_origins = false\nresolvers = [\"{}\"]\n[limits]\norigin_addresses = \"{refresh}\"",
            dns.address()
        );
        let mut stack = Proxying::start_with(&rules).await;
        let own = format!("[proxy]\nprivate_origins = [\"{}\"]", stack.host.ip());
        stack.edge.configure(|options| *options = options.clone().set(&own));
        stack.edge.restart().await;
        let port = stack.origin.url().rsplit(':').next().unwrap().parse().unwrap();
        Self { stack, dns, port }
    }

    fn origin(&self, name: &str) -> Reply {
        Reply::origin(&format!("http://{name}:{}", self.port))
    }
}

/// Something that must not be reached, at the origin's port on an address that nobody allowed.
struct Inside {
    host: Loopback,
    listener: std::net::TcpListener,
}

impl Inside {
    fn at(port: u16) -> Self {
        loop {
            let host = Loopback::take();
            if let Ok(listener) = std::net::TcpListener::bind(host.at(port)) {
                listener.set_nonblocking(true).unwrap();
                return Self { host, listener };
            }
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    fn is_untouched(&self) -> bool {
        self.listener.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn a_name_that_turns_inside_is_refused_at_the_next_look_up_and_its_old_connection_is_not_used() {
    let named = Named::start("1s").await;
    let (stack, dns) = (&named.stack, &named.dns);
    let inside = Inside::at(named.port);
    dns.set_a("flip.origin.test", &[stack.host.ip()]).await;
    stack.gate.set("flip.test", named.origin("flip.origin.test"));
    let mut http = stack.client().visit(stack.edge.https(), "flip.test").await.unwrap().http().await.unwrap();
    assert_eq!(http.get("flip.test", "/").await.unwrap().status(), StatusCode::OK);

    dns.clear("flip.origin.test").await;
    dns.set_a("flip.origin.test", &[inside.host.ip()]).await;
    wait::until("the flip is noticed", async || {
        (stack.get("flip.test", "/").await.unwrap().status() == StatusCode::BAD_GATEWAY).then_some(())
    })
    .await;
    // On this connection and on a new one; the connection to the old address stands in the pool and is left alone.
    let (served, connections) = (stack.origin.requests(), stack.origin.connections());
    for _ in 0..5 {
        assert_eq!(http.get("flip.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
        assert_eq!(stack.get("flip.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!((stack.origin.requests(), stack.origin.connections()), (served, connections));
    assert!(inside.is_untouched());
    assert_eq!(stack.access_line(502).await["error"], "ssrf_blocked");
    stack.edge.logs("\"reason\":\"ssrf_blocked\"").await;
    stack.edge.until_metric("namegate_edge_http_faults_total{reason=\"ssrf_blocked\"}", 10.0).await;

    dns.clear("flip.origin.test").await;
    dns.set_a("flip.origin.test", &[stack.host.ip()]).await;
    wait::until("the way back is noticed", async || {
        (stack.get("flip.test", "/").await.unwrap().status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn while_its_dns_fails_an_origin_is_served_at_the_addresses_that_are_known() {
    let named = Named::start("1s").await;
    let (stack, dns) = (&named.stack, &named.dns);
    dns.set_a("lame.origin.test", &[stack.host.ip()]).await;
    stack.gate.set("lame.test", named.origin("lame.origin.test"));
    assert_eq!(stack.get("lame.test", "/").await.unwrap().status(), StatusCode::OK);
    dns.servfail("lame.origin.test").await;
    let before = dns.questions("lame.origin.test").await.len();
    // Every request while it asks again and again, and after that.
    wait::until("the name was asked about and nothing was said", async || {
        assert_eq!(stack.get("lame.test", "/").await.unwrap().status(), StatusCode::OK);
        (dns.questions("lame.origin.test").await.len() > before + 6).then_some(())
    })
    .await;
    assert_eq!(stack.get("lame.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_dialled() {
    let named = Named::start("1s").await;
    let inside = Inside::at(named.port);
    named.dns.set_a("mixed.origin.test", &[inside.host.ip(), named.stack.host.ip()]).await;
    named.stack.gate.set("mixed.test", named.origin("mixed.origin.test"));
    for _ in 0..5 {
        assert_eq!(named.stack.get("mixed.test", "/").await.unwrap().status(), StatusCode::OK);
    }
    assert!(inside.is_untouched());
}

#[tokio::test]
async fn too_many_addresses_aliases_in_a_circle_and_nothing_are_no_origin() {
    let named = Named::start("1s").await;
    let (stack, dns) = (&named.stack, &named.dns);
    let many: Vec<Ipv4Addr> = (1..=16).map(|last| Ipv4Addr::new(192, 0, 2, last)).chain([stack.host.ip()]).collect();
    dns.set_a("many.origin.test", &many).await;
    dns.set_cname("one.origin.test", "two.origin.test").await;
    dns.set_cname("two.origin.test", "one.origin.test").await;
    for (index, name) in ["many.origin.test", "one.origin.test", "nothing.origin.test"].iter().enumerate() {
        let hostname = format!("odd{index}.test");
        stack.gate.set(&hostname, named.origin(name));
        assert_eq!(stack.get(&hostname, "/").await.unwrap().status(), StatusCode::BAD_GATEWAY, "{name}");
    }
    assert_eq!(stack.origin.requests(), 0);
}

#[tokio::test]
async fn an_origin_that_is_refused_costs_no_question_for_each_request() {
    let named = Named::start("10s").await;
    let (stack, dns) = (&named.stack, &named.dns);
    dns.set_a("inside.origin.test", &[[127, 0, 0, 1].into()]).await;
    stack.gate.set("asks.test", named.origin("inside.origin.test"));
    let mut http = stack.client().visit(stack.edge.https(), "asks.test").await.unwrap().http().await.unwrap();
    for _ in 0..60 {
        assert_eq!(http.get("asks.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
    }
    // One question for each kind of address, and again every five seconds on a slow machine.
    let questions = dns.questions("inside.origin.test").await.len();
    assert!(questions < 30, "60 requests became {questions} questions");
    stack.edge.until_metric("namegate_edge_http_faults_total{reason=\"ssrf_blocked\"}", 60.0).await;
}

#[tokio::test]
async fn no_spelling_of_an_inside_address_is_an_origin() {
    let stack = Proxying::start_with("[proxy]\nallow_private_origins = false").await;
    let port: u16 = stack.origin.url().rsplit(':').next().unwrap().parse().unwrap();
    let host = stack.host.ip();
    let [a, b, c, d] = host.octets();
    let number = u32::from(host);
    let spellings = [
        format!("{host}"),
        format!("{number}"),
        format!("0x{number:08x}"),
        format!("0{number:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{}", (u32::from(b) << 16) + (u32::from(c) << 8) + u32::from(d)),
        format!("{a}.{b}.{}", (u32::from(c) << 8) + u32::from(d)),
        format!("００{a}.{b}.{c}.{d}"),
        format!("{a}。{b}。{c}。{d}"),
        format!("%31{host}"),
        format!("{host}."),
        format!("[::ffff:{host}]"),
        format!("[::{host}]"),
        format!("[64:ff9b::{host}]"),
        format!("[2002:{:x}:{:x}::1]", number >> 16, number & 0xffff),
        "[::1]".to_owned(),
        "[::]".to_owned(),
        "0.0.0.0".to_owned(),
        "0".to_owned(),
        "localhost".to_owned(),
        "LOCALHOST".to_owned(),
        "169.254.169.254".to_owned(),
        "100.100.100.200".to_owned(),
        "[fd00:ec2::254]".to_owned(),
        "[fe80::1%25lo]".to_owned(),
    ];
    for (index, spelling) in spellings.iter().enumerate() {
        let name = format!("spelt{index}.test");
        stack.gate.set(&name, Reply::origin(&format!("http://{spelling}:{port}")));
        // Refused as an answer of the gate, or when it is to be dialled.
        let served = stack.get(&name, "/").await.is_ok_and(|response| response.status() != StatusCode::BAD_GATEWAY);
        assert!(!served, "{spelling}");
    }
    assert_eq!(stack.origin.connections(), 0);
}

#[tokio::test]
async fn the_edge_is_nobodys_origin() {
    let stack = Proxying::start().await;
    for (index, (scheme, address)) in
        [("https", stack.edge.https()), ("http", stack.edge.http()), ("http", stack.edge.admin())].iter().enumerate()
    {
        let name = format!("own{index}.test");
        stack.gate.set(&name, Reply::origin(&format!("{scheme}://{address}")));
        assert_eq!(stack.get(&name, "/metrics").await.unwrap().status(), StatusCode::BAD_GATEWAY, "{address}");
        assert_eq!(stack.access_line(502).await["error"], "ssrf_blocked");
    }
}

#[tokio::test]
async fn a_loop_through_somebody_elses_address_ends_after_one_turn() {
    let named = Named::start("1s").await;
    let mut stack = named.stack;
    // A balancer in front of the edge: an address that the edge cannot know as its own.
    let balancer = Arc::new(TcpListener::bind(stack.host.at(0)).await.unwrap());
    let address = balancer.local_addr().unwrap();
    let turns = tokio::spawn(relay(balancer, stack.edge.https()));
    // The edge believes its own certificates, as it would those of a public CA.
    let root = stack.edge.storage().join("pki/namegate/root.crt");
    let trust = format!("[proxy]\norigin_ca_root = {root:?}");
    stack.edge.configure(|options| *options = options.clone().set(&trust));
    stack.edge.restart().await;
    named.dns.set_a("loop.test", &[stack.host.ip()]).await;
    stack.gate.set("loop.test", Reply::origin(&format!("https://loop.test:{}", address.port())));
    let response = stack.get("loop.test", "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::LOOP_DETECTED);
    stack.edge.until_metric("namegate_edge_http_requests_total{code=\"5xx\"}", 2.0).await;
    assert_eq!(stack.edge.metric("namegate_edge_http_requests_total").await, 2.0, "the visitor's and its echo");
    assert_eq!(stack.edge.metric("namegate_edge_http_faults_total{reason=\"loop_detected\"}").await, 1.0);
    turns.abort();
}

async fn relay(balancer: Arc<TcpListener>, edge: SocketAddr) {
    while let Ok((mut inner, _)) = balancer.accept().await {
        tokio::spawn(async move {
            let mut outer = TcpStream::connect(edge).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
        });
    }
}

#[tokio::test]
async fn marks_of_other_networks_are_passed_on_and_our_own_is_added() {
    let stack = Proxying::start().await;
    for (alpn, tls) in [("http/1.1", false), ("h2", true)] {
        let name = format!("marked-{tls}.test");
        let url = if tls { stack.origin.tls_url() } else { stack.origin.url() };
        stack.gate.set(&name, Reply::origin(&url));
        let client: TlsClient = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), &name).await.unwrap().http().await.unwrap();
        let mut request = http.request("GET", &name, "/", client_http::no_body());
        request.headers_mut().insert("cdn-loop", HeaderValue::from_static("cdn.example"));
        let echo = Echo::parse(http.send(request).await.unwrap().body());
        let marks = echo.header("cdn-loop").unwrap().to_owned();
        assert!(marks.starts_with("cdn.example, namegate-"), "{marks}");
        let mut again = http.request("GET", &name, "/", client_http::no_body());
        again.headers_mut().insert("cdn-loop", HeaderValue::from_str(&marks).unwrap());
        assert_eq!(http.send(again).await.unwrap().status(), StatusCode::LOOP_DETECTED);
    }
}

#[tokio::test]
async fn a_port_that_is_not_allowed_is_refused_before_its_name_is_looked_up() {
    let named = Named::start("1s").await;
    let (stack, dns) = (&named.stack, &named.dns);
    dns.set_a("ports.origin.test", &[stack.host.ip()]).await;
    for (index, port) in [1, 22, 25, 53, 79, 81, 110, 442, 444, 1023].iter().enumerate() {
        let name = format!("port{index}.test");
        stack.gate.set(&name, Reply::origin(&format!("http://ports.origin.test:{port}")));
        assert_eq!(stack.get(&name, "/").await.unwrap().status(), StatusCode::BAD_GATEWAY, "{port}");
        stack
            .edge
            .until_metric("namegate_edge_http_faults_total{reason=\"origin_port_refused\"}", (index + 1) as f64)
            .await;
    }
    assert_eq!(stack.access_line(502).await["error"], "origin_port_refused");
    stack.edge.logs("\"reason\":\"origin_port_refused\"").await;
    assert!(dns.questions("ports.origin.test").await.is_empty());
    // The ports that applications have are open.
    stack.gate.set("open.test", named.origin("ports.origin.test"));
    assert_eq!(stack.get("open.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_ports_of_origins_are_the_operators_to_say_and_a_private_network_opens_no_other() {
    let mut stack = Proxying::start().await;
    let (refused, allowed) = (Inside::at(0), stack.origin.url());
    let port: u16 = allowed.rsplit(':').next().unwrap().parse().unwrap();
    let own = format!("[proxy]\norigin_ports = [443, \"{port}-{port}\"]");
    stack.edge.configure(|options| *options = options.clone().set(&own));
    stack.edge.restart().await;
    stack.gate.set("refused.test", Reply::origin(&refused.url()));
    for _ in 0..5 {
        assert_eq!(stack.get("refused.test", "/").await.unwrap().status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(stack.access_line(502).await["error"], "origin_port_refused");
    assert!(refused.is_untouched());
    assert_eq!(stack.get("allowed.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_operators_own_origin_may_be_inside_and_have_any_port() {
    let host = Loopback::take();
    let origin = Origin::start(&host).await;
    let gate = test_support::FakeGate::start(&host).await;
    gate.set_default(Reply::AllowEmpty);
    let settings = "[acme]\nissuer = \"internal\"\n[proxy]\nallow_private_origins = false\norigin_ports = [443]";
    let options = EdgeOptions::on(&host).gate(&gate).default_origin(&origin).set(settings);
    let edge = test_support::EdgeProcess::start(options).await;
    let root = std::fs::read_to_string(edge.storage().join("pki/namegate/root.crt")).unwrap();
    let response = edge.get(&TlsClient::trusting(&root), "operators.test", "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
