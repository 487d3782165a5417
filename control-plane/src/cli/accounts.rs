//! `accounts`.

use clap::Subcommand;
use control_plane::core::{Account, Core, CoreError, Plan};

use super::output::{Format, Row};

#[derive(Debug, Subcommand)]
pub(crate) enum Accounts {
    /// Show all.
    List,
    /// Make one, on the plan of plans.default.
    Create {
        /// Its name
        name: String,
    },
    /// Put one on another plan.
    SetPlan {
        /// Account id
        account: String,
        /// enterprise, free, growth or pro
        plan: Plan,
    },
}

impl Accounts {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let accounts = core.accounts().await?;
                format.print(&accounts.iter().map(shown).collect::<Vec<_>>());
            }
            Self::Create { name } => format.print_one(&shown(&core.create_account(&name).await?)),
            Self::SetPlan { account, plan } => {
                core.set_plan(&account, plan).await?;
                let accounts = core.accounts().await?;
                let changed = accounts.iter().find(|found| found.id == account);
                format.print_one(&shown(changed.ok_or(CoreError::NotFound { what: "account" })?));
            }
        }
        Ok(())
    }
}

fn shown(account: &Account) -> Row {
    Row::new()
        .and("id", &account.id)
        .and("name", &account.name)
        .and("plan", &account.plan)
        .and("created_at", &account.created_at)
}
