//! Account key rollover.

use std::{fs, path::Path, sync::Arc, time::Duration};

use certs::{AcmeIssuer, IssueError, Issuer, RolloverError, Seal};
use sealing::Keyring;
use test_support::{Answer, Kind};

use crate::scene::{Scene, open_sealed, subject};

async fn issue(issuer: &dyn Issuer, host: &str) -> Result<(), IssueError> {
    issuer.issue(&subject(host), None, None, &|_| ()).await.map(drop)
}

fn account_key(folder: &Path, issuer: &AcmeIssuer) -> String {
    let file = folder.join(format!("acme/{}/users/ops@example.com/ops.key", issuer.key()));
    fs::read_to_string(file).unwrap()
}

fn is_pending(folder: &Path, issuer: &AcmeIssuer) -> bool {
    folder.join(format!("namegate/accounts/{}/ops@example.com/next.json", issuer.key())).exists()
}

/// A scene with a key file, a registered account, and the store as it stood then.
async fn begin() -> (Scene, tempfile::TempDir, Seal) {
    let mut scene = Scene::start().await;
    let seal = Seal::parse(&Keyring::generate().unwrap()).unwrap();
    scene.store = open_sealed(scene.folder(), seal.clone());
    issue(&scene.issuer(), "first.customer.test").await.unwrap();
    let stolen = tempfile::tempdir().unwrap();
    copy(&scene.folder().join("acme"), &stolen.path().join("acme"));
    (scene, stolen, seal)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The CA refuses whoever has the key of before, and has one account still.
async fn assert_only_the_new_key_holds(mut scene: Scene, stolen: &tempfile::TempDir, seal: Seal) {
    assert!(!is_pending(scene.folder(), &scene.issuer()));
    issue(&scene.issuer(), "after-a-restart.customer.test").await.unwrap();
    scene.store = open_sealed(stolen.path(), seal);
    let refused = issue(&scene.issuer(), "thief.customer.test").await.unwrap_err();
    assert!(matches!(&refused, IssueError::Refused { kind, .. } if kind == "malformed"), "{refused}");
    assert_eq!(scene.proxy.accepted(Kind::NewAccount), 1);
    assert_eq!(scene.proxy.orders_for("thief.customer.test"), 0);
}

#[tokio::test]
async fn after_a_rollover_the_old_key_is_refused_and_orders_go_on_with_and_without_a_restart() {
    let (scene, stolen, seal) = begin().await;
    let issuer = scene.issuer();
    issue(&issuer, "before.customer.test").await.unwrap();
    let old = account_key(scene.folder(), &issuer);
    let account = issuer.roll_over().await.unwrap().expect("there is an account");
    assert!(account.starts_with("https://"), "{account}");
    let new = account_key(scene.folder(), &issuer);
    assert!(new != old && new.contains("NAMEGATE SEALED"), "{new}");
    issue(&issuer, "after.customer.test").await.unwrap();
    issuer.roll_over().await.unwrap().expect("and once more");
    assert_only_the_new_key_holds(scene, &stolen, seal).await;
}

#[tokio::test]
async fn without_an_account_there_is_nothing_to_change() {
    let scene = Scene::start().await;
    assert!(scene.issuer().roll_over().await.unwrap().is_none());
    assert_eq!(scene.proxy.count(Kind::KeyChange), 0);
}

#[tokio::test]
async fn an_order_in_flight_ends_before_the_key_changes_and_a_later_one_waits() {
    let (scene, stolen, seal) = begin().await;
    let issuer = Arc::new(scene.issuer());
    let order = |host: &'static str| {
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move { issue(&*issuer, host).await })
    };
    scene.proxy.hold(Kind::Challenge);
    let in_flight = order("in-flight.customer.test");
    scene.proxy.reached(Kind::Challenge).await;
    let rolling = Arc::clone(&issuer);
    let rollover = tokio::spawn(async move { rolling.roll_over().await });
    // Nothing tells of somebody who waits: this long is enough for one who does not.
    let told = tokio::time::timeout(Duration::from_millis(500), scene.proxy.until_accepted(Kind::KeyChange, 1)).await;
    assert!(told.is_err(), "the key was changed under an order in flight");
    let later = order("later.customer.test");
    scene.proxy.clear(Kind::Challenge);
    in_flight.await.unwrap().unwrap();
    rollover.await.unwrap().unwrap().expect("there is an account");
    later.await.unwrap().unwrap();
    assert_eq!(scene.proxy.orders_for("in-flight.customer.test"), 1);
    assert_only_the_new_key_holds(scene, &stolen, seal).await;
}

