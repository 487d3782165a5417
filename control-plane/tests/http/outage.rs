//! A PostgreSQL that stops and starts while clients work.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};
use test_support::{Postgres, client::http::Http, wait};

use crate::harness::{Control, Worker};

/// They go on until the last outage is over.
const CLIENTS: usize = 4;

/// One POST under an idempotency key: status, `Retry-After` and body. `None` when there was no answer.
async fn create(control: &Control, app: &str, hostname: &str) -> Option<(u16, bool, Value)> {
    let address = control.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut http = Http::connect(address).await.ok()?;
    let body = json!({"application_id": app, "hostname": hostname}).to_string();
    let mut request = http.request("POST", "control", "/v1/connections", test_support::client::http::body(body));
    request.headers_mut().insert("authorization", "Bearer sk_test_demo".parse().unwrap());
    request.headers_mut().insert("idempotency-key", hostname.parse().unwrap());
    let answer = http.send(request).await.ok()?;
    let retry_after = answer.headers().contains_key("retry-after");
    Some((answer.status().as_u16(), retry_after, serde_json::from_slice(answer.body()).unwrap_or_default()))
}

/// Repeats a request until it is done, as a client that heeds `Retry-After` does. Answers the connection's id.
async fn insist(control: &Control, app: &str, hostname: &str, refused: &AtomicUsize) -> String {
    let id = wait::within(Duration::from_secs(90), async || {
        let (status, retry_after, body) = create(control, app, hostname).await?;
        match (status, body["error"]["code"].as_str()) {
            (201, _) => Some(body["id"].as_str().unwrap().to_owned()),
            (503, Some("unavailable")) | (409, Some("idempotency_in_flight")) => {
                assert!(retry_after, "{hostname}: {body}");
                refused.fetch_add(1, Ordering::Relaxed);
                None
            }
            other => panic!("{hostname}: {other:?} {body}"),
        }
    });
    id.await.unwrap_or_else(|| panic!("{hostname} was never created"))
}

async fn reach(what: &str, counter: &AtomicUsize, count: usize) {
    wait::until(what, || std::future::ready((counter.load(Ordering::Relaxed) >= count).then_some(()))).await;
}

#[test]
fn nothing_is_lost_when_the_database_goes_away_under_load_and_comes_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let control = Arc::new(Control::start(Some(Postgres::start().await), Worker::On).await);
        let app = control.application().await;
        let (done, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS).map(|client| {
            let (control, app) = (Arc::clone(&control), app.clone());
            let (done, refused, is_over) = (Arc::clone(&done), Arc::clone(&refused), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut ids = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let n = ids.len();
                    ids.push(insist(&control, &app, &format!("shop{n}-{client}.customer.com"), &refused).await);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                ids
            })
        });
        let clients: Vec<_> = clients.collect();
        let postgres = control.postgres.as_ref().unwrap();
        for _ in 0..2 {
            reach("some are done", &done, done.load(Ordering::Relaxed) + 10).await;
            let before = refused.load(Ordering::Relaxed);
            postgres.stop();
            reach("clients are told so", &refused, before + 1).await;
            postgres.resume().await;
        }
        reach("some are done again", &done, done.load(Ordering::Relaxed) + 10).await;
        is_over.store(true, Ordering::Relaxed);
        let ids: Vec<String> = join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each name has a connection of its own");
        let kept = postgres.psql("test0", "SELECT id FROM claims");
        let kept: BTreeSet<&str> = kept.lines().collect();
        assert_eq!(kept, ids.iter().map(String::as_str).collect(), "what was answered is there, and nothing else");
        let used = postgres.psql("test0", "SELECT used FROM usage_counters WHERE kind = 'connect'");
        assert_eq!(used, ids.len().to_string(), "and was counted once");
        // The worker has gone on as well.
        wait::until("the worker looks at them", async || {
            let unseen = postgres.psql("test0", "SELECT COUNT(*) FROM claims WHERE check_count = 0");
            (unseen == "0").then_some(())
        })
        .await;
        Arc::into_inner(control).unwrap().end().await;
    });
}
