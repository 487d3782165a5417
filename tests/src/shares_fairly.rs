//! Nobody takes what others need: connections, handshakes, requests of one name, descriptors, memory.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures::future::join_all;
use http::{HeaderValue, StatusCode, header};
use test_support::{
    Kind, Reply,
    client::{HelloAnswer, Raw, Sni, hello_bytes, http as client_http, send_hello},
    wait,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use crate::stack::{Issuing, Proxying};

async fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    try_connect_from(from, to).await.unwrap()
}

/// Where the connection may be turned away: the reset may be there before the client knows that it is connected.
async fn try_connect_from(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::from(from), 0).into()).unwrap();
    socket.connect(to).await
}

/// Whether the edge hangs up without a word.
async fn is_reset(mut tcp: TcpStream) -> bool {
    tokio::time::timeout(wait::LIMIT, tcp.read_u8()).await.expect("a connection that is not taken ends").is_err()
}

/// Whether a connection from here is not taken.
async fn is_turned_away(from: [u8; 4], to: SocketAddr) -> bool {
    match try_connect_from(from, to).await {
        Ok(tcp) => is_reset(tcp).await,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn refused(reason: &str) -> String {
    format!("namegate_edge_connections_refused_total{{reason=\"{reason}\"}}")
}

fn shed(reason: &str) -> String {
    format!("namegate_edge_connections_shed_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn one_address_has_so_many_handshakes_in_flight_and_others_have_theirs() {
    let stack = Proxying::start_with("[limits]\nhandshakes_per_address = 2").await;
    let silent = [
        connect_from([127, 0, 0, 2], stack.edge.https()).await,
        connect_from([127, 0, 0, 2], stack.edge.https()).await,
    ];
    stack.edge.until_metric("namegate_edge_handshakes_in_flight", 2.0).await;
    assert!(is_turned_away([127, 0, 0, 2], stack.edge.https()).await);
    assert!(is_turned_away([127, 0, 0, 2], stack.edge.http()).await, "a seat is a seat on port 80 too");
    assert_eq!(stack.edge.metric(&refused("address_handshakes")).await, 2.0);
    assert_eq!(stack.get("other.test", "/").await.unwrap().status(), StatusCode::OK);
    drop(silent);
    wait::until("the address has its places back", async || {
        let tcp = try_connect_from([127, 0, 0, 2], stack.edge.https()).await.ok()?;
        stack.client().handshake(tcp, "a.test").await.ok()
    })
    .await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_unless_it_is_a_trusted_proxy() {
    let settings = "[proxy]\ntrusted_proxies = [\"127.0.0.3\"]\n[limits]\nconnections_per_address = 2";
    let stack = Proxying::start_with(settings).await;
    let visit = async |from| {
        let tcp = try_connect_from(from, stack.edge.https()).await.ok()?;
        stack.client().handshake(tcp, "a.test").await.ok()
    };
    let held = [visit([127, 0, 0, 2]).await.unwrap(), visit([127, 0, 0, 2]).await.unwrap()];
    assert!(is_turned_away([127, 0, 0, 2], stack.edge.https()).await);
    assert_eq!(stack.edge.metric(&refused("address_connections")).await, 1.0);
    let trusted = join_all((0..5).map(|_| visit([127, 0, 0, 3]))).await;
    assert!(trusted.iter().all(Option::is_some), "a trusted proxy brings the visitors of many");
    drop(held);
    wait::until("the address has its places back", async || visit([127, 0, 0, 2]).await).await;
}

#[tokio::test]
async fn handshakes_in_flight_are_bounded_for_everybody() {
    let stack = Proxying::start_with("[limits]\nhandshakes = 2").await;
    let silent = [
        connect_from([127, 0, 0, 2], stack.edge.https()).await,
        connect_from([127, 0, 0, 3], stack.edge.https()).await,
    ];
    stack.edge.until_metric("namegate_edge_handshakes_in_flight", 2.0).await;
    assert!(is_turned_away([127, 0, 0, 4], stack.edge.https()).await);
    assert_eq!(stack.edge.metric(&refused("handshakes")).await, 1.0);
    drop(silent);
    wait::until("there is room again", async || stack.get("a.test", "/").await.ok()).await;
}

/// How many of so many hellos that are sent at once get past the buckets: those are the names that the gate is asked for.
async fn hellos_at_once(stack: &Proxying, count: usize) -> usize {
    let sockets = join_all((0..count).map(|_| connect_from([127, 0, 0, 2], stack.edge.https()))).await;
    let answers = sockets.into_iter().enumerate().map(|(n, mut tcp)| async move {
        let name = format!("n{n}.test");
        tcp.write_all(&hello_bytes(Sni::Name(name.as_bytes()))).await.unwrap();
        !is_reset(tcp).await
    });
    join_all(answers).await.into_iter().filter(|served| *served).count()
}

#[tokio::test]
async fn too_many_handshakes_of_one_address_are_cut_before_the_gate_is_asked() {
    let stack = Proxying::start_with("[limits]\nhandshake_rate_per_address = 1").await;
    let served = hellos_at_once(&stack, 30).await;
    // Two at once and one for each second that this took.
    assert!((2..25).contains(&served), "{served}");
    assert_eq!(stack.gate.asked_in_all(), served);
    assert_eq!(stack.edge.metric(&refused("address_handshake_rate")).await, (30 - served) as f64);
    assert_eq!(stack.get("other.test", "/").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn too_many_handshakes_of_everybody_are_cut() {
    let stack = Proxying::start_with("[limits]\nhandshake_rate = 1").await;
    let served = hellos_at_once(&stack, 30).await;
    assert!((2..25).contains(&served), "{served}");
    assert_eq!(stack.edge.metric(&refused("handshake_rate")).await, (30 - served) as f64);
}

#[tokio::test]
async fn a_flood_of_invented_names_leads_to_no_order_and_few_questions() {
    let stack = Issuing::start_with("[limits]\nask_rate = 5", Default::default()).await;
    assert_eq!(stack.get("known.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.gate.set("known.test", Reply::origin(&stack.origin.url()));
    stack.gate.set_default(Reply::Deny);
    let (begun, orders, asked) = (Instant::now(), stack.proxy.count(Kind::NewOrder), stack.gate.asked_in_all());
    for round in 0..40 {
        let invented = (0..10).map(|n| {
            let name = format!("invented-{round}-{n}.test");
            let edge = stack.edge.https();
            async move { send_hello(edge, Sni::Name(name.as_bytes())).await.unwrap() }
        });
        let answers = join_all(invented).await;
        assert!(answers.iter().all(|answer| matches!(answer, HelloAnswer::Alert { level: 2, .. })), "{answers:?}");
        assert_eq!(stack.get("known.test", "/").await.unwrap().status(), StatusCode::OK, "others do not notice");
    }
    let asked = stack.gate.asked_in_all() - asked;
    // Ten seconds' worth at once, and five for each second since.
    assert!(asked as f64 <= 50.0 + 5.0 * (begun.elapsed().as_secs_f64() + 1.0), "{asked} questions");
    // The first name's own question may have been of these ten seconds.
    assert!(asked >= 49, "{asked} questions");
    assert_eq!(stack.proxy.count(Kind::NewOrder), orders);
}

#[tokio::test]
async fn a_hostname_has_so_many_requests_in_flight_and_others_do_not_notice() {
    let stack = Proxying::start_with("[limits]\nrequests_per_hostname = 2").await;
    stack.origin.hold();
    let held: Vec<_> = ["http/1.1", "h2"]
        .map(|alpn| {
            let (client, edge) = (stack.client().alpn(&[alpn]), stack.edge.https());
            tokio::spawn(async move { client.get(edge, "busy.test", "/hold").await.unwrap().status() })
        })
        .into();
    stack.origin.reached(2).await;
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "busy.test").await.unwrap().http().await.unwrap();
        let mut request = http.request("GET", "busy.test", "/", client_http::no_body());
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let busy = http.send(request).await.unwrap();
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE, "{alpn}");
        assert!(busy.headers().contains_key(header::RETRY_AFTER));
        let body: serde_json::Value = serde_json::from_slice(busy.body()).unwrap();
        assert_eq!(body["error"]["code"], "service_unavailable");
    }
    assert_eq!(stack.access_line(503).await["error"], "hostname_busy");
    assert_eq!(stack.get("other.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.origin.release();
    for request in held {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    wait::until("the name has its places back", async || {
        (stack.get("busy.test", "/").await.unwrap().status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn when_all_places_are_taken_the_longest_idle_makes_room() {
    let stack = Proxying::start_with("[limits]\nconnections = 3").await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(stack.raw("a.test").await);
    }
    stack.origin.hold();
    idle[1].send("GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    stack.origin.reached(1).await;
    for _ in 0..2 {
        assert_eq!(stack.get("b.test", "/").await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(idle[0].rest().await, b"", "it was idle for longer than any other");
    stack.origin.release();
    assert_eq!(idle[1].response().await.unwrap().status, 200, "a request in flight is never cut for room");
    assert!(stack.edge.metric(&shed("connections")).await >= 1.0);
}

#[tokio::test]
async fn without_descriptors_the_longest_idle_make_room_and_accepting_does_not_spin() {
    let stack = Proxying::start().await;
    // Everything that is opened once is open.
    assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
    let mut first = stack.raw("a.test").await;
    stack.edge.leave_descriptors(20).await;
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(stack.raw("a.test").await);
    }
    assert_eq!(first.rest().await, b"", "whoever was idle the longest has left");
    assert!(stack.edge.metric(&shed("descriptors")).await >= 1.0);
    let mut last = crowd.pop().unwrap();
    last.send("GET /bytes/3 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    // Its origin may be out of reach for want of a descriptor; it is told so, and served when there is one.
    let answered = last.response().await.unwrap().status;
    assert!(matches!(answered, 200 | 502), "{answered}");
    drop(crowd);
    wait::until("it serves as before", async || {
        let response = stack.get("b.test", "/bytes/3").await.ok()?;
        (response.status() == StatusCode::OK).then_some(())
    })
    .await;
    assert!(stack.edge.exited().is_none());
}

#[tokio::test]
async fn a_process_without_descriptors_and_without_idle_visitors_waits_quietly() {
    let stack = Proxying::start().await;
    stack.origin.hold();
    let mut busy = Vec::new();
    for _ in 0..8 {
        let mut raw = stack.raw("a.test").await;
        raw.send("GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        busy.push(raw);
    }
    stack.origin.reached(8).await;
    let short_since = Instant::now();
    stack.edge.leave_descriptors(0).await;
    // More than there may be holes in the numbers of the descriptors.
    let waiting = join_all((0..5).map(|_| TcpStream::connect(stack.edge.https()))).await;
    // The admin listener is in the same position, so the log is what tells.
    stack.edge.logs("cannot accept connections").await;
    let (begun, before) = (Instant::now(), stack.edge.cpu_time());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (took, used) = (begun.elapsed(), stack.edge.cpu_time() - before);
    assert!(used < took / 4, "{used:?} of processor time in {took:?}");
    let lines = stack.edge.log().matches("cannot accept connections").count();
    // Of each listener, one in ten seconds.
    assert!(lines as f64 <= 3.0 * (1.0 + short_since.elapsed().as_secs_f64() / 10.0), "{lines} lines");
    drop(waiting);
    stack.origin.release();
    for raw in &mut busy {
        assert_eq!(raw.response().await.unwrap().status, 200);
    }
    drop(busy);
    wait::until("it serves again", async || stack.get("b.test", "/bytes/3").await.ok()).await;
}

/// Sets the limit so that what the edge has in memory is so many percent of it.
async fn fill_memory(stack: &mut Proxying, percent: u64) {
    let limit = stack.resident_kib() * 100 / percent;
    stack.edge.configure(|options| *options = options.clone().set(&format!("[limits]\nmemory = \"{limit}KiB\"")));
    stack.edge.signal("HUP");
}

async fn until_pressure(stack: &Proxying, level: f64) {
    wait::until(&format!("the pressure is {level}"), async || {
        (stack.edge.metric("namegate_edge_memory_pressure").await == level).then_some(())
    })
    .await;
}

#[tokio::test]
async fn high_memory_ends_idle_connections_and_full_memory_takes_nothing_new() {
    let mut stack = Proxying::start().await;
    assert_eq!(stack.get("a.test", "/").await.unwrap().status(), StatusCode::OK);
    let mut idle = stack.raw("a.test").await;
    // High for whatever it grows to within this test: the bound is at 50, and memory is full at 75.
    stack.edge.configure(|options| *options = options.clone().set("[limits]\nmemory_high = 50"));
    fill_memory(&mut stack, 60).await;
    until_pressure(&stack, 1.0).await;
    assert_eq!(idle.rest().await, b"");
    let served = stack.get("a.test", "/bytes/3").await.unwrap();
    assert_eq!((served.status(), served.headers()[header::CONNECTION].to_str().unwrap()), (StatusCode::OK, "close"));
    let client = stack.client().alpn(&["h2"]);
    let mut http = client.visit(stack.edge.https(), "a.test").await.unwrap().http().await.unwrap();
    let endless = http.request("GET", "a.test", "/drip/100000/100", client_http::no_body());
    let first = http.stream(endless).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(http.get("a.test", "/bytes/3").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stack.access_line(503).await["error"], "overloaded");

    fill_memory(&mut stack, 95).await;
    until_pressure(&stack, 2.0).await;
    assert!(is_turned_away([127, 0, 0, 1], stack.edge.https()).await);
    assert!(stack.edge.metric(&refused("memory")).await >= 1.0);
    let ready = client_http::get(&format!("http://{}/readyz?verbose", stack.edge.admin())).await.unwrap();
    let view: serde_json::Value = serde_json::from_slice(ready.body()).unwrap();
    assert_eq!((ready.status(), &view["memory"]), (StatusCode::SERVICE_UNAVAILABLE, &"full".into()));

    fill_memory(&mut stack, 5).await;
    until_pressure(&stack, 0.0).await;
    let mut raw = stack.raw("a.test").await;
    raw.send("GET /bytes/3 HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    assert!(!raw.response().await.unwrap().head.contains("connection: close"));
    stack.edge.logs("memory is calm again").await;
}

#[tokio::test]
async fn plain_text_visitors_have_seats_too() {
    let stack = Proxying::start_with("[limits]\nconnections_per_address = 2").await;
    let ask = async || {
        let tcp = connect_from([127, 0, 0, 2], stack.edge.http()).await;
        let mut raw = Raw::over(tcp);
        raw.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.ok()?;
        Some((raw.response().await?.status, raw))
    };
    let held = [ask().await.unwrap(), ask().await.unwrap()];
    assert_eq!(held.map(|(status, _)| status), [308, 308]);
}
