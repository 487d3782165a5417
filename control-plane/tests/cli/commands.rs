//! Accounts, applications, keys, connections.

use serde_json::{Value, json};

use crate::harness::Desk;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn desks() -> [Desk; 2] {
    [Desk::sqlite(), Desk::postgres().await]
}

#[tokio::test]
async fn an_operator_comes_from_an_empty_database_to_a_key_and_a_connection() {
    for desk in desks().await {
        assert!(desk.run(&["migrate"]).stdout.contains("the schema is up to date"));
        let account = desk.run(&["accounts", "create", "Acme"]).json();
        assert_eq!((text(&account["name"]), text(&account["plan"])), ("Acme", "enterprise"));
        let app = desk.run(&["apps", "create", "Sites", "--origin", "https://sites.acme.example"]).json();
        let app = text(&app["id"]).to_owned();
        assert_eq!(desk.run(&["apps", "list"]).json()[0]["origin"], "https://sites.acme.example");
        assert_eq!(desk.run(&["apps", "list", "--live"]).json(), Value::Array(Vec::new()));
        let changed =
            desk.run(&["apps", "update", &app, "--name", "Pages", "--no-origin", "--keep-host", "true"]).json();
        assert_eq!((&changed["name"], &changed["origin"]), (&"Pages".into(), &Value::Null));
        assert_eq!(desk.run(&["apps", "show", &app]).json(), changed);

        let made = desk.run(&["keys", "create", &app, "server", "--scope", "connections:read"]).json();
        let secret = text(&made["secret"]).to_owned();
        assert!(secret.starts_with("sk_test_"), "{made}");
        let listed = desk.run(&["keys", "list", &app]);
        assert!(!listed.stdout.contains(&secret), "a secret is shown once");
        let rotated = desk.run(&["keys", "rotate", &app, text(&made["id"])]).json();
        assert_eq!((&rotated["scopes"], &rotated["name"]), (&made["scopes"], &made["name"]));
        assert_ne!(rotated["secret"], made["secret"]);
        let revoked = desk.run(&["keys", "revoke", &app, text(&made["id"])]).json();
        assert!(revoked["revoked_at"].is_string(), "{revoked}");
        assert_eq!(desk.run(&["keys", "list", &app]).json().as_array().unwrap().len(), 2);

        let made = desk.run(&["connections", "create", &app, "Shop.Customer.com"]).json();
        let id = text(&made["id"]).to_owned();
        assert_eq!((text(&made["state"]), text(&made["hostname"])), ("pending_ownership", "shop.customer.com"));
        assert_eq!(made["challenge"]["name"], "_customdomain-challenge.shop.customer.com");
        assert_eq!(made["records"][0]["value"], "edge.saas.example");
        assert_eq!(desk.run(&["connections", "show", &id]).json(), made);
        assert_eq!(desk.run(&["connections", "list", "--hostname", "shop.customer.com"]).json()[0]["id"], *id);
        let twice = desk.run(&["connections", "create", &app, "shop.customer.com"]);
        assert_eq!(twice.code, 1);
        assert!(twice.stderr.contains("claimed already") && twice.stderr.contains("doctor"), "{twice:?}");
        assert_eq!(desk.run(&["connections", "archive", &id]).json()["state"], "archived");
        let plan = desk.run(&["accounts", "set-plan", text(&account["id"]), "free"]).json();
        assert_eq!(plan["plan"], "free");
    }
}

