//! What edges see.

use control_api::{AskAnswer, ChangeKind, Changes, SnapshotLine};
use tokio::time::{Duration, Instant};

use crate::harness::{EDGE_TOKEN, on_both};

#[test]
fn an_edge_learns_of_names_by_asking_by_feed_and_by_snapshot() {
    on_both(|control| async move {
        for path in ["/internal/changes?after=0", "/internal/snapshot"] {
            assert_eq!(control.curl(path, &[]).await.status, 401);
            assert_eq!(control.get("wrong", path).await.status, 401);
        }
        for path in ["/internal/ask", "/internal/ask?domain=", "/internal/ask?domain=1.2.3.4"] {
            assert_eq!(control.curl(path, &[]).await.status, 400, "{path}");
        }
        let app = control.application().await;
        let made = control.connect(&app, "shop.customer.com").await;
        control.publish(&made).await;
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());

        let waiting = control.get(EDGE_TOKEN, "/internal/changes?after=0&wait=20");
        let verify = format!("{path}/verify");
        let (changes, _) = tokio::join!(waiting, control.send("sk_test_demo", "POST", &verify, ""));
        let changes: Changes = serde_json::from_str(&changes.text).unwrap();
        assert_eq!(changes.changes.len(), 1);
        let ChangeKind::Upsert(route) = &changes.changes[0].kind else { panic!("{changes:?}") };
        assert!(!route.pointing);

        control.send("sk_test_demo", "POST", &format!("{path}/records:check"), "").await;
        let after = changes.next_after;
        let more = control.get(EDGE_TOKEN, &format!("/internal/changes?after={after}")).await;
        let more: Changes = serde_json::from_str(&more.text).unwrap();
        let ChangeKind::Upsert(route) = &more.changes[0].kind else { panic!("{more:?}") };
        assert!(route.pointing, "now a certificate can be ordered ahead");
        let owner = route.tenant.as_ref().map(names::Tenant::as_str);
        assert_eq!(owner, made["application_id"].as_str(), "whose it is");
        let asked: AskAnswer =
            serde_json::from_str(&control.curl("/internal/ask?domain=shop.customer.com", &[]).await.text).unwrap();
        assert_eq!(asked.tenant, route.tenant);

        let patch = r#"{"origin":"http://127.0.0.1:4000","keep_host":true}"#;
        let wait = format!("/internal/changes?after={}&wait=20", more.next_after);
        let begun = Instant::now();
        let (changed, patched) =
            tokio::join!(control.get(EDGE_TOKEN, &wait), control.send("sk_test_demo", "PATCH", &path, patch));
        assert_eq!(patched.status, 200, "{patched:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let changed: Changes = serde_json::from_str(&changed.text).unwrap();
        assert!(changed.changes[0].generation > more.changes[0].generation);

        let snapshot = control.get(EDGE_TOKEN, "/internal/snapshot").await;
        let lines: Vec<SnapshotLine> = snapshot.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (SnapshotLine::Header(header), SnapshotLine::Name(name), SnapshotLine::End(end)) =
            (&lines[0], &lines[1], &lines[2])
        else {
            panic!("{lines:?}")
        };
        assert_eq!((header.count, header.epoch, end.count), (1, changed.epoch, 1));
        assert_eq!(name.route.origin.as_deref(), Some("http://127.0.0.1:4000"));
        assert_eq!(name.route.tenant, asked.tenant);
        let before_end = snapshot.text.rfind("{\"end\"").unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &snapshot.text.as_bytes()[..before_end]);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, end.checksum);

        control.send("sk_test_demo", "DELETE", &path, "").await;
        let gone = control.get(EDGE_TOKEN, &format!("/internal/changes?after={}", changed.next_after)).await;
        let gone: Changes = serde_json::from_str(&gone.text).unwrap();
        assert_eq!(gone.changes[0].kind, ChangeKind::Delete);
        assert_eq!(control.get(EDGE_TOKEN, "/internal/changes?after=999999").await.status, 410);
        control
    });
}
