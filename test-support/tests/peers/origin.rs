use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use test_support::{
    BadOrigin, Echo, Loopback, Misbehaviour, Origin,
    client::{
        Curl, TlsClient,
        http::{self as web, Http},
    },
    wait,
};
use tokio_tungstenite::tungstenite::Message;

struct Fixture {
    host: Loopback,
    origin: Origin,
}

impl Fixture {
    async fn start() -> Self {
        let host = Loopback::take();
        let origin = Origin::start(&host).await;
        Self { host, origin }
    }

    async fn over(&self, alpn: &str) -> Http {
        let client = TlsClient::trusting(self.origin.root_pem()).alpn(&[alpn]);
        let address = self.origin.tls_url().trim_start_matches("https://").parse().unwrap();
        client.visit(address, &self.host.ip().to_string()).await.unwrap().http().await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin.url())
    }
}

#[tokio::test]
async fn it_echoes_over_every_protocol() {
    let it = Fixture::start().await;
    let plain = Echo::parse(web::get(&it.url("/a/b?c=d")).await.unwrap().body());
    assert_eq!((plain.target.as_str(), plain.version.as_str(), plain.tls), ("/a/b?c=d", "HTTP/1.1", false));
    assert_eq!(plain.header("host"), Some(it.origin.authority().as_str()));
    for (alpn, version) in [("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2.0")] {
        let mut http = it.over(alpn).await;
        let request = http.request("POST", "shop.test", "/echo", web::body("abc"));
        let echo = Echo::parse(http.send(request).await.unwrap().body());
        assert_eq!((echo.version.as_str(), echo.body_bytes, echo.tls), (version, 3, true));
        assert!(echo.body_sha256.starts_with("ba7816bf"));
    }
    assert_eq!((it.origin.connections(), it.origin.requests()), (3, 3));
}

#[tokio::test]
async fn http2_without_tls_is_off() {
    let it = Fixture::start().await;
    let seen = Curl::new().args(&["--http2-prior-knowledge"]).get(&it.url("/echo")).await;
    assert_ne!(seen.code, 0, "{seen:?}");
}

#[tokio::test]
async fn bodies_have_the_size_that_was_asked_for() {
    let it = Fixture::start().await;
    for size in [0, 1, 16_384, 16_385, 1 << 20] {
        let response = web::get(&it.url(&format!("/bytes/{size}"))).await.unwrap();
        assert_eq!(response.headers()["content-length"], size.to_string().as_str());
        assert_eq!(response.body().len(), size);
    }
    let drip = web::get(&it.url("/drip/3/5")).await.unwrap();
    assert_eq!((drip.body().len(), drip.headers().get("content-length")), (24, None));
    assert_eq!(web::get(&it.url("/status/418")).await.unwrap().status(), 418);
    let sunk = web::post(&it.url("/sink"), vec![b'x'; 100_000]).await.unwrap();
    assert!(sunk.body().starts_with(br#"{"bytes":100000,"#));
}

#[tokio::test]
async fn it_says_100_continue_only_when_it_wants_the_body() {
    let it = Fixture::start().await;
    let expect = ["-v", "-H", "Expect: 100-continue", "-d", "body"];
    let wanted = Curl::new().args(&expect).get(&it.url("/sink")).await;
    assert!(wanted.stderr.contains("100 Continue"), "{wanted:?}");
    let refused = Curl::new().args(&expect).get(&it.url("/refuse-body")).await;
    assert!(!refused.stderr.contains("100 Continue") && refused.stderr.contains("413"), "{refused:?}");
}

#[tokio::test]
async fn a_grpc_answer_ends_with_trailers() {
    let it = Fixture::start().await;
    let mut http = it.over("h2").await;
    let request = http.request("POST", "shop.test", "/grpc", web::body("message"));
    let body = http.stream(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "message");
}

#[tokio::test]
async fn a_websocket_echoes() {
    let it = Fixture::start().await;
    let tcp = tokio::net::TcpStream::connect(it.origin.authority()).await.unwrap();
    let url = format!("ws://{}/ws", it.origin.authority());
    let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn held_requests_wait_and_cut_ones_fail() {
    let it = Fixture::start().await;
    it.origin.hold();
    let url = it.url("/hold");
    let release = async {
        it.origin.reached(1).await;
        it.origin.release();
    };
    let (held, ()) = futures::future::join(web::get(&url), release).await;
    assert_eq!(held.unwrap().status(), 200);
    assert!(web::get(&it.url("/cut")).await.is_err());
    assert!(web::get(&it.url("/cut-body")).await.is_err());
}

#[tokio::test]
async fn each_misbehaviour_is_what_it_says() {
    let host = Loopback::take();
    let get = async |how| {
        let origin = BadOrigin::start(&host, how).await;
        let limit = if matches!(how, Misbehaviour::Hang) { Duration::from_secs(1) } else { wait::LIMIT };
        let asked = tokio::time::timeout(limit, web::get(&origin.url())).await;
        (asked, origin.connections())
    };
    assert!(matches!(get(Misbehaviour::Refuse).await, (Ok(Err(web::HttpError::Connect(_))), 0)));
    assert!(matches!(get(Misbehaviour::Hang).await, (Err(_), 1)));
    for how in
        [Misbehaviour::CloseAtOnce, Misbehaviour::Nonsense, Misbehaviour::ResetMidBody, Misbehaviour::ResetMidHeaders]
    {
        assert!(matches!(get(how).await, (Ok(Err(web::HttpError::Http(_))), 1)), "{how:?}");
    }
    assert!(matches!(get(Misbehaviour::SlowHeaders(Duration::from_millis(20))).await, (Ok(Ok(_)), 1)));
}

#[tokio::test]
async fn a_stopped_origin_refuses() {
    let mut it = Fixture::start().await;
    it.origin.stop().await;
    assert!(matches!(web::get(&it.url("/")).await, Err(web::HttpError::Connect(_))));
}

#[tokio::test]
async fn it_lives_on_ipv6_and_without_http2_too() {
    let origin = Origin::start_ipv6().await;
    assert!(origin.url().starts_with("http://[::1]:"));
    assert_eq!(web::get(&origin.url()).await.unwrap().status(), 200);
    let address = origin.tls_h1_url().trim_start_matches("https://").parse().unwrap();
    let client = TlsClient::trusting(origin.root_pem()).alpn(&["h2", "http/1.1"]);
    assert_eq!(client.visit(address, "localhost").await.unwrap().alpn.as_deref(), Some("http/1.1"));
}