#[test]
fn names_to_look_at_are_listed_by_the_settings_as_they_are_now() {
    let desk = Desk::sqlite();
    let app = desk.run(&["apps", "create", "Sites", "--new-account", "Acme"]).json();
    let app = text(&app["id"]);
    let made = desk.run(&["connections", "create", app, "paypal-login.customer.com"]).json();
    assert_eq!(made["review"], json!([]), "no brand is listed yet");
    let archived = desk.run(&["connections", "create", app, "paypal.customer.com"]).json();
    desk.run(&["connections", "archive", text(&archived["id"])]);
    for hostname in ["xn--80ak6aa92e.com", "shop.customer.com"] {
        desk.run(&["connections", "create", app, hostname]);
    }
    let listed = |args: &[&str]| -> Vec<(String, Value)> {
        let rows = desk.run(&[&["connections", "list", "--review"][..], args].concat()).json();
        let row = |row: &Value| (text(&row["hostname"]).to_owned(), row["review"].clone());
        rows.as_array().unwrap().iter().map(row).collect()
    };
    let confusable = || ("xn--80ak6aa92e.com".to_owned(), json!(["confusable"]));
    assert_eq!(listed(&[]), [confusable()]);
    let settings = std::fs::read_to_string(desk.path("control.toml")).unwrap();
    desk.write("control.toml", &format!("{settings}[review]\nbrands = ['paypal.com']\n"));
    let brand = ("paypal-login.customer.com".to_owned(), json!(["brand"]));
    assert_eq!(listed(&[]), [confusable(), brand.clone()]);
    assert_eq!(listed(&["--limit", "1"]), [confusable()], "the newest");
    assert_eq!(listed(&["--hostname", &brand.0]), [brand]);
    assert_eq!(listed(&["--hostname", "shop.customer.com"]), []);
    let shown = desk.run(&["connections", "show", text(&made["id"]), "--format", "table"]);
    assert!(shown.stdout.lines().any(|line| line.split_whitespace().eq(["review", "brand"])), "{shown:?}");
    let archived = desk.run(&["connections", "archive", text(&made["id"])]).json();
    assert_eq!((&archived["state"], &archived["review"]), (&json!("archived"), &json!(["brand"])));
    assert_eq!(listed(&[]), [confusable()]);
}

#[test]
fn what_cannot_be_done_is_told_with_how_to_mend_it() {
    let desk = Desk::sqlite();
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["apps", "list"], 1, &["there is no account yet", "accounts create"]),
        (&["apps", "show", "nothing", "--account", "nobody"], 1, &["no such account", "hint:", "accounts list"]),
        (&["keys", "create", "app", "name", "--scope", "all"], 2, &["there is no such scope", "connections:read"]),
        (&["accounts", "set-plan", "nobody", "gold"], 2, &["gold"]),
        (&["connections", "list", "--limit", "0"], 2, &["1..=100000"]),
        (&["doctor", "not a name"], 1, &["error:"]),
        (&["aps"], 2, &["apps"]),
    ];
    for (args, code, parts) in cases {
        let left = desk.run(args);
        assert_eq!(left.code, *code, "{args:?}: {left:?}");
        for part in *parts {
            assert!(left.stderr.contains(part), "{args:?}: `{part}` is not in {left:?}");
        }
        assert_eq!(left.stdout, "", "{args:?}");
    }
    desk.run(&["accounts", "create", "One"]);
    let missing = desk.run(&["apps", "show", "nothing"]);
    assert!(missing.stderr.contains("no such application") && missing.stderr.contains("--live"), "{missing:?}");
    desk.run(&["accounts", "create", "Two"]);
    assert!(desk.run(&["apps", "list"]).stderr.contains("there are several accounts; name one with --account"));
}

#[test]
fn tables_are_for_people_and_a_reader_that_leaves_is_no_error() {
    let desk = Desk::sqlite();
    desk.run(&["accounts", "create", "Acme"]);
    let table = desk.run(&["accounts", "list", "--format", "table"]);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("ID") && lines[0].contains("PLAN"), "{table:?}");
    assert!(lines[1].contains("Acme"), "{table:?}");
    let mut gone = desk.here(&["accounts", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(gone.stdout.take());
    assert!(gone.wait().unwrap().success());
}

#[test]
fn every_command_explains_itself() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["doctor", "--help"],
        &["apps", "create", "--help"],
        &["keys", "create", "--help"],
        &["connections", "--help"],
        &["reseal", "--help"],
    ] {
        let output = Desk::command().args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: namegate-control"), "{args:?}");
    }
}
