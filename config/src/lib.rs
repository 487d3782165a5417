//! File and environment in, one validated [`EdgeConfig`] out, or every mistake at once.
//!
//! An [`EdgeConfig`] cannot be half-valid: whoever holds one need not check it again. This crate opens no sockets,
//! starts nothing and writes nothing; [`parse`] does not even look at the disk. It knows nothing of what the settings
//! do. `config.default.toml` beside this crate is the reference of every key.
//!
//! The walk reads TOML by hand instead of through serde, because serde stops at the first mistake.

mod edge_config;
mod mistake;

mod document;
mod section;
mod unknown;
mod value;

mod acme;
mod ask;
mod control;
mod limits;
mod listen;
mod log;
mod proxy;
mod storage;

mod choice;
mod disk;
mod quantity;
mod suggest;
mod web;

pub use acme::{Acme, Eab, IssuerKind};
pub use ask::Ask;
pub use control::Control;
pub use disk::{EabError, RootsError, read_roots};
pub use edge_config::{EdgeConfig, environment, keys, load, parse};
pub use limits::{LimitDoc, Limits};
pub use listen::Listen;
pub use log::{AccessLog, Log};
pub use mistake::{Mistake, Mistakes, Place};
pub use proxy::Proxy;
pub use storage::Storage;
