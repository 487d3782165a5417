//! The demo keeps its two promises: it answers the edge's question, and it shows whose page it is.

#![expect(clippy::unwrap_used, reason = "clippy knows only functions marked as tests; their fixtures are tests too")]

use demo::{Saas, TENANTS};
use serde_json::Value;
use test_support::{
    Loopback,
    client::http::{self, Http},
};
use tokio::{net::TcpListener, task::JoinHandle};

struct Running {
    address: std::net::SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
    _host: Loopback,
}

impl Running {
    async fn start() -> Self {
        let host = Loopback::take();
        let listener = TcpListener::bind(host.at(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, task: tokio::spawn(Saas::new(address, None).serve(listener)), _host: host }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = http::get(&format!("http://{}{path}", self.address)).await.unwrap();
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    async fn visit(&self, forwarded_host: &str, path: &str) -> (u16, String) {
        let mut http = Http::connect(self.address).await.unwrap();
        let mut request = http.request("GET", &self.address.to_string(), path, http::no_body());
        request.headers_mut().insert("x-forwarded-host", forwarded_host.parse().unwrap());
        let response = http.send(request).await.unwrap();
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn every_tenant_is_allowed_and_nobody_else() {
    let saas = Running::start().await;
    for tenant in TENANTS {
        let (status, body) = saas.get(&format!("/ask?domain={}", tenant.hostname)).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, answer["hostname"].as_str()), (200, Some(tenant.hostname)));
        assert_eq!(answer["origin"], format!("http://{}", saas.address));
    }
    assert_eq!(saas.get("/ask?domain=stranger.test").await.0, 403);
    assert_eq!(saas.get("/ask").await.0, 400);
    assert_eq!(saas.get("/healthz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn a_page_shows_the_tenant_that_was_visited_and_escapes_the_rest() {
    let saas = Running::start().await;
    let (status, page) = saas.visit("Shop.Customer.test:8443", "/a?b=%3Cscript%3E&c='").await;
    assert!(status == 200 && page.contains("<h1>Otter &amp; Oak</h1>"), "{page}");
    assert!(page.contains("GET /a?b=%3Cscript%3E&amp;c='"), "{page}");
    let (status, page) = saas.visit("<b>", "/").await;
    assert!(status == 200 && page.contains("<td>&lt;b&gt;</td>"), "what the edge lets through is a customer: {page}");
}

#[tokio::test]
async fn without_an_edge_it_shows_its_own_page() {
    let saas = Running::start().await;
    let (status, page) = saas.get("/").await;
    assert!(status == 200 && page.contains("shop.customer.test") && page.contains("None yet."), "{page}");
    assert_eq!(saas.get("/elsewhere").await.0, 404);
    assert_eq!(saas.get("/webhooks").await, (200, "[]".to_owned()));
}
