//! Certificates and keys belong to the tenant that they were ordered for, and go with it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;
use serde_json::{Value, json};
use test_support::{ControlProcess, client::http as http_client, wait};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::stack::controlled::{Controlled, path, publish};

const NAME: &str = "shop.customer.com";

impl Controlled {
    /// The public key that a new visitor is shown.
    async fn public_key(&self) -> Vec<u8> {
        let visit = self.client().visit(self.edge.https(), NAME).await.unwrap();
        let (_, leaf) = X509Certificate::from_der(visit.leaf()).unwrap();
        leaf.public_key().raw.to_vec()
    }

    /// The private key that the store holds for the name.
    fn private_key(&self) -> String {
        let keys = files(&self.edge.storage().join("certificates"));
        let key = keys.iter().find(|file| file.ends_with(format!("{NAME}.key"))).expect("a key must be stored");
        fs::read_to_string(key).unwrap()
    }

    /// Whether any file of the edge's holds a private key, whatever its form.
    fn holds(&self, key: &str) -> bool {
        let secret = key.lines().nth(1).unwrap().as_bytes();
        let holds = |file: &PathBuf| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(secret.len()).any(|part| part == secret)
        };
        files(&self.edge.storage()).iter().any(holds)
    }

    async fn until_forgotten(&self, key: &str) {
        let forgotten = async || (!self.holds(key)).then_some(());
        wait::within(Duration::from_secs(60), forgotten)
            .await
            .expect("the former tenant's key must be gone in a minute");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_name_that_moves_to_another_tenant_gets_a_new_key_and_the_old_one_is_nowhere() {
    let mut stack = Controlled::start().await;
    let first = stack.live(NAME).await;
    let (shown, key) = (stack.public_key().await, stack.private_key());
    assert!(stack.holds(&key), "the test must find what is there");

    // The same tenant comes back: the same key, and no order.
    stack.delete(&first).await;
    stack.until_refused(NAME).await;
    let again = stack.live(NAME).await;
    assert_eq!((stack.public_key().await == shown, stack.orders(NAME)), (true, 1));

    // Another one comes.
    stack.delete(&again).await;
    stack.until_refused(NAME).await;
    let another = stack.another_application().await;
    stack.turn_to(another);
    stack.live(NAME).await;
    let new = stack.public_key().await;
    assert_ne!(new, shown);
    stack.until_forgotten(&key).await;
    assert_eq!(stack.orders(NAME), 2, "exactly one more");
    let removed = "namegate_edge_certificate_removed_total{reason=\"moved\"}";
    assert_eq!(stack.edge.metric(removed).await, 1.0);
    stack.edge.restart().await;
    assert_eq!((stack.public_key().await == new, stack.orders(NAME)), (true, 2), "it is the new one's now");
}

#[tokio::test]
async fn a_name_that_moves_while_the_edge_is_away_is_not_served_with_the_former_key() {
    let mut stack = Controlled::start().await;
    let first = stack.live(NAME).await;
    let (shown, key) = (stack.public_key().await, stack.private_key());
    assert!(stack.edge.terminate().await.success());
    stack.delete(&first).await;
    let another = stack.another_application().await;
    stack.turn_to(another);
    stack.point(NAME).await;
    stack.edge.restart().await;
    stack.until_forgotten(&key).await;
    wait::until("the new tenant is served", async || {
        let answer = stack.get(NAME).await.ok()?;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    assert_ne!(stack.public_key().await, shown);
    assert_eq!(stack.orders(NAME), 2);
}

#[tokio::test]
async fn a_takeover_changes_the_key_and_ends_what_stands_under_the_former_one() {
    let stack = Controlled::start().await;
    let first = stack.live(NAME).await;
    let (shown, key) = (stack.public_key().await, stack.private_key());
    let mut standing = stack.open(NAME, "h2").await;
    assert_eq!(standing.get(NAME, "/").await.unwrap().status(), StatusCode::OK);

    // An account of somebody else's, with a proof in the zone that the first one no longer has.
    let rival = Rival::join(&stack.control).await;
    let body = json!({
        "application_id": rival.application, "hostname": NAME, "origin": stack.origin.url(), "takeover": true
    });
    let (status, made) = rival.send(&stack.control, "POST", "/v1/connections", &body).await;
    assert_eq!(status, 201, "{made}");
    let challenge = first["ownership_challenge"]["name"].as_str().unwrap();
    stack.pebble.dns().clear(challenge).await;
    publish(stack.pebble.dns(), &made).await;
    let verify = format!("{}/verify", path(&made));
    wait::until("the name is the rival's", async || {
        let (_, told) = rival.send(&stack.control, "POST", &verify, &Value::Null).await;
        told["verified_at"].is_string().then_some(())
    })
    .await;

    stack.until_forgotten(&key).await;
    wait::until("the rival is served", async || {
        let answer = stack.get(NAME).await.ok()?;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    assert_ne!(stack.public_key().await, shown);
    assert_eq!(stack.orders(NAME), 2);
    let answer = standing.get(NAME, "/").await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "nothing goes on under the former key");
}

/// Another account with an application and a key.
struct Rival {
    application: String,
    key: String,
}

impl Rival {
    async fn join(control: &ControlProcess) -> Self {
        let made = json_of(control, &["apps", "create", "Rival", "--new-account", "Rival"]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (application, account) = (text(&made["id"]), text(&made["account"]));
        let scopes = ["--scope", "connections:write", "--scope", "connections:read"];
        let key = [&["keys", "create", &application, "Key", "--account", &account], scopes.as_slice()].concat();
        Self { key: text(&json_of(control, &key).await["secret"]), application }
    }

    async fn send(&self, control: &ControlProcess, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let content = if body.is_null() { String::new() } else { body.to_string() };
        let url = format!("{}{path}", control.url());
        let answer = http_client::send_with_key(method, &url, &self.key, content).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }
}

async fn json_of(control: &ControlProcess, args: &[&str]) -> Value {
    let output = control.output(&[args, &["--format", "json"]].concat()).await;
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", output.stderr))
}
