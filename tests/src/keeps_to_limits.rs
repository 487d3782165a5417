//! What an authority would refuse because too much was ordered is not asked for.

use http::StatusCode;
use rustls::AlertDescription;
use test_support::{Kind, PebbleOptions};

use crate::stack::Issuing;

const TWO_FOR_A_DOMAIN: &str = "[acme.limits]\ndomain_certificates = 2\norders = 300";

#[tokio::test]
async fn a_registered_domain_gets_what_the_authority_grants_it_and_no_order_more_across_restarts() {
    let mut stack = Issuing::start_with(TWO_FOR_A_DOMAIN, PebbleOptions::default()).await;
    for name in ["a.customer.test", "b.customer.test", "a.other.test"] {
        assert_eq!(stack.get(name, "/").await.unwrap().status(), StatusCode::OK, "{name}");
    }
    for restarted in [false, true] {
        if restarted {
            stack.edge.restart().await;
            stack.edge.logs("renewals are planned").await;
        }
        for name in ["c.customer.test", "d.customer.test"] {
            let refused = stack.get(name, "/").await.unwrap_err();
            assert_eq!(refused.alert(), Some(AlertDescription::InternalError), "{name}");
        }
        assert_eq!(stack.proxy.accepted(Kind::NewOrder), 3, "restarted: {restarted}");
        assert!(stack.edge.metric("namegate_edge_acme_failures_total{reason=\"waiting_domain\"}").await >= 2.0);
    }
    stack.edge.logs("2 new certificates for names of customer.test in 7 days").await;
    assert_eq!(stack.get("b.other.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stack.get("a.customer.test", "/").await.unwrap().status(), StatusCode::OK);
}
