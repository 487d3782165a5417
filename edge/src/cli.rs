//! The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 75 (`EX_TEMPFAIL`) a `run` that could not
//! start or go on although its configuration is valid, so that a supervisor should try again.

mod account;
mod certs;
mod explain;
mod reload;
mod run;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use config::{EdgeConfig, Mistakes};

/// What `sysexits.h` calls `EX_TEMPFAIL`.
const TEMPORARY_FAILURE: u8 = 75;

/// TLS for your customers' own hostnames: asks whether a name is verified, obtains its certificate, proxies its
/// requests.
#[derive(Debug, Parser)]
#[command(name = "namegate-edge", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = "/etc/namegate/edge.toml", env = "NAMEGATE_EDGE_CONFIG")]
    config: PathBuf,
    /// How results are printed; tables on a terminal and JSON elsewhere when not said.
    #[arg(long, global = true)]
    format: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Table,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve.
    Run {
        /// Take over the listening sockets of the running edge, which gives them up on QUIT.
        #[arg(long)]
        upgrade: bool,
    },
    /// Check the configuration and report every mistake at once.
    Validate,
    /// Have the running edge read its configuration again; it keeps the old one if the new one has mistakes.
    Reload,
    /// Look after the ACME account.
    Account {
        #[command(subcommand)]
        command: account::Command,
    },
    /// Look at kept certificates, or bring some from elsewhere.
    Certs {
        #[command(subcommand)]
        command: certs::Command,
    },
    /// Tell what would happen to a visitor of a hostname, and why; nothing is ordered or changed.
    Explain {
        /// The hostname, in any spelling.
        hostname: String,
    },
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let format = self.format.unwrap_or_else(default_format);
        match self.command {
            Command::Run { upgrade } => run::run(&self.config, upgrade),
            Command::Validate => validate(&self.config, format),
            Command::Reload => reload::reload(&self.config, format),
            Command::Account { command } => account::run(&self.config, &command, format),
            Command::Certs { command } => certs::run(&self.config, command, format),
            Command::Explain { hostname } => explain::explain(&self.config, &hostname, format),
        }
    }
}

fn default_format() -> Format {
    match std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        true => Format::Table,
        false => Format::Json,
    }
}

fn load(path: &std::path::Path) -> Result<EdgeConfig, Mistakes> {
    config::load(path, config::environment())
}

/// Loads the configuration for a command that needs it, or prints what is wrong with it.
fn load_or_print(path: &std::path::Path) -> Result<EdgeConfig, ExitCode> {
    load(path).map_err(|mistakes| {
        complain(mistakes);
        ExitCode::FAILURE
    })
}

fn validate(path: &std::path::Path, format: Format) -> ExitCode {
    match (load(path), format) {
        (Ok(_), Format::Table) => {
            say(format_args!("{}: valid", path.display()));
            ExitCode::SUCCESS
        }
        (Ok(_), Format::Json) => print_json(&serde_json::json!({ "valid": true, "mistakes": [] })),
        (Err(mistakes), Format::Table) => {
            complain(mistakes);
            ExitCode::FAILURE
        }
        (Err(mistakes), Format::Json) => {
            print_json(&serde_json::json!({ "valid": false, "mistakes": mistakes }));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard output; a closed pipe is the reader's decision, not an error.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on standard error.
fn complain(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            say(text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// What every command that asks or reads needs: the configuration and a runtime; mistakes are printed.
fn prepare(path: &std::path::Path) -> Result<(EdgeConfig, tokio::runtime::Runtime), ExitCode> {
    Ok((load_or_print(path)?, runtime()?))
}

/// A runtime for a command that asks one thing.
fn runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        complain(format_args!("the runtime cannot be started: {error}"));
        ExitCode::FAILURE
    })
}
