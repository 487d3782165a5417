//! `doctor`.

use std::{net::IpAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use clock::{Clock as _, SystemClock};
use control_plane::{
    doctor::{Check, Patient, Report, Roots, Status, examine, judge},
    process,
    settings::Settings,
};
use names::Hostname;
use prometheus::Registry;

use super::output::{Format, say, say_json};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The hostname, in any spelling
    hostname: String,
    /// Address of the edge, when edge.addresses does not say it; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    edge: Vec<IpAddr>,
    /// The edge's port for challenges and redirects
    #[arg(long, default_value_t = 80, value_name = "PORT")]
    http_port: u16,
    /// The edge's port for TLS
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    https_port: u16,
    /// PEM file of the roots to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Doctor {
    pub(crate) async fn run(self, settings: &Settings, format: Format) -> anyhow::Result<ExitCode> {
        let Self { hostname, edge, http_port, https_port, ca } = self;
        let patient = Patient { hostname: Hostname::parse(&hostname)?, edge, http_port, https_port };
        let roots = Roots::load(ca.as_deref())?;
        let checks = process::checks(settings, &Registry::new())?;
        // Without a database there is still much to see.
        let core = process::open_core_as_it_is(settings).await.map_err(|error| format!("{error:#}"));
        let core = core.as_ref().map_err(String::clone);
        let facts = Box::pin(examine(core, &checks, &roots, &patient, SystemClock.now())).await;
        let report = judge(&facts);
        match format {
            Format::Json => say_json(&report),
            Format::Table => say(sheet(&report).trim_end()),
        }
        Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn sheet(report: &Report) -> String {
    let word = if report.healthy { "healthy" } else { "not healthy" };
    let mut text = format!("{}: {word}, {}\n\n", report.hostname, report.at);
    report.checks.iter().for_each(|check| text.push_str(&lines(check)));
    if !report.next.is_empty() {
        text.push_str("\nWhat to do next\n");
        for (index, next) in report.next.iter().enumerate() {
            text.push_str(&format!("  {}. {next}\n", index + 1));
        }
    }
    text
}

fn lines(check: &Check) -> String {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Problem => "PROBLEM",
        Status::Skipped => "-",
        Status::Unknown => "UNKNOWN",
        Status::Warning => "warning",
    };
    let mut text = format!("{status:<8} {:<12} {}\n", check.name, check.summary);
    // What is right needs no witnesses; --format json has them all.
    if check.status != Status::Ok {
        check.details.iter().for_each(|detail| text.push_str(&format!("{:22}{detail}\n", "")));
    }
    text
}
