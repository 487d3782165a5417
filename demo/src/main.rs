//! The demo SaaS alone: `demo [--listen 127.0.0.1:3000]`.

#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;

/// A small SaaS: tenant pages, and the endpoint that is asked about hostnames.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen } = Arguments::parse();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("demo SaaS on http://{listen}, asked at http://{listen}/ask?domain=");
    demo::serve(listener).await.context("the listener broke")
}
