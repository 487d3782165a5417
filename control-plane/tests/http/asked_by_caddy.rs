//! Any proxy that asks can stand in front: here Caddy, with certificates of its own internal CA.

use test_support::{Caddy, Loopback, client::Curl};

use crate::harness::{Worker, on_sqlite};

/// curl's word for a handshake that ended with an alert.
const NO_HANDSHAKE: i32 = 35;

#[test]
fn caddy_serves_a_verified_name_on_demand_and_no_other() {
    on_sqlite(Worker::Off, |control| async move {
        let app = control.application().await;
        let made = control.connect(&app, "shop.customer.com").await;
        control.connect(&app, "pending.customer.com").await;
        control.publish(&made).await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        assert_eq!(control.send("sk_test_demo", "POST", &format!("{path}/verify"), "").await.status, 200);

        let caddy = Caddy::start(&Loopback::take(), &format!("{}/internal/ask", control.url)).await;
        let visit = async |hostname: &str| {
            let url = format!("https://{hostname}:{}/", caddy.address().port());
            Curl::new().cacert(caddy.root()).resolve(hostname, caddy.address()).get(&url).await
        };
        let served = visit("shop.customer.com").await;
        assert_eq!((served.code, served.stdout.as_str()), (0, Caddy::BODY), "{served:?}");
        for hostname in ["stranger.customer.com", "pending.customer.com"] {
            let refused = visit(hostname).await;
            assert_eq!(refused.code, NO_HANDSHAKE, "{hostname}: {refused:?}");
        }
        control
    });
}
