//! Keys.

use control_plane::core::{Caller, CoreError, NewKey, Scope};

use crate::harness::on_both;

#[test]
fn a_revoked_key_is_refused_at_once_and_a_key_never_grants_what_it_lacks() {
    on_both(|bench| async move {
        let tenant = bench.tenant("a").await;
        let core = &bench.core;
        let make = async |caller: &Caller, scopes: &[Scope]| {
            let mut tx = core.begin().await.unwrap();
            let new = NewKey { name: "k".to_owned(), scopes: scopes.to_vec() };
            let made = core.create_key(&mut tx, caller, &tenant.application.id, new).await?;
            core.commit(tx).await?;
            Ok::<_, CoreError>(made)
        };
        let made = make(&tenant.caller, &[Scope::AppsAdmin, Scope::ConnectionsRead]).await.unwrap();
        assert!(!format!("{made:?}").contains(made.expose()));
        let caller = core.authenticate(made.expose()).await.unwrap();
        assert_eq!(caller.scopes, [Scope::AppsAdmin, Scope::ConnectionsRead]);
        let refused = make(&caller, &[Scope::ConnectionsWrite]).await;
        assert!(matches!(refused, Err(CoreError::LacksScope { scope: Scope::ConnectionsWrite })));
        assert!(matches!(make(&caller, &[]).await, Err(CoreError::Invalid { .. })));
        let reader = make(&caller, &[Scope::ConnectionsRead]).await.unwrap();
        let reader = core.authenticate(reader.expose()).await.unwrap();
        assert!(matches!(make(&reader, &[Scope::ConnectionsRead]).await, Err(CoreError::LacksScope { .. })));

        core.revoke_key(&tenant.caller, &tenant.application.id, &made.key.id).await.unwrap();
        assert!(matches!(core.authenticate(made.expose()).await, Err(CoreError::Unauthorized)));
        assert!(matches!(core.authenticate("sk_test_demo").await, Err(CoreError::Unauthorized)));
    });
}
