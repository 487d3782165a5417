//! `make dev`: a local CA with its DNS, the demo SaaS and the edge, in one terminal.
//!
//! Everything listens on loopback and keeps its state in `.dev/`, which is emptied at each start: Pebble forgets its
//! root when it ends, so certificates of an earlier run are worth nothing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a person at a terminal")]

mod ports;
mod stack;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use ports::Ports;
use stack::Stack;

// One thread, so that nothing outlives `main`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Ports::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(ports: Ports) -> anyhow::Result<()> {
    ports.check()?;
    let work = async {
        let mut stack = Box::pin(Stack::start(&ports)).await?;
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
