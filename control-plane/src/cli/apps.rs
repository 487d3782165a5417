//! `apps`.

use clap::Subcommand;
use control_plane::core::{Application, ApplicationPatch, Core, NewApplication};

use super::{
    Whom,
    output::{Format, Row},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Apps {
    /// Show all, the newest first.
    List {
        #[command(flatten)]
        whom: Whom,
    },
    /// Show one.
    Show {
        /// Application id
        app: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make one.
    Create {
        /// Its name
        name: String,
        /// Where requests go when a connection does not say, as in `https://app.saas.example`
        #[arg(long)]
        origin: Option<String>,
        /// Send the customer's Host to the origin unless a connection says otherwise
        #[arg(long)]
        keep_host: bool,
        /// Make an account of this name for it
        #[arg(long, conflicts_with = "account")]
        new_account: Option<String>,
        #[command(flatten)]
        whom: Whom,
    },
    /// Change one. Connections that inherit its origin follow, and so do the edges.
    Update {
        /// Application id
        app: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Another default origin
        #[arg(long, conflicts_with = "no_origin")]
        origin: Option<String>,
        /// No default origin
        #[arg(long)]
        no_origin: bool,
        /// true or false: send the customer's Host to the origin
        #[arg(long)]
        keep_host: Option<bool>,
        #[command(flatten)]
        whom: Whom,
    },
}

impl Apps {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List { whom } => {
                let rows = core.applications(&whom.caller(core).await?, None, i64::MAX).await?;
                format.print(&rows.iter().map(shown).collect::<Vec<_>>());
            }
            Self::Show { app, whom } => {
                format.print_one(&shown(&core.application(&whom.caller(core).await?, &app).await?));
            }
            Self::Create { name, origin, keep_host, new_account, mut whom } => {
                if let Some(name) = new_account {
                    whom.account = Some(core.create_account(&name).await?.id);
                }
                let caller = whom.caller(core).await?;
                let defaults = NewApplication::default();
                let new = NewApplication { name, default_origin: origin, default_keep_host: keep_host, ..defaults };
                let mut tx = core.begin().await?;
                let made = core.create_application(&mut tx, &caller, new).await?;
                core.commit(tx).await?;
                format.print_one(&shown(&made));
            }
            Self::Update { app, name, origin, no_origin, keep_host, whom } => {
                let default_origin = if no_origin { Some(None) } else { origin.map(Some) };
                let patch = ApplicationPatch {
                    name,
                    default_origin,
                    default_keep_host: keep_host,
                    ..ApplicationPatch::default()
                };
                let changed = core.update_application(&whom.caller(core).await?, &app, patch).await?;
                format.print_one(&shown(&changed));
            }
        }
        Ok(())
    }
}

fn shown(application: &Application) -> Row {
    Row::new()
        .and("id", &application.id)
        .and("name", &application.name)
        .and("account", &application.account_id)
        .and("environment", &application.environment)
        .and("origin", &application.default_origin)
        .and("keep_host", &application.default_keep_host.0)
        .and("created_at", &application.created_at)
}
