//! The TXT token.

use dns::{
    Reason,
    check::{Ownership, check_ownership},
    merge::Verdict,
};

use crate::{
    authority::Fault,
    scene::{Scene, owner},
};

const NAME: &str = "_customdomain-challenge.shop.customer.test";
const TOKEN: &str = "cd-verify-AbC123";

async fn check(scene: &Scene) -> Ownership {
    check_ownership(&scene.resolvers, &owner(NAME), TOKEN).await
}

#[tokio::test]
async fn the_token_is_found_among_other_records_and_in_pieces() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.txt(NAME, &["v=spf1 -all"]).txt(NAME, &["cd-ver", "ify-", "AbC123"]));
    assert!(check(&scene).await.is_proven());
}

#[tokio::test]
async fn a_token_must_be_exact() {
    for value in ["cd-verify-abc123", "cd-verify-AbC1234", " cd-verify-AbC123", "\"cd-verify-AbC123\"", ""] {
        let scene = Scene::without_authority().await;
        scene.everywhere(|server| _ = server.txt(NAME, &[value]));
        let seen = check(&scene).await;
        assert_eq!(seen.state, Verdict::Absent, "{value:?}");
        assert_eq!(seen.observed_value.as_deref(), Some(value).filter(|value| !value.is_empty()));
    }
}

#[tokio::test]
async fn a_wildcard_that_answers_everything_proves_nothing() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.txt("*.customer.test", &["anything"]));
    let seen = check(&scene).await;
    assert_eq!((seen.state, seen.observed_value.as_deref()), (Verdict::Absent, Some("anything")));
}

#[tokio::test]
async fn a_token_behind_an_alias_counts() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(NAME, "tokens.other.test"));
    scene.recursive.iter().for_each(|server| _ = server.txt("tokens.other.test", &[TOKEN]));
    assert!(check(&scene).await.is_proven());
}

#[tokio::test]
async fn an_alias_that_nobody_can_follow_is_not_an_absence() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.cname(NAME, "t.other.test").fault("t.other.test", Fault::ServFail));
    scene.recursive.iter().for_each(|server| _ = server.fault(NAME, Fault::ServFail));
    assert_eq!(check(&scene).await.state, Verdict::Indeterminate(Reason::ServFail));
}

#[tokio::test]
async fn silence_proves_nothing_and_refutes_nothing() {
    let scene = Scene::new().await;
    scene.everywhere(|server| _ = server.fault(NAME, Fault::Silence));
    let seen = check(&scene).await;
    assert!(!seen.is_proven());
    assert_eq!(seen.state, Verdict::Indeterminate(Reason::Timeout));
}
