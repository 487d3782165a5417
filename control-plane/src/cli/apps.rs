//! `apps`.

use clap::Subcommand;
use control_plane::core::{Application, Core, NewApplication};
use serde_json::{Map, Value, json};

use super::{Whom, output::Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Apps {
    /// Show all
    List {
        #[command(flatten)]
        whom: Whom,
    },
    /// Make one
    Create {
        /// Its name
        name: String,
        /// Where requests go when a connection does not say
        #[arg(long)]
        origin: Option<String>,
        /// Make an account of this name for it
        #[arg(long, conflicts_with = "account")]
        new_account: Option<String>,
        #[command(flatten)]
        whom: Whom,
    },
}

impl Apps {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List { whom } => {
                let rows = core.applications(&whom.caller(core).await?, None, i64::MAX).await?;
                format.print(&rows.into_iter().map(row).collect::<Vec<_>>());
            }
            Self::Create { name, origin, new_account, mut whom } => {
                if let Some(name) = new_account {
                    whom.account = Some(core.create_account(&name).await?.id);
                }
                let caller = whom.caller(core).await?;
                let new = NewApplication { name, default_origin: origin, ..NewApplication::default() };
                let mut tx = core.begin().await?;
                let made = core.create_application(&mut tx, &caller, new).await?;
                core.commit(tx).await?;
                format.print(&[row(made)]);
            }
        }
        Ok(())
    }
}

fn row(application: Application) -> Map<String, Value> {
    let row = json!({
        "id": application.id, "name": application.name, "account": application.account_id,
        "environment": application.environment, "origin": application.default_origin,
        "created_at": application.created_at,
    });
    row.as_object().cloned().unwrap_or_default()
}
