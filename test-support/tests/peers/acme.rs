use std::{net::Ipv4Addr, time::Duration};

use test_support::{
    AcmeProxy, Answer, Kind, Loopback, Pebble, PebbleOptions,
    client::{Curl, http},
};

async fn nonce(proxy: &AcmeProxy) -> Result<u16, http::HttpError> {
    let url = format!("https://{}/nonce-plz", proxy.address());
    http::get_trusting(&url, proxy.root_pem()).await.map(|response| response.status().as_u16())
}

#[tokio::test]
async fn pebble_serves_its_directory_to_curl() {
    let pebble = Pebble::start(&Loopback::take(), PebbleOptions::default()).await;
    let seen = Curl::new().cacert(pebble.root_pem_path()).get(&pebble.directory_url()).await;
    assert!(seen.stdout.contains("renewalInfo"), "{seen:?}");
    assert!(pebble.issuer_root_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(pebble.exited(), None);
}

#[tokio::test]
async fn two_pebbles_run_side_by_side_and_leave_nothing_behind() {
    let (one, two) = (Loopback::take(), Loopback::take());
    let pebbles = futures::future::join(
        Pebble::start(&one, PebbleOptions::default()),
        Pebble::start(&two, PebbleOptions { va_sleep: Some(Duration::from_secs(1)), ..PebbleOptions::default() }),
    );
    let (first, second) = Box::pin(pebbles).await;
    assert_ne!(first.issuer_root_pem(), second.issuer_root_pem());
    let url = first.directory_url();
    let root = first.root_pem().to_owned();
    drop(first);
    assert!(matches!(http::get_trusting(&url, &root).await, Err(http::HttpError::Tls(_))));
    assert!(http::get_trusting(&second.directory_url(), second.root_pem()).await.is_ok());
}

#[tokio::test]
async fn the_dns_server_takes_every_record() {
    let pebble = Pebble::start(&Loopback::take(), PebbleOptions::default()).await;
    let dns = pebble.dns();
    dns.set_a("shop.test", &[Ipv4Addr::new(127, 9, 9, 9)]).await;
    dns.set_aaaa("shop.test", &["::1".parse().unwrap()]).await;
    dns.set_cname("www.shop.test", "shop.test").await;
    dns.set_txt("_acme-challenge.shop.test", "value").await;
    dns.set_caa("shop.test", "issue", "ca.test").await;
    dns.servfail("broken.test").await;
    dns.set_default(None).await;
    dns.clear("shop.test").await;
    assert!(dns.questions("shop.test").await.is_empty());
}

#[tokio::test]
async fn the_proxy_counts_and_leads_all_urls_through_itself() {
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;
    let directory = http::get_trusting(&proxy.directory_url(), proxy.root_pem()).await.unwrap();
    let through = format!("https://{}/order-plz", proxy.address());
    assert!(String::from_utf8_lossy(directory.body()).contains(&through), "{directory:?}");
    nonce(&proxy).await.unwrap();
    assert_eq!((proxy.count(Kind::Directory), proxy.accepted(Kind::NewNonce)), (1, 1));
    assert_eq!((proxy.count(Kind::NewOrder), proxy.orders_for("a.test")), (0, 0));
}

#[tokio::test]
async fn the_proxy_holds_answers_loses_and_cuts() {
    let host = Loopback::take();
    let pebble = Pebble::start(&host, PebbleOptions::default()).await;
    let proxy = AcmeProxy::start(&host, &pebble).await;

    proxy.hold(Kind::NewNonce);
    let release = async {
        proxy.reached(Kind::NewNonce).await;
        assert_eq!(proxy.accepted(Kind::NewNonce), 0);
        proxy.release();
    };
    assert_eq!(futures::future::join(nonce(&proxy), release).await.0.unwrap(), 204);

    proxy.answer_times(Kind::NewNonce, 1, Answer::problem(429, "rateLimited", "slow down").retry_after(7));
    assert_eq!(nonce(&proxy).await.unwrap(), 429);
    assert_eq!(nonce(&proxy).await.unwrap(), 204);

    proxy.lose_answer(Kind::NewNonce);
    assert!(nonce(&proxy).await.is_err());
    assert_eq!((proxy.count(Kind::NewNonce), proxy.accepted(Kind::NewNonce)), (4, 3));
    proxy.cut(Kind::NewNonce);
    assert!(nonce(&proxy).await.is_err());
    assert_eq!(proxy.accepted(Kind::NewNonce), 3);
    proxy.clear(Kind::NewNonce);
    assert_eq!(nonce(&proxy).await.unwrap(), 204);
}
