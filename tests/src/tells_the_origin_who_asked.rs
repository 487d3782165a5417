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

/// Raw bytes, so that names keep their letter case and underscores.
#[tokio::test]
async fn no_spelling_of_a_claim_reaches_the_origin() {
    const CLAIMS: [&str; 12] = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Real-IP",
        "Forwarded",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Client-IP",
        "X-Original-URL",
        "X-Original-Host",
        "Proxy",
    ];
    let stack = Proxying::start().await;
    let mut raw = stack.raw("spelt.test").await;
    for claim in CLAIMS {
        let spellings = [claim.to_owned(), claim.to_uppercase(), claim.to_lowercase(), claim.replace('-', "_")];
        let halves = claim.replacen('-', "_", 1);
        let fields: String = spellings.iter().chain([&halves]).map(|name| format!("{name}: 6.6.6.6\r\n")).collect();
        raw.send(format!("GET / HTTP/1.1\r\nHost: spelt.test\r\n{fields}\r\n")).await.unwrap();
        let response = raw.response().await.unwrap();
        let echo = Echo::parse(&response.body);
        assert!(!echo.headers.iter().any(|(_, value)| value.contains("6.6.6.6")), "{claim}: {:?}", echo.headers);
        assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.1"), "{claim}");
        assert_eq!(echo.header("x-forwarded-host"), Some("spelt.test"), "{claim}");
    }
}

/// Each answer that the edge gives itself, by h1 and h2, in HTML and JSON.
#[tokio::test]
async fn an_answer_of_the_edges_own_shows_nothing_of_the_request_and_nothing_of_the_inside() {
    let stack = Proxying::start().await;
    let closed = std::net::TcpListener::bind(stack.host.at(0)).unwrap().local_addr().unwrap();
    stack.gate.set("broken.test", Reply::origin(&format!("http://{closed}")));
    stack.gate.set("bare.test", Reply::AllowEmpty);
    stack.gate.set("own.test", Reply::origin(&format!("https://{}", stack.edge.https())));
    let secret = "canary-77f1";
    for (name, host, status) in [
        ("broken.test", "broken.test", StatusCode::BAD_GATEWAY),
        ("own.test", "own.test", StatusCode::BAD_GATEWAY),
        ("bare.test", "bare.test", StatusCode::NOT_FOUND),
        ("bare.test", "other.test", StatusCode::MISDIRECTED_REQUEST),
    ] {
        for (alpn, accept) in [
            ("http/1.1", "text/html"),
            ("http/1.1", "application/json"),
            ("h2", "text/html"),
            ("h2", "application/json"),
        ] {
            let visit = stack.client().alpn(&[alpn]).visit(stack.edge.https(), name).await.unwrap();
            let mut http = visit.http().await.unwrap();
            let mut request = http.request("GET", host, &format!("/{secret}?{secret}"), client_http::no_body());
            for field in ["cookie", "authorization", "x-request-id", "user-agent", "referer"] {
                request.headers_mut().insert(field, HeaderValue::from_static("canary-77f1"));
            }
            request.headers_mut().insert("accept", HeaderValue::from_static(accept));
            let response = http.send(request).await.unwrap();
            assert_eq!(response.status(), status, "{name} {alpn}");
            let shown = format!("{:?}{}", response.headers(), String::from_utf8_lossy(response.body())).to_lowercase();
            let address = closed.to_string();
            let inside =
                ["namegate", "pingora", "ssrf", "upstream", "127.", "gate_", "canary", "origin", address.as_str()];
            for word in inside {
                assert!(!shown.contains(word), "{name} {alpn} {accept}: `{word}` is in {shown}");
            }
        }
    }
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