#[tokio::test]
async fn when_the_answer_is_lost_the_next_order_finds_out_which_key_the_ca_knows() {
    // Lost on its way there, or on its way back.
    for reached in [false, true] {
        let (scene, stolen, seal) = begin().await;
        let issuer = scene.issuer();
        match reached {
            true => scene.proxy.lose_answer(Kind::KeyChange),
            false => scene.proxy.cut(Kind::KeyChange),
        }
        let lost = issuer.roll_over().await.unwrap_err();
        assert_eq!(lost.code(), "unreachable", "{lost}");
        assert!(is_pending(scene.folder(), &issuer));
        scene.proxy.clear(Kind::KeyChange);
        issue(&issuer, "next.customer.test").await.unwrap();
        assert_eq!(scene.proxy.accepted(Kind::KeyChange), 1, "reached: {reached}");
        assert_only_the_new_key_holds(scene, &stolen, seal).await;
    }
}

#[tokio::test]
async fn a_rollover_that_was_dropped_anywhere_leaves_one_key_that_works() {
    for before in [true, false] {
        let (scene, stolen, seal) = begin().await;
        let issuer = scene.issuer();
        match before {
            true => scene.proxy.hold(Kind::KeyChange),
            false => scene.proxy.hold_answer(Kind::KeyChange),
        }
        tokio::select! {
            _ = issuer.roll_over() => panic!("it is held"),
            () = scene.proxy.reached(Kind::KeyChange), if before => {}
            () = scene.proxy.answer_reached(Kind::KeyChange), if !before => {}
        }
        scene.proxy.clear(Kind::KeyChange);
        // The same process, which was asked by somebody who left.
        issue(&issuer, "next.customer.test").await.unwrap();
        assert_only_the_new_key_holds(scene, &stolen, seal).await;
    }
}

#[tokio::test]
async fn a_ca_that_says_no_keeps_the_old_key_and_no_other_is_left_behind() {
    let (scene, _stolen, _seal) = begin().await;
    let issuer = scene.issuer();
    let old = account_key(scene.folder(), &issuer);
    scene.proxy.answer_times(Kind::KeyChange, 1, Answer::problem(403, "unauthorized", "not today"));
    let refused = issuer.roll_over().await.unwrap_err();
    assert!(matches!(refused, RolloverError::Issue(IssueError::Refused { .. })), "{refused}");
    assert_eq!(account_key(scene.folder(), &issuer), old);
    assert!(!is_pending(scene.folder(), &issuer));
    issue(&issuer, "next.customer.test").await.unwrap();
}

#[tokio::test]
async fn another_process_on_the_same_store_takes_the_new_key_up() {
    let (scene, stolen, seal) = begin().await;
    let other = scene.issuer();
    issue(&other, "other.customer.test").await.unwrap();
    scene.issuer().roll_over().await.unwrap().expect("there is an account");
    issue(&other, "later.customer.test").await.unwrap();
    assert_only_the_new_key_holds(scene, &stolen, seal).await;
}

#[tokio::test]
async fn each_directory_has_an_account_with_a_key_of_its_own() {
    let production = Scene::start().await;
    let mut staging = Scene::start().await;
    staging.store = Arc::clone(&production.store);
    for scene in [&production, &staging] {
        issue(&scene.issuer(), "a.customer.test").await.unwrap();
        assert_eq!(scene.proxy.accepted(Kind::NewAccount), 1);
    }
    let key = |scene: &Scene| account_key(production.folder(), &scene.issuer());
    let (old, other) = (key(&production), key(&staging));
    assert_ne!(old, other);
    production.issuer().roll_over().await.unwrap().expect("there is an account");
    assert_ne!(key(&production), old);
    assert_eq!(key(&staging), other, "the other directory's key stays");
    issue(&staging.issuer(), "b.customer.test").await.unwrap();
}
