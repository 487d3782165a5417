//! A balancer's PROXY protocol header says who the visitor is; nobody else's does.

use std::net::{Ipv4Addr, SocketAddr};

use test_support::{
    Echo,
    client::{Raw, http::Http},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::stack::Proxying;

/// Where tests come from is a balancer.
const BALANCER: &str = "[proxy]\nproxy_protocol = [\"127.0.0.1\"]\n";
const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 5123 443\r\n";

/// A header of version 2: command, family, addresses and extensions.
fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, content].concat()
}

async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// A visit behind this header.
async fn behind(stack: &Proxying, header: &[u8], alpn: &str) -> Option<Http> {
    let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
    // The edge may hang up before all is written; what comes of the handshake tells.
    let _ = tcp.write_all(header).await;
    let visit = stack.client().alpn(&[alpn]).handshake(tcp, "lb.test").await.ok()?;
    Some(visit.http().await.unwrap())
}

async fn visitor(stack: &Proxying, header: &[u8], alpn: &str) -> Echo {
    let mut http = behind(stack, header, alpn).await.expect("the header must be taken");
    Echo::parse(http.get("lb.test", "/").await.unwrap().body())
}

#[tokio::test]
async fn the_visitor_is_the_one_that_the_balancer_names() {
    let stack = Proxying::start_with(BALANCER).await;
    let v4 = [203, 0, 113, 8, 192, 0, 2, 1, 0x14, 0x03, 1, 187];
    let extended = [&v4[..], &[0xea, 0, 3, 1, 2, 3]].concat();
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let mut mapped = [0; 36];
    mapped[..16].copy_from_slice(&"::ffff:203.0.113.9".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (V1.to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 5123 443\r\n".to_vec(), "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(1, 0x11, &v4), "203.0.113.8"),
        (v2(1, 0x11, &extended), "203.0.113.8"),
        (v2(1, 0x21, &v6), "2001:db8::7"),
        (v2(1, 0x21, &mapped), "203.0.113.9"),
        (v2(0, 0x00, &[]), "127.0.0.1"),
        (v2(1, 0x00, &[]), "127.0.0.1"),
    ];
    for (header, address) in cases {
        for alpn in ["http/1.1", "h2"] {
            let echo = visitor(&stack, &header, alpn).await;
            assert_eq!(echo.header("x-forwarded-for"), Some(address), "{:?}", String::from_utf8_lossy(&header));
            let node = if address.contains(':') { format!("\"[{address}]\"") } else { address.to_owned() };
            assert_eq!(echo.header("forwarded").unwrap(), format!("for={node};host=lb.test;proto=https"));
        }
    }
}

#[tokio::test]
async fn the_access_log_tells_of_the_visitor() {
    let stack = Proxying::start_with(BALANCER).await;
    visitor(&stack, V1, "h2").await;
    let request = &stack.access_line(200).await["request"];
    assert_eq!((&request["remote_ip"], &request["remote_port"]), (&"203.0.113.7".into(), &"5123".into()));
    assert_eq!(request["client_ip"], "203.0.113.7");
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte_and_with_the_hello() {
    let stack = Proxying::start_with(BALANCER).await;
    let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for byte in V1 {
        tcp.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut http = stack.client().handshake(tcp, "lb.test").await.unwrap().http().await.unwrap();
    let echo = Echo::parse(http.get("lb.test", "/").await.unwrap().body());
    assert_eq!(echo.header("x-forwarded-for"), Some("203.0.113.7"));
    // In one write with what follows, on the plain listener.
    let mut tcp = TcpStream::connect(stack.edge.http()).await.unwrap();
    tcp.write_all(&[V1, b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n"].concat()).await.unwrap();
    assert_eq!(Raw::over(tcp).response().await.unwrap().status, 308);
}

#[tokio::test]
async fn without_a_good_header_a_balancer_is_hung_up_on() {
    let stack = Proxying::start_with(BALANCER).await;
    let hostile: &[&[u8]] = &[
        b"",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 +5123 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 5123 443\n",
        b"PROXY  TCP4 203.0.113.7 192.0.2.1 5123 443\r\n",
        b"PROXY TCP4 lb.test 192.0.2.1 5123 443\r\n",
        &v2(1, 0x12, &[0; 12]),
        &v2(1, 0x11, &[0; 11]),
        &v2(1, 0x11, &[0; 5000]),
        &v2(2, 0x11, &[0; 12]),
        &[V1, V1].concat(),
    ];
    for header in hostile {
        assert!(behind(&stack, header, "h2").await.is_none(), "{:?}", String::from_utf8_lossy(header));
    }
    let refused = "namegate_edge_connections_refused_total{reason=\"proxy_header\"}";
    stack.edge.until_metric(refused, 9.0).await;
    let mut tcp = TcpStream::connect(stack.edge.http()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: lb.test\r\n\r\n").await.unwrap();
    assert_eq!(Raw::over(tcp).rest().await, b"");
    assert_eq!(stack.origin.requests(), 0);
    visitor(&stack, V1, "h2").await;
}

#[tokio::test]
async fn nobody_else_may_say_who_the_visitor_is() {
    let stack = Proxying::start_with(BALANCER).await;
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let mut tcp = connect_from(other, stack.edge.https()).await;
    let _ = tcp.write_all(V1).await;
    stack.client().handshake(tcp, "lb.test").await.expect_err("a header is no ClientHello");
    let tcp = connect_from(other, stack.edge.https()).await;
    let mut http = stack.client().handshake(tcp, "lb.test").await.unwrap().http().await.unwrap();
    let echo = Echo::parse(http.get("lb.test", "/").await.unwrap().body());
    assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.2"));
}

#[tokio::test]
async fn a_balancer_that_says_nothing_is_hung_up_on_in_time() {
    let settings = format!("{BALANCER}[limits]\nproxy_header_timeout = \"200ms\"");
    let stack = Proxying::start_with(&settings).await;
    for begun in [&b""[..], b"PROXY TCP4 203.0.113.7 ", b"\r\n\r\n\0\r\nQUIT"] {
        let mut tcp = TcpStream::connect(stack.edge.https()).await.unwrap();
        tcp.write_all(begun).await.unwrap();
        assert_eq!(Raw::over(tcp).rest().await, b"");
    }
    stack.edge.until_metric("namegate_edge_connections_refused_total{reason=\"proxy_header_timeout\"}", 3.0).await;
}

#[tokio::test]
async fn limits_of_one_address_are_those_of_the_visitor() {
    let settings = format!("{BALANCER}[limits]\nconnections_per_address = 2");
    let stack = Proxying::start_with(&settings).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(behind(&stack, V1, "h2").await.expect("within the limit"));
    }
    assert!(behind(&stack, V1, "h2").await.is_none(), "the visitor has two already");
    let other = b"PROXY TCP4 203.0.113.8 192.0.2.1 5123 443\r\n";
    assert!(behind(&stack, other, "h2").await.is_some(), "another visitor of the same balancer");
    for _ in 0..4 {
        held.push(behind(&stack, b"PROXY UNKNOWN\r\n", "h2").await.expect("a balancer itself has no such limit"));
    }
}
