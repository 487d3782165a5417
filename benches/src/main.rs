//! `bench run` measures; `bench floor` is the floor as a server of its own.

use std::{fs, io::Write, net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use benches::{
    chart, floor, report,
    run::{self, Part, Settings},
};
use clap::{Args, Parser, Subcommand};

/// The edge uses the same; the floor is not to win or lose by its allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What one operation costs the edge, compared with other servers in the same minutes.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure everything and write the results.
    Run(Run),
    /// Serve as the floor: a relay that does nothing but TLS.
    Floor {
        /// Where to listen.
        listen: SocketAddr,
        /// Certificate chain, PEM.
        chain: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
        /// Where to relay to.
        origin: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// A smoke run of a few minutes; its figures mean little.
    #[arg(long)]
    quick: bool,
    /// The core servers run on; this program must be pinned to another.
    #[arg(long)]
    server_core: usize,
    /// The edge's release binary.
    #[arg(long)]
    edge: Option<PathBuf>,
    /// A Debian 13 folder with nginx, haproxy and caddy.
    #[arg(long)]
    trixie: Option<PathBuf>,
    /// The folder for what takes long to make.
    #[arg(long)]
    cache: PathBuf,
    /// Measure only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where to write the table.
    #[arg(long)]
    markdown: PathBuf,
    /// Where to write all figures.
    #[arg(long)]
    json: PathBuf,
    /// Where to write the chart.
    #[arg(long)]
    chart: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run(arguments) => measure(arguments).await,
        Command::Floor { listen, chain, key, origin } => {
            let read =
                |path: PathBuf| fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
            floor::serve(listen, &read(chain)?, &read(key)?, origin).await
        }
    }
}

async fn measure(arguments: Run) -> Result<()> {
    let Run { quick, server_core, edge, trixie, cache, only, markdown, json, chart } = arguments;
    let results = run::run(Settings { quick, server_core, edge, trixie, cache, only }).await?;
    writeln!(std::io::stdout(), "{}", report::summary(&results))?;
    write(&markdown, &report::markdown(&results))?;
    write(&json, &format!("{}\n", serde_json::to_string_pretty(&results)?))?;
    write(&chart, &chart::svg(&results))
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
