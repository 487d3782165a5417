//! `namegate-edge`: the data plane of Namegate.
//!
//! Reads the command line, sets up what a process has one of (crypto provider, allocator, log), and hands over to
//! [`cli`].

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

/// For the C code of the crypto library too (the feature says so): a heap of its own would keep what a rush of handshakes
/// once needed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // What the kernel refuses of it is refused to every process here; there is nobody to tell yet.
    let _ = telemetry::keep_secrets();
    // Before anything of Pingora's: its constructors install ring when no provider stands, and the post-quantum key
    // exchange would be gone without a word. An error means that one stands already, which cannot be this early.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::Cli::parse().run()
}
