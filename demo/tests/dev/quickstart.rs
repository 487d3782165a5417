//! The quickstart that this product was asked for with, word for word (`quickstart.txt`), on both databases.

use test_support::Postgres;

use crate::{
    harness::Dev,
    reader::{self, Reader},
    receiver::Receiver,
};

/// The document as it came: nothing in it may be changed.
const DOCUMENT: &str = include_str!("quickstart.txt");

#[tokio::test]
async fn the_quickstart_works_word_for_word_on_sqlite() {
    follow(&Dev::start(&[], &[]).await).await;
}

#[tokio::test]
async fn the_quickstart_works_word_for_word_on_postgresql() {
    let postgres = Postgres::start().await;
    follow(&Dev::start(&[], &[("DATABASE_URL", &postgres.create_database())]).await).await;
}

async fn follow(dev: &Dev) {
    let commands = reader::commands(DOCUMENT, |line| line.starts_with("curl "));
    let [application, key, connection, verify, check] = &commands[..] else { panic!("{commands:#?}") };
    let mut reader = Reader::at(dev).await;
    let receiver = Receiver::start().await;
    let secret = subscribe(&mut reader, &receiver).await;

    reader.types(application).await;
    let made = json(&reader.types(key).await);
    assert_eq!(made["scopes"], serde_json::json!(["connections:read", "connections:write"]));
    let made = json(&reader.types(connection).await);
    assert_eq!(made["state"], "pending_ownership");
    assert_eq!(made["jobId"], made["id"]);
    let challenge = &made["ownership_challenge"];
    assert_eq!(
        (&challenge["name"], &challenge["type"]),
        (&"_customdomain-challenge.app.customer.com".into(), &"TXT".into())
    );
    assert!(challenge["value"].as_str().unwrap().starts_with("cd-verify-"), "{challenge}");

    reader.types("scripts/dev-dns app.customer.com").await;
    let verified = json(&reader.types(verify).await);
    assert_ne!(verified["state"], "pending_ownership", "{verified}");
    let checked = json(&reader.types(check).await);
    assert_eq!(checked["records"][0]["propagated"], true, "{checked}");

    let page = reader.types(&visit(dev)).await;
    assert!(page.contains("<td>app.customer.com</td>"), "{page}");
    let live = reader.sees_it_live().await;
    assert_eq!(live["certificate"]["status"], "valid", "{live}");
    let told = receiver.types("app.customer.com", 3, &secret).await;
    assert_eq!(told, ["domain.verified", "ssl.issued", "domain.flow.completed"]);
    assert_eq!(events(&mut reader).await, told, "the outbox has nothing else of this name");
}

async fn subscribe(reader: &mut Reader, receiver: &Receiver) -> String {
    let body = format!(r#"{{"url":"{}"}}"#, receiver.url);
    let command =
        format!("curl localhost:8080/v1/webhook-endpoints -H 'Authorization: Bearer sk_test_demo' -d '{body}'");
    let made = json(&reader.types(&command).await);
    made["signing_secret"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn events(reader: &mut Reader) -> Vec<String> {
    let command = "curl localhost:8080/v1/events?limit=100 -H 'Authorization: Bearer sk_test_demo'";
    let events = json(&reader.types(command).await);
    let events = events["data"].as_array().unwrap().iter().filter(|event| event["hostname"] == "app.customer.com");
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn visit(dev: &Dev) -> String {
    dev.printed_commands().pop().unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
