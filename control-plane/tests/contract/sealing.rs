//! Sealed secrets survive a change of the key.

use std::sync::Arc;

use control_plane::core::{Caller, Core, Environment, Keyring, NewEndpoint, Sealing, Surface};

use crate::harness::{Bench, on_both};

/// A second process on the same database with another key file.
fn beside(bench: &Bench, keys: &str) -> Core {
    let keyring = Keyring::parse(keys).unwrap();
    Core::new(bench.core.db().clone(), Arc::new(bench.clock.clone()), bench.core.settings().clone(), Some(keyring))
}

/// Seven endpoints, the last one with a former secret beside its own: eight sealed values. Answers the last one and its
/// two secrets.
async fn endpoints(core: &Core, bench: &Bench) -> (String, [String; 2]) {
    let tenant = bench.tenant("Sealer").await;
    let mut tx = core.begin().await.unwrap();
    let mut last = None;
    for n in 0..7 {
        let new = NewEndpoint { url: format!("https://hooks.example.com/{n}"), events: Vec::new() };
        last = Some(core.create_endpoint(&mut tx, &tenant.caller, new).await.unwrap());
    }
    core.commit(tx).await.unwrap();
    let (endpoint, former) = last.unwrap();
    let (_, current) = core.rotate_signing_secret(&tenant.caller, &endpoint.id).await.unwrap();
    (tenant.caller.account_id, [current, former])
}

/// The secrets of the newest endpoint, opened.
async fn opened(core: &Core, account: &str) -> [String; 2] {
    let caller = Caller::operator(account, Environment::Test, Surface::ConnectDomain);
    let endpoints = core.endpoints(&caller, None, 1).await.unwrap();
    let secrets = core.signing_secrets(&endpoints[0]).unwrap();
    [secrets.current, secrets.former.unwrap()]
}

#[test]
fn secrets_are_sealed_anew_while_both_keys_open_and_then_the_old_key_may_go() {
    on_both(|bench| async move {
        let (old, new) = (Keyring::generate().unwrap(), Keyring::generate().unwrap());
        let before = beside(&bench, &old);
        let (account, secrets) = endpoints(&before, &bench).await;
        let during = beside(&bench, &format!("{new}{old}"));
        assert_eq!(during.sealing().await.unwrap(), Sealing { current: 0, old: 8, unreadable: 0 });
        assert_eq!(during.reseal().await.unwrap(), 8);
        assert_eq!(during.reseal().await.unwrap(), 0);
        assert_eq!(during.sealing().await.unwrap(), Sealing { current: 8, old: 0, unreadable: 0 });
        let after = beside(&bench, &new);
        assert_eq!(after.sealing().await.unwrap(), Sealing { current: 8, old: 0, unreadable: 0 });
        assert_eq!(opened(&after, &account).await, secrets);
        // Whoever still has the old key alone cannot read them, and changes nothing.
        assert_eq!(before.sealing().await.unwrap(), Sealing { current: 0, old: 0, unreadable: 8 });
        assert_eq!(before.reseal().await.unwrap(), 0);
        assert_eq!(after.sealing().await.unwrap().current, 8);
    });
}
