//! The command line. Each command opens the core that the settings name and calls what a surface would call.
//!
//! Exit codes: 0 done, 1 refused or failed (for `doctor`: not healthy; for `reseal --check`: something is left to do),
//! 2 wrong usage, 75 (`EX_TEMPFAIL`) a `run` that could not start or go on although its settings are valid, so that a
//! supervisor should try again.

mod accounts;
mod apps;
mod connections;
mod doctor;
mod domain_connect;
mod keys;
mod output;
mod reseal;
mod run;
mod validate;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use control_plane::{
    core::{Caller, Core, CoreError, Environment, Keyring, NameRule, Surface},
    process,
    settings::{Mode, Settings, SettingsError},
};
use output::{Format, Row, complain, say};

/// What `sysexits.h` calls `EX_TEMPFAIL`.
const TEMPORARY_FAILURE: u8 = 75;

/// The control plane of Namegate: connections, DNS checks, the gate, webhooks.
#[derive(Debug, Parser)]
#[command(name = "namegate-control", version, max_term_width = 100)]
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
    #[arg(long, short, global = true, value_name = "FILE", env = "NAMEGATE_CONTROL_CONFIG")]
    config: Option<PathBuf>,
    /// Development: seeds `sk_test_demo`, allows private origins and targets, needs no secrets.
    #[arg(long, global = true)]
    dev: bool,
    /// How results are printed: a table on a terminal, JSON elsewhere when not said.
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, answer edges, check DNS, send webhooks.
    Run,
    /// Bring the database's schema up to date.
    Migrate,
    /// Check the settings and report every mistake at once.
    Validate,
    /// Accounts: who owns applications and connections.
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Applications: one product of an account, with what its connections inherit.
    #[command(subcommand)]
    Apps(apps::Apps),
    /// API keys of applications.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Connections: hostnames of customers.
    #[command(subcommand)]
    Connections(connections::Connections),
    /// Examine one hostname: DNS, CAA, gate, ports, certificate, and what to do next.
    ///
    /// Greets the edge as a visitor would, so that a name that may have a certificate and has none gets it ordered.
    /// Exits with 0 when everything is as it should be, else with 1.
    Doctor(doctor::Doctor),
    /// Domain Connect: what DNS providers need of us to write our records themselves.
    #[command(subcommand)]
    DomainConnect(domain_connect::DomainConnect),
    /// Print a new line for the file of sealing keys.
    GenerateKey,
    /// Seal every stored secret under the first key of the key file, while the control plane runs.
    Reseal(reseal::Reseal),
    /// Say that the database came from a backup and is meant, so that edges read everything anew.
    Restored,
    /// Print the OpenAPI document.
    Openapi,
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> ExitCode {
        self.try_run().unwrap_or_else(|error| {
            complain(format_args!("error: {}", telemetry::chain(error.as_ref())));
            if let Some(hint) = hint(&error) {
                complain(format_args!("hint: {hint}"));
            }
            ExitCode::FAILURE
        })
    }

    fn try_run(self) -> anyhow::Result<ExitCode> {
        let format = Format::or_default(self.global.format);
        let settings = match self.command {
            Command::GenerateKey => {
                say(Keyring::generate()?.trim_end());
                return Ok(ExitCode::SUCCESS);
            }
            Command::DomainConnect(domain_connect::DomainConnect::GenerateKey) => {
                say(dns::domain_connect::SigningKey::generate()?.trim_end());
                return Ok(ExitCode::SUCCESS);
            }
            Command::Openapi => {
                say(control_plane::surfaces::connect_domain::openapi());
                return Ok(ExitCode::SUCCESS);
            }
            Command::Validate => return Ok(validate::validate(self.global.load(), format)),
            _ => match self.global.load() {
                Ok(settings) => settings,
                Err(SettingsError::Mistakes(mistakes)) => {
                    complain(mistakes);
                    return Ok(ExitCode::FAILURE);
                }
                Err(error) => return Err(error.into()),
            },
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(Box::pin(self.command.execute(settings, format)))
    }
}

impl Global {
    fn load(&self) -> Result<Settings, SettingsError> {
        let mode = if self.dev { Mode::Development } else { Mode::Production };
        Settings::load(self.config.as_deref(), config::control_environment(), mode)
    }
}

impl Command {
    async fn execute(self, settings: Settings, format: Format) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run => return Ok(run::run(settings).await),
            Self::Doctor(command) => return command.run(&settings, format).await,
            Self::Reseal(command) => return command.run(&process::open_core(&settings).await?, format).await,
            Self::Migrate => migrate(settings).await?,
            Self::Restored => restored(&settings, format).await?,
            Self::Accounts(command) => command.run(&process::open_core(&settings).await?, format).await?,
            Self::Apps(command) => command.run(&process::open_core(&settings).await?, format).await?,
            Self::Keys(command) => command.run(&process::open_core(&settings).await?, format).await?,
            Self::Connections(command) => command.run(&settings, format).await?,
            Self::DomainConnect(command) => command.run(&settings, format)?,
            Self::GenerateKey | Self::Openapi | Self::Validate => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let core = process::open_core(&Settings { migrate: true, ..settings }).await?;
    say(format_args!("{}: the schema is up to date", core.db().kind()));
    core.db().close().await;
    Ok(())
}

async fn restored(settings: &Settings, format: Format) -> anyhow::Result<()> {
    let core = process::open_core(settings).await?;
    let until = core.resume_from_backup().await?;
    let epoch = core.feed_standing().await?.epoch;
    format.print_one(&Row::new().and("epoch", &epoch).and("confirmed_until", &until));
    core.db().close().await;
    Ok(())
}

/// How to mend what the core refused.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let core = error.chain().find_map(|cause| cause.downcast_ref::<CoreError>())?;
    Some(match core {
        CoreError::NotFound { what: "account" } => "`namegate-control accounts list` shows all",
        CoreError::NotFound { what: "application" } => {
            "`namegate-control apps list` shows those of test data; add --live for live data"
        }
        CoreError::NotFound { what: "key" } => "`namegate-control keys list APP` shows those of an application",
        CoreError::NotFound { .. } => {
            "`namegate-control connections list` shows those of test data; add --live for live data"
        }
        CoreError::HostnameConflict { .. } => {
            "`namegate-control doctor HOSTNAME` shows who has it; --takeover asks for a proof that beats theirs"
        }
        CoreError::NameRefused(NameRule::NotPublic | NameRule::ReservedLabel | NameRule::TooManyLabels) => {
            "if the edges' certificate authority is your own, set acme.public = false"
        }
        CoreError::NoKeyring => "set keys.file to a file with a line of `namegate-control generate-key`",
        CoreError::Db(_) => "check database.url (DATABASE_URL), and run `namegate-control migrate` once",
        _ => return None,
    })
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
            (Some(id), all) => {
                all.iter().find(|account| account.id == *id).ok_or(CoreError::NotFound { what: "account" })?
            }
            (None, [only]) => only,
            (None, []) => {
                anyhow::bail!("there is no account yet; make one with `namegate-control accounts create NAME`")
            }
            (None, _) => anyhow::bail!(
                "there are several accounts; name one with --account (`namegate-control accounts list` shows all)"
            ),
        };
        Ok(Caller::operator(&account.id, environment, Surface::ConnectDomain))
    }
}
