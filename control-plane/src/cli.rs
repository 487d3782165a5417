//! The command line. Each command opens the core that the settings name and calls what a surface would call.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this module is what talks to the terminal")]

mod apps;
mod connections;
mod keys;
mod output;
mod run;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use control_plane::{
    core::{Caller, Core, Environment, Keyring},
    process,
    settings::{Mode, Settings},
};

/// The control plane of Namegate: connections, DNS checks, the gate, webhooks.
#[derive(Debug, Parser)]
#[command(name = "namegate-control", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file; without it the environment alone counts.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Development: seeds `sk_test_demo`, allows private origins and targets, needs no secrets.
    #[arg(long, global = true)]
    dev: bool,
    /// How results are printed: a table on a terminal, JSON elsewhere.
    #[arg(long, global = true, value_enum)]
    format: Option<output::Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, answer edges, check DNS
    Run,
    /// Bring the database's schema up to date
    Migrate,
    /// Applications
    #[command(subcommand)]
    Apps(apps::Apps),
    /// API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Connections
    #[command(subcommand)]
    Connections(connections::Connections),
    /// Print a new line for the key file
    GenerateKey,
    /// Print the OpenAPI document
    Openapi,
}

impl Cli {
    /// Runs the command; 1 for a failure, as clap has 2 for a wrong call.
    pub(crate) fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("Error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn try_run(self) -> anyhow::Result<()> {
        let format = output::Format::or_default(self.global.format);
        match self.command {
            Command::GenerateKey => {
                print!("{}", Keyring::generate()?);
                return Ok(());
            }
            Command::Openapi => {
                println!("{}", control_plane::surfaces::connect_domain::openapi());
                return Ok(());
            }
            _ => {}
        }
        let mode = if self.global.dev { Mode::Development } else { Mode::Production };
        let settings = Settings::load(self.global.config.as_deref(), config::control_environment(), mode)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(async move {
            match self.command {
                Command::Run => run::run(settings).await,
                Command::Migrate => migrate(settings).await,
                Command::Apps(command) => command.run(&process::open_core(&settings).await?, format).await,
                Command::Keys(command) => command.run(&process::open_core(&settings).await?, format).await,
                Command::Connections(command) => command.run(&process::open_core(&settings).await?, format).await,
                Command::GenerateKey | Command::Openapi => Ok(()),
            }
        })
    }
}

async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let core = process::open_core(&Settings { migrate: true, ..settings }).await?;
    println!("{}: the schema is up to date", core.db().kind());
    core.db().close().await;
    Ok(())
}

/// For whom a command acts.
#[derive(Debug, Args)]
pub(crate) struct Whom {
    /// Account id; the only account when there is one.
    #[arg(long)]
    account: Option<String>,
    /// Live data instead of test data.
    #[arg(long)]
    live: bool,
}

impl Whom {
    async fn caller(&self, core: &Core) -> anyhow::Result<Caller> {
        let environment = if self.live { Environment::Live } else { Environment::Test };
        let accounts = core.accounts().await?;
        let account = match (&self.account, accounts.as_slice()) {
            (Some(id), all) => all.iter().find(|account| account.id == *id).context("no such account")?,
            (None, [only]) => only,
            (None, []) => anyhow::bail!("there is no account yet; make one with `apps create --new-account NAME`"),
            (None, _) => anyhow::bail!("there are several accounts; name one with --account"),
        };
        Ok(Caller::operator(&account.id, environment))
    }
}
