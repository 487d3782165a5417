//! Host, forwarding headers and the line between names.

use http::{HeaderName, HeaderValue, StatusCode};
use test_support::{
    Ca, Echo, Reply,
    client::{TlsClient, http as client_http},
};

use crate::stack::Proxying;

#[tokio::test]
async fn the_origin_sees_its_own_host_unless_the_connection_keeps_the_customers() {
    let stack = Proxying::start().await;
    for (name, keep) in [("replace.test", false), ("keep.test", true)] {
        stack.gate.set(name, Reply::Allow(serde_json::json!({"origin": stack.origin.url(), "keep_host": keep})));
        for alpn in ["http/1.1", "h2"] {
            let client = stack.client().alpn(&[alpn]);
            let mut http = client.visit(stack.edge.https(), name).await.unwrap().http().await.unwrap();
            let echo = Echo::parse(http.get(name, "/").await.unwrap().body());
            let authority = stack.origin.authority();
            assert_eq!(echo.header("host"), Some(if keep { name } else { authority.as_str() }), "{alpn}");
            assert_eq!(echo.header("x-forwarded-host"), Some(name), "{alpn}");
            assert_eq!(echo.header("x-forwarded-proto"), Some("https"));
        }
    }
}

#[tokio::test]
async fn a_visitor_cannot_say_where_it_comes_from() {
    let stack = Proxying::start().await;
    let mut http = stack.client().visit(stack.edge.https(), "spoof.test").await.unwrap().http().await.unwrap();
    let mut request = http.request("GET", "spoof.test", "/", client_http::no_body());
    for name in ["X-Forwarded-For", "x_forwarded_for", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Forwarded-Port"] {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_static("6.6.6.6"));
    }
    let echo = Echo::parse(http.send(request).await.unwrap().body());
    assert!(!echo.headers.iter().any(|(_, value)| value.contains("6.6.6.6")), "{:?}", echo.headers);
    assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let stack = Proxying::start_with("[proxy]\ntrusted_proxies = [\"127.0.0.0/8\"]").await;
    let mut http = stack.client().visit(stack.edge.https(), "lb.test").await.unwrap().http().await.unwrap();
    let mut request = http.request("GET", "lb.test", "/", client_http::no_body());
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("198.51.100.9"));
    let echo = Echo::parse(http.send(request).await.unwrap().body());
    assert_eq!(echo.header("x-forwarded-for"), Some("198.51.100.9, 127.0.0.1"));
    assert_eq!(stack.access_line(200).await["request"]["client_ip"], "198.51.100.9");
}

#[tokio::test]
async fn a_request_for_another_name_is_misdirected() {
    let stack = Proxying::start().await;
    for alpn in ["http/1.1", "h2"] {
        let client = stack.client().alpn(&[alpn]);
        let mut http = client.visit(stack.edge.https(), "mine.test").await.unwrap().http().await.unwrap();
        let other = http.get("other.test", "/").await.unwrap();
        assert_eq!(other.status(), StatusCode::MISDIRECTED_REQUEST, "{alpn}");
        // The connection stays good for its own name, in any spelling and with a port.
        for own in ["mine.test", "MINE.test:8443"] {
            assert_eq!(http.get(own, "/").await.unwrap().status(), StatusCode::OK, "{alpn} {own}");
        }
    }
    assert_eq!(stack.gate.asked("other.test"), 0, "the certificate does not cover it, so nobody is asked");
}

#[tokio::test]
async fn a_certificate_of_two_names_serves_both_only_if_the_gate_admits_both() {
    let mut stack = Proxying::start().await;
    let ca = Ca::new("Two names");
    let identity = ca.issue(&["a.pair.test", "b.pair.test", "c.pair.test"]);
    let folder = stack.edge.storage().join("certificates/imported/a.pair.test");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.pair.test.crt"), identity.chain_pem).unwrap();
    std::fs::write(folder.join("a.pair.test.key"), identity.key_pem).unwrap();
    std::fs::write(folder.join("a.pair.test.json"), "{\"sans\":[\"a.pair.test\"]}").unwrap();
    stack.edge.restart().await;
    stack.gate.set("c.pair.test", Reply::Deny);
    let client = TlsClient::trusting(&ca.root_pem()).alpn(&["h2"]);
    let mut http = client.visit(stack.edge.https(), "a.pair.test").await.unwrap().http().await.unwrap();
    assert_eq!(http.get("a.pair.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(http.get("b.pair.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(http.get("c.pair.test", "/").await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
}
