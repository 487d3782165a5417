//! The demo SaaS alone: `demo [--listen 127.0.0.1:3000]`.

#![expect(clippy::print_stdout, reason = "a program says where it listens")]

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use demo::Saas;
use tokio::net::TcpListener;

/// A small SaaS: its customers' pages, its webhooks, and the endpoint that an edge may ask about hostnames.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// What webhooks are signed with (`whsec_…`); without it none is believed.
    #[arg(long, env = "DEMO_SIGNING_SECRET", hide_env_values = true)]
    signing_secret: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, signing_secret } = Arguments::parse();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    println!("demo SaaS on http://{address}, asked at http://{address}/ask?domain=");
    let saas = Saas::new(address, None);
    signing_secret.iter().for_each(|secret| saas.trust(secret));
    saas.serve(listener).await.context("the listener broke")
}
