//! `namegate-edge account`: has the running edge, which alone may use it, do something with its ACME account.

use std::{path::Path, process::ExitCode, time::Duration};

use clap::Subcommand;

use super::{Format, complain, prepare, print_json, say};

/// For orders in flight to end, and a few requests to each CA.
const TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Give the account of each ACME directory a new key; its URL stays, and orders go on with the new key.
    Rollover,
}

pub(super) fn run(path: &Path, command: &Command, format: Format) -> ExitCode {
    let Command::Rollover = command;
    let (config, runtime) = match prepare(path) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let admin = config.listen.admin;
    let asked = edge::admin_client::ask_within(TIMEOUT, admin, http::Method::POST, "/account/rollover");
    match runtime.block_on(asked) {
        Ok((status, body)) => {
            match format {
                Format::Json => drop(print_json(&body)),
                Format::Table => print_rows(&body),
            }
            if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(format_args!("error: the edge on {admin} cannot be asked: {}", telemetry::chain(&error)));
            complain("hint: the running edge changes the key; start it with `namegate-edge run`");
            ExitCode::FAILURE
        }
    }
}

fn print_rows(body: &serde_json::Value) {
    let accounts = body.get("accounts").and_then(serde_json::Value::as_array);
    for row in accounts.into_iter().flatten() {
        let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let said = [text("account"), text("code"), text("problem")];
        let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
        say(format_args!("{:<8} {}  {}", text("outcome"), text("issuer"), said.join("  ")));
    }
}
