//! `reseal`: the last step but one of changing the sealing key.

use std::process::ExitCode;

use clap::Args;
use control_plane::core::Core;

use super::output::{Format, Row};

#[derive(Debug, Args)]
pub(crate) struct Reseal {
    /// Change nothing; exit with 1 when a secret is sealed under another key than the first
    #[arg(long)]
    check: bool,
}

impl Reseal {
    pub(crate) async fn run(self, core: &Core, format: Format) -> anyhow::Result<ExitCode> {
        let resealed = match self.check {
            true => 0,
            false => core.reseal().await?,
        };
        let standing = core.sealing().await?;
        format.print_one(
            &Row::new()
                .and("resealed", &resealed)
                .and("current", &standing.current)
                .and("old", &standing.old)
                .and("unreadable", &standing.unreadable),
        );
        match standing.old + standing.unreadable {
            0 => Ok(ExitCode::SUCCESS),
            _ => Ok(ExitCode::FAILURE),
        }
    }
}
