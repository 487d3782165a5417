//! `namegate-edge certs`: the store as it is, on disk or in the database, whether an edge runs or not.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use certs::{ImportReport, ImportSource, Leaf, Scanned, Skipped, Store, import};
use clap::{Subcommand, ValueEnum};
use clock::{Clock as _, SystemClock};
use edge::storage;
use names::Subject;
use prometheus::Registry;
use serde::Serialize;

use super::{Format, complain, prepare, print_json, say};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List every kept certificate.
    List,
    /// Show the certificate that is kept for a hostname or a wildcard.
    Show {
        /// The hostname in any spelling, or `*.` and one.
        hostname: String,
    },
    /// Bring certificates from another server's storage; what is there already is kept if it is newer.
    Import {
        /// Whose storage it is.
        #[arg(long)]
        from: From,
        /// Caddy: data directory or `caddy storage export` tar. certbot: /etc/letsencrypt/live. Traefik: acme.json.
        path: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    Caddy,
    Certbot,
    Traefik,
}

#[derive(Debug, Serialize)]
struct Row {
    hostname: String,
    issuer: String,
    not_before: String,
    not_after: String,
    valid: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    hostname: String,
    names: Vec<String>,
    issuer: String,
    serial: String,
    fingerprint_sha256: String,
    not_before: String,
    not_after: String,
    valid: bool,
}

pub(super) fn run(path: &Path, command: Command, format: Format) -> ExitCode {
    let (config, runtime) = match prepare(path) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let result = runtime.block_on(async {
        let store = storage::open(&config, &Registry::new()).await?.store;
        match command {
            Command::List => list(&*store, format).await,
            Command::Show { hostname } => show(&*store, &hostname, format).await,
            Command::Import { from, path } => bring(&*store, from, &path, format).await,
        }
    });
    result.unwrap_or_else(|error: Box<dyn std::error::Error>| {
        complain(format_args!("error: {}", telemetry::chain(error.as_ref())));
        ExitCode::FAILURE
    })
}

async fn list(store: &dyn Store, format: Format) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let now = SystemClock.now();
    let mut rows = Vec::new();
    let mut collect = |piece: Vec<Scanned>| {
        rows.extend(piece.into_iter().map(|found| Row {
            hostname: found.name.to_string(),
            issuer: found.issuer.to_string(),
            valid: found.not_before <= now && now < found.not_after,
            not_before: found.not_before.to_string(),
            not_after: found.not_after.to_string(),
        }));
        true
    };
    store.scan(&mut collect).await?;
    rows.sort_by(|a, b| (&a.hostname, &a.issuer).cmp(&(&b.hostname, &b.issuer)));
    if format == Format::Json {
        return Ok(print_json(&rows));
    }
    let width = rows.iter().map(|row| row.hostname.len()).max().unwrap_or(0).max("HOSTNAME".len());
    say(format_args!("{:<width$}  {:<20}  {:<5}  ISSUER", "HOSTNAME", "NOT AFTER", "VALID"));
    for row in &rows {
        let valid = if row.valid { "yes" } else { "no" };
        say(format_args!("{:<width$}  {:<20}  {valid:<5}  {}", row.hostname, row.not_after, row.issuer));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(store: &dyn Store, hostname: &str, format: Format) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let name = Subject::parse(hostname)?;
    let Some(bundle) = store.load(&name).await? else {
        complain(format_args!("error: no certificate is kept for {name}"));
        return Ok(ExitCode::FAILURE);
    };
    let leaf = Leaf::parse(&bundle)?;
    let shown = Shown {
        hostname: name.to_string(),
        names: leaf.names().map(str::to_owned).collect(),
        issuer: leaf.issuer().to_string(),
        serial: leaf.serial().to_owned(),
        fingerprint_sha256: leaf.fingerprint(),
        not_before: leaf.not_before().to_string(),
        not_after: leaf.not_after().to_string(),
        valid: leaf.is_valid_at(SystemClock.now()),
    };
    if format == Format::Json {
        return Ok(print_json(&shown));
    }
    let rows = [
        ("hostname", shown.hostname),
        ("names", shown.names.join(", ")),
        ("issuer", shown.issuer),
        ("serial", shown.serial),
        ("sha256", shown.fingerprint_sha256),
        ("not before", shown.not_before),
        ("not after", shown.not_after),
        ("valid", if shown.valid { "yes" } else { "no" }.to_owned()),
    ];
    for (key, value) in rows {
        say(format_args!("{key:<12} {value}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn bring(
    store: &dyn Store,
    from: From,
    path: &Path,
    format: Format,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let source = match from {
        From::Caddy => ImportSource::Caddy,
        From::Certbot => ImportSource::Certbot,
        From::Traefik => ImportSource::Traefik,
    };
    let report = import(source, path, store, SystemClock.now()).await?;
    match format {
        Format::Json => {
            let skipped =
                |skipped: &Skipped| serde_json::json!({ "entry": skipped.entry, "reason": skipped.reason.to_string() });
            let skipped: Vec<_> = report.skipped.iter().map(skipped).collect();
            Ok(print_json(&serde_json::json!({
                "imported": report.imported, "accounts": report.accounts, "skipped": skipped
            })))
        }
        Format::Table => {
            print_report(&report);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print_report(report: &ImportReport) {
    say(format_args!("{} imported, {} skipped", report.imported.len(), report.skipped.len()));
    for skipped in &report.skipped {
        say(format_args!("skipped {}: {}", skipped.entry, skipped.reason));
    }
}
