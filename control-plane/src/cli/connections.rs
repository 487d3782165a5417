//! `connections`.

use clap::Subcommand;
use control_plane::{
    core::{Connection, ConnectionFilter, Core, Reason},
    surfaces::connect_domain::state_word,
};
use serde_json::{Map, Value, json};

use super::{Whom, output::Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Connections {
    /// Show the newest
    List {
        /// Of this hostname alone
        #[arg(long)]
        hostname: Option<String>,
        /// How many
        #[arg(long, default_value_t = 100)]
        limit: i64,
        #[command(flatten)]
        whom: Whom,
    },
    /// Archive one: its gate closes at once
    Archive {
        /// Connection id
        id: String,
        #[command(flatten)]
        whom: Whom,
    },
}

impl Connections {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List { hostname, limit, whom } => {
                let hostname = hostname.as_deref().map(str::parse).transpose()?;
                let filter = ConnectionFilter { hostname, ..ConnectionFilter::default() };
                let found = core.connections(&whom.caller(core).await?, &filter, None, limit).await?;
                format.print(&found.iter().map(row).collect::<Vec<_>>());
            }
            Self::Archive { id, whom } => {
                let archived = core.archive_connection(&whom.caller(core).await?, &id).await?;
                format.print(&[row(&archived)]);
            }
        }
        Ok(())
    }
}

fn row(connection: &Connection) -> Map<String, Value> {
    let claim = &connection.claim;
    let row = json!({
        "id": claim.id, "hostname": claim.hostname, "state": state_word(claim),
        "why": connection.reason().map(Reason::message), "next_check_at": claim.next_check_at,
    });
    row.as_object().cloned().unwrap_or_default()
}
