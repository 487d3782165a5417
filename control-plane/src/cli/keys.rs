//! `keys`.

use anyhow::Context as _;
use clap::Subcommand;
use control_plane::core::{ApiKey, Core, NewKey, Scope, SealedKey};

use super::{
    Whom,
    output::{Format, Row},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Show the keys of an application, revoked ones too.
    List {
        /// Application id
        app: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make one; its secret is printed once and kept nowhere.
    Create {
        /// Application id
        app: String,
        /// Its name
        name: String,
        /// What it may do: apps:admin, connections:read, connections:write, usage:read, webhooks:write; can be repeated
        #[arg(long = "scope", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make a key like another one. The old one works until it is revoked.
    Rotate {
        /// Application id
        app: String,
        /// Key id
        key: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Revoke one; its next request is refused.
    Revoke {
        /// Application id
        app: String,
        /// Key id
        key: String,
        #[command(flatten)]
        whom: Whom,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    let all = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("there is no such scope; choose {}", all()))
}

impl Keys {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List { app, whom } => {
                let keys = core.keys(&whom.caller(core).await?, &app, None, i64::MAX).await?;
                format.print(&keys.iter().map(shown).collect::<Vec<_>>());
            }
            Self::Create { app, name, scopes, whom } => {
                let made = create(core, &whom, &app, NewKey { name, scopes }).await?;
                format.print_one(&with_secret(&made));
            }
            Self::Rotate { app, key, whom } => {
                let keys = core.keys(&whom.caller(core).await?, &app, None, i64::MAX).await?;
                let old = keys.into_iter().find(|found| found.id == key).with_context(|| {
                    format!("no such key; `namegate-control keys list {app}` shows those of the application")
                })?;
                let made = create(core, &whom, &app, NewKey { name: old.name, scopes: old.scopes.0 }).await?;
                format.print_one(&with_secret(&made));
            }
            Self::Revoke { app, key, whom } => {
                format.print_one(&shown(&core.revoke_key(&whom.caller(core).await?, &app, &key).await?));
            }
        }
        Ok(())
    }
}

async fn create(core: &Core, whom: &Whom, app: &str, new: NewKey) -> anyhow::Result<SealedKey> {
    let caller = whom.caller(core).await?;
    let mut tx = core.begin().await?;
    let made = core.create_key(&mut tx, &caller, app, new).await?;
    core.commit(tx).await?;
    Ok(made)
}

fn with_secret(made: &SealedKey) -> Row {
    shown(&made.key).with("secret", made.expose())
}

fn shown(key: &ApiKey) -> Row {
    Row::new()
        .and("id", &key.id)
        .and("name", &key.name)
        .and("key", &format!("{}…{}", key.prefix, key.last4))
        .and("scopes", &key.scopes)
        .and("created_at", &key.created_at)
        .and("last_used_at", &key.last_used_at)
        .and("revoked_at", &key.revoked_at)
}
