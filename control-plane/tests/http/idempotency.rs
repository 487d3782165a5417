//! `Idempotency-Key` when clients are impatient.

use futures::future::join_all;

use crate::harness::{Control, on_both};

const AUTH: &str = "Authorization: Bearer sk_test_demo";

async fn create(control: &Control, app: &str, key: &str, hostname: &str) -> crate::harness::Answer {
    let key = format!("Idempotency-Key: {key}");
    let body = format!(r#"{{"application_id":"{app}","hostname":"{hostname}"}}"#);
    control.curl("/v1/connections", &["-X", "POST", "-H", AUTH, "-H", &key, "-d", &body]).await
}

#[test]
fn concurrent_duplicates_make_one_connection() {
    on_both(|control| async move {
        let app = control.application().await;
        for round in 0..3 {
            let (key, hostname) = (format!("key-{round}"), format!("shop{round}.customer.com"));
            let answers = join_all((0..8).map(|_| create(&control, &app, &key, &hostname))).await;
            let mut ids = Vec::new();
            for answer in &answers {
                match answer.status {
                    201 => ids.push(answer.json()["id"].as_str().unwrap().to_owned()),
                    409 => {
                        assert_eq!(answer.code(), "idempotency_in_flight", "{answer:?}");
                        assert!(answer.headers.contains("retry-after"), "{answer:?}");
                    }
                    _ => panic!("{answer:?}"),
                }
            }
            ids.dedup();
            assert_eq!(ids.len(), 1, "{answers:?}");
            let listed = control.get("sk_test_demo", &format!("/v1/connections?hostname={hostname}")).await.json();
            assert_eq!(listed["data"].as_array().unwrap().len(), 1);
            let fresh = |answer: &&crate::harness::Answer| !answer.headers.contains("idempotent-replayed");
            assert_eq!(answers.iter().filter(|answer| answer.status == 201).filter(fresh).count(), 1);
        }
        let reused = create(&control, &app, "key-0", "another.customer.com").await;
        assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency_key_reused"), "{reused:?}");
        control
    });
}

#[test]
fn a_request_that_failed_frees_its_key() {
    on_both(|control| async move {
        let app = control.application().await;
        let refused = create(&control, &app, "k", "co.uk").await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(create(&control, &app, "k", "shop.customer.com").await.status, 201);
        control
    });
}
