//! The records as customers type them.

use serde_json::{Value, json};
use test_support::{Bind, Key};

use crate::harness::{Control, TARGET};

const KEY: &str = "sk_test_demo";

async fn told(control: &Control, connection: &Value) -> Value {
    let path = format!("/v1/connections/{}/instructions", connection["id"].as_str().unwrap());
    let told = control.get(KEY, &path).await;
    assert_eq!(told.status, 200, "{told:?}");
    told.json()
}

fn fields(record: &Value) -> (&str, &str, &str, &str) {
    let text = |key: &str| record[key].as_str().unwrap();
    (text("purpose"), text("host"), text("type"), text("value"))
}

#[tokio::test]
async fn a_customer_is_told_what_to_type_in_the_words_of_their_provider() {
    let key = |name: &str| Key { name: name.to_owned(), secret: "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=".to_owned() };
    let bind = Bind::start("customer.com", &key("writer"), &key("reader")).await;
    bind.update(
        "update add customer.com. 60 NS dns200.anycast.me.\nupdate add customer.com. 60 NS ns200.anycast.me.\n\
         update delete customer.com. NS ns.elsewhere.example.\nupdate add shop.customer.com. 60 A 198.51.100.9\n\
         update add shop.customer.com. 60 AAAA 2001:db8::9",
    );
    let control = Control::start_set(&[("NAMEGATE_CONTROL__DNS__RESOLVERS", &bind.address().to_string())]).await;
    let app = control.application().await;
    let made = control.connect(&app, "shop.customer.com").await;
    let told = told(&control, &made).await;
    assert_eq!(told["provider"], json!({"key": "ovh", "name": "OVHcloud"}));
    assert_eq!(
        (&told["zone"], &told["where"]),
        (&json!("customer.com"), &json!("Web Cloud > Domain names > the domain > DNS zone > Add an entry"))
    );
    let [challenge, cname] = told["records"].as_array().unwrap().as_slice() else { panic!("{told}") };
    let value = made["ownership_challenge"]["value"].as_str().unwrap();
    assert_eq!(fields(challenge), ("ownership", "_customdomain-challenge.shop", "TXT", value));
    assert_eq!(
        fields(cname),
        ("routing", "shop", "CNAME", format!("{TARGET}.").as_str()),
        "with the dot that this form wants"
    );
    assert_eq!(cname["full_host"], "shop.customer.com");
    let old = |kind: &str, value: &str| json!({"host": "shop", "full_host": "shop.customer.com", "type": kind, "value": value});
    assert_eq!(told["remove"], json!([old("A", "198.51.100.9"), old("AAAA", "2001:db8::9")]));
    assert!(told["notes"].to_string().contains("MX"), "{told}");
    let (stranger, _) = control.stranger().await;
    let path = format!("/v1/connections/{}/instructions", made["id"].as_str().unwrap());
    assert_eq!(control.get(&stranger, &path).await.status, 404);
    control.end().await;
}

#[tokio::test]
async fn where_nobody_knows_the_provider_the_form_is_that_of_most() {
    let control = Control::start_set(&[]).await;
    let app = control.application().await;
    let made = control.connect(&app, "customer.com").await;
    control.dns().set_cname("customer.com", "old.elsewhere.test").await;
    let told = told(&control, &made).await;
    assert_eq!(told["provider"], Value::Null);
    let [challenge, address] = told["records"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(challenge["host"], "_customdomain-challenge");
    assert_eq!(fields(address), ("routing", "@", "A", control.edge_address().to_string().as_str()));
    assert_eq!(told["remove"][0]["type"], "CNAME", "{told}");
    control.dns().servfail("customer.com").await;
    assert_eq!(
        self::told(&control, &made).await["remove"],
        Value::Null,
        "what could not be told is not said to be fine"
    );
    control.end().await;
}
