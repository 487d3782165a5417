//! `make dev`: control plane, edge, demo SaaS, a local CA and its DNS, in one terminal.
//!
//! Everything listens on loopback and keeps its state in `.dev/`, which is emptied at each start: Pebble forgets its
//! root when it ends, so certificates of an earlier run are worth nothing. With `DATABASE_URL` the rows are in
//! PostgreSQL, where they stay; the keys that seal secrets in them stay in `.dev/` too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

mod api;
mod dns;
mod folder;
mod ports;
mod seed;
mod stack;
mod summary;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use dns::DnsCommand;
use ports::Ports;
use stack::Stack;

/// Starts the whole product on loopback: control plane, edge, demo SaaS, ACME CA, DNS.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    ports: Ports,
    /// Start no control plane: the edge asks the demo SaaS.
    #[arg(long)]
    edge_only: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Plays the customer at their DNS provider, on the local DNS server of a running stack
    Dns(DnsCommand),
}

// One thread, so that nothing outlives `main`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Dns(command)) => command.run().await,
        None => Box::pin(run(arguments.ports, arguments.edge_only)).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(ports: Ports, edge_only: bool) -> anyhow::Result<()> {
    ports.check(edge_only)?;
    let work = async {
        let mut stack = Box::pin(Stack::start(&ports, edge_only)).await?;
        println!("{}", stack.summary());
        stack.watch().await
    };
    tokio::select! {
        // The signal first: Ctrl-C reaches the children too, and their end is then no news.
        biased;
        stopped = stop_signal() => stopped?,
        ended = work => ended?,
    }
    println!("\ndev: stopped");
    Ok(())
}

/// Ctrl-C, a closed terminal, or a plain `kill`.
async fn stop_signal() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
