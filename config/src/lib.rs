//! File and environment in, one validated [`EdgeConfig`] or [`ControlConfig`] out, or every mistake at once.
//!
//! Neither can be half-valid: whoever holds one need not check it again. This crate opens no sockets, starts nothing
//! and writes nothing; [`parse`] and [`parse_control`] do not even look at the disk. It knows nothing of what the
//! settings do. `config.default.toml` and `control.default.toml` beside this crate are the references of every key.
//!
//! The walk reads TOML by hand instead of through serde, because serde stops at the first mistake.

mod control_config;
mod edge_config;
mod mistake;
mod secret;

mod document;
mod format;
mod section;
mod unknown;
mod value;

mod acme;
mod acme_dns;
mod acme_limits;
mod acme_preflight;
mod ask;
mod control;
mod limits;
mod listen;
mod log;
mod proxy;
mod storage;

mod choice;
mod disk;
mod ports;
mod quantity;
mod resolver;
mod suggest;
mod web;

pub use acme::{Acme, Eab, IssuerKind};
pub use acme_dns::AcmeDns;
pub use acme_limits::AcmeLimits;
pub use acme_preflight::{AcmePreflight, PreflightChecks};
pub use ask::Ask;
pub use control::Control;
pub use control_config::{
    ControlConfig, DEVELOPMENT_TOKEN_SECRET, Database, Dns, DomainConnect, EdgeTarget, MIN_TOKEN_SECRET, Mode, Pace,
    PlanName, Plans, Webhooks, control_environment, control_keys, load_control, parse_control,
};
pub use disk::{EabError, RootsError, read_roots};
pub use edge_config::{EdgeConfig, environment, keys, load, parse};
pub use limits::{LimitDoc, Limits};
pub use listen::Listen;
pub use log::{AccessLog, Log};
pub use mistake::{Mistake, Mistakes, Place};
pub use ports::Ports;
pub use proxy::Proxy;
pub use resolver::ResolverAddress;
pub use secret::{Secret, SecretError, SecretSource};
pub use storage::Storage;
