//! `account rollover`: a new key for the ACME account of a running edge (RFC 8555 section 7.3.5).

use http::StatusCode;
use test_support::{Kind, PebbleOptions};

use crate::{
    keeps_keys_sealed::{KEY, key_file},
    stack::Issuing,
};

impl Issuing {
    /// The account's key as it is kept.
    fn account_key(&self) -> String {
        let users = self.edge.storage().join("acme");
        let issuer = std::fs::read_dir(users).unwrap().next().unwrap().unwrap().path();
        let user = std::fs::read_dir(issuer.join("users")).unwrap().next().unwrap().unwrap().path();
        let files = std::fs::read_dir(user).unwrap().map(|entry| entry.unwrap().path());
        let key = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "key"));
        std::fs::read_to_string(key.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_running_edge_changes_its_account_key_and_goes_on_with_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Issuing::start_with(&key_file(folder.path(), KEY), PebbleOptions::default()).await;
    let rollover = async |stack: &Issuing| -> serde_json::Value {
        let said = stack.edge.command(&["account", "rollover", "--format", "json"]).await;
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    };
    assert_eq!(rollover(&stack).await["accounts"][0]["outcome"], "none", "nothing was ordered yet");
    assert_eq!(stack.get("before.test", "/").await.unwrap().status(), StatusCode::OK);
    let old = stack.account_key();
    let changed = rollover(&stack).await;
    assert_eq!(changed["accounts"][0]["outcome"], "changed", "{changed:#}");
    assert_ne!(stack.account_key(), old);
    assert_eq!(stack.get("after.test", "/").await.unwrap().status(), StatusCode::OK);
    stack.edge.restart().await;
    assert_eq!(stack.get("restarted.test", "/").await.unwrap().status(), StatusCode::OK);
    assert_eq!((stack.proxy.accepted(Kind::KeyChange), stack.proxy.accepted(Kind::NewAccount)), (1, 1));
}

#[tokio::test]
async fn killed_on_either_side_of_the_cas_answer_the_next_start_orders_with_the_key_that_it_knows() {
    for before_the_ca in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut stack = Issuing::start_with(&key_file(folder.path(), KEY), PebbleOptions::default()).await;
        assert_eq!(stack.get("before.test", "/").await.unwrap().status(), StatusCode::OK);
        let old = stack.account_key();
        match before_the_ca {
            true => stack.proxy.hold(Kind::KeyChange),
            false => stack.proxy.hold_answer(Kind::KeyChange),
        }
        tokio::select! {
            _ = stack.edge.command(&["account", "rollover"]) => panic!("it is held"),
            () = stack.proxy.reached(Kind::KeyChange), if before_the_ca => {}
            () = stack.proxy.answer_reached(Kind::KeyChange), if !before_the_ca => {}
        }
        stack.edge.kill9();
        assert_eq!(stack.account_key(), old, "nothing takes the old key's place before the CA has answered");
        stack.proxy.clear(Kind::KeyChange);
        stack.edge.restart().await;
        assert_eq!(stack.get("after.test", "/").await.unwrap().status(), StatusCode::OK);
        assert_ne!(stack.account_key(), old);
        assert_eq!(stack.proxy.accepted(Kind::NewAccount), 1);
        assert!(!stack.edge.log().contains("PRIVATE KEY"));
    }
}

#[tokio::test]
async fn a_ca_that_refuses_is_told_of_with_a_code() {
    let stack = Issuing::start().await;
    assert_eq!(stack.get("before.test", "/").await.unwrap().status(), StatusCode::OK);
    let no = test_support::Answer::problem(403, "unauthorized", "not today");
    stack.proxy.answer(Kind::KeyChange, no);
    let said = stack.edge.command(&["account", "rollover", "--format", "json"]).await;
    let said: (i32, serde_json::Value) = (said.code, serde_json::from_str(&said.stdout).unwrap());
    assert_eq!((said.0, &said.1["accounts"][0]["code"]), (1, &"refused".into()), "{:#}", said.1);
    assert_eq!(stack.get("after.test", "/").await.unwrap().status(), StatusCode::OK);
}
