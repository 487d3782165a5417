//! `keys`.

use clap::Subcommand;
use control_plane::core::{ApiKey, Core, NewKey, Scope};
use serde_json::{Map, Value, json};

use super::{Whom, output::Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Show the keys of an application
    List {
        /// Application id
        app: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make one; its secret is printed once
    Create {
        /// Application id
        app: String,
        /// Its name
        name: String,
        /// What it may do, such as `connections:read`; can be repeated
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        #[command(flatten)]
        whom: Whom,
    },
    /// Revoke one; its next request is refused
    Revoke {
        /// Application id
        app: String,
        /// Key id
        key: String,
        #[command(flatten)]
        whom: Whom,
    },
}

impl Keys {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List { app, whom } => {
                let keys = core.keys(&whom.caller(core).await?, &app, None, i64::MAX).await?;
                format.print(&keys.into_iter().map(row).collect::<Vec<_>>());
            }
            Self::Create { app, name, scopes, whom } => {
                let caller = whom.caller(core).await?;
                let scopes = scopes.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<_, _>>()?;
                let mut tx = core.begin().await?;
                let made = core.create_key(&mut tx, &caller, &app, NewKey { name, scopes }).await?;
                core.commit(tx).await?;
                let mut row = row(made.key.clone());
                row.insert("secret".to_owned(), made.expose().into());
                format.print(&[row]);
            }
            Self::Revoke { app, key, whom } => {
                let revoked = core.revoke_key(&whom.caller(core).await?, &app, &key).await?;
                format.print(&[row(revoked)]);
            }
        }
        Ok(())
    }
}

fn row(key: ApiKey) -> Map<String, Value> {
    let row = json!({
        "id": key.id, "name": key.name, "key": format!("{}…{}", key.prefix, key.last4), "scopes": key.scopes,
        "last_used_at": key.last_used_at, "revoked_at": key.revoked_at,
    });
    row.as_object().cloned().unwrap_or_default()
}
