//! `namegate-control`: the record keeper of Namegate.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // What the kernel refuses of it is refused to every process here; there is nobody to tell yet.
    let _ = telemetry::keep_secrets();
    // sqlx and everything else that speaks TLS uses this one; an error means that one stands already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::Cli::parse().run()
}
