//! Looks that are asked for too often.

use crate::harness::{Answer, Control};

const KEY: &str = "sk_test_demo";
const LIMITS: &[(&str, &str)] =
    &[("NAMEGATE_CONTROL__LIMITS__CONNECTION_CHECKS", "1"), ("NAMEGATE_CONTROL__LIMITS__APPLICATION_CHECKS", "2")];

fn is_refused(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"), "{answer:?}");
    let wait = answer.headers.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&wait.trim().parse::<u64>().unwrap()), "{wait}");
}

#[tokio::test]
async fn a_client_that_has_the_dns_asked_too_often_is_told_when_to_come_again() {
    let control = Control::start_set(LIMITS).await;
    let app = control.application().await;
    let mut paths = Vec::new();
    for name in ["a", "b", "c"] {
        let made = control.connect(&app, &format!("{name}.customer.com")).await;
        paths.push(format!("/v1/connections/{}", made["id"].as_str().unwrap()));
    }
    let act = async |path: &str, verb: &str| control.send(KEY, "POST", &format!("{path}/{verb}"), "").await;
    assert_eq!(act(&paths[0], "verify").await.status, 409);
    is_refused(&act(&paths[0], "verify").await);
    is_refused(&act(&paths[0], "records:check").await);
    assert_eq!(act(&paths[1], "records:check").await.status, 200, "another connection has its own limit");
    is_refused(&act(&paths[2], "verify").await);
    let other = control.application().await;
    let made = control.connect(&other, "d.customer.com").await;
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    assert_eq!(act(&path, "verify").await.status, 409, "and another application too");
    assert_eq!(control.get(KEY, &paths[0]).await.status, 200, "reading costs nobody anything");
    let metrics = control.curl("/metrics", &[]).await;
    assert!(metrics.text.contains("\nnamegate_control_checks_refused_total 3\n"), "{}", metrics.text);
    control.end().await;
}
