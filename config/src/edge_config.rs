//! [`EdgeConfig`] and the two ways to get one.

use std::path::Path;

use crate::{
    acme::Acme,
    ask::{self, Ask},
    control::{Control, Found},
    format,
    limits::Limits,
    listen::Listen,
    log::Log,
    mistake::{Mistake, Mistakes},
    proxy::Proxy,
    section::{Disk, Walk},
    storage::Storage,
};

/// The configuration of one edge, validated as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeConfig {
    /// Where it listens.
    pub listen: Listen,
    /// Whom it asks about hostnames.
    pub ask: Ask,
    /// The control plane of our own, if there is one.
    pub control: Option<Control>,
    /// Who issues its certificates.
    pub acme: Acme,
    /// Where it keeps them.
    pub storage: Storage,
    /// Where requests go.
    pub proxy: Proxy,
    /// The bound of everything.
    pub limits: Limits,
    /// What it writes.
    pub log: Log,
}

/// Reads a file and its overrides, and checks the files and folders that it names.
///
/// # Errors
/// [`Mistakes`]: every one that can be told without starting the edge.
pub fn load(file: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<EdgeConfig, Mistakes> {
    read(Walk::of_file(&format::EDGE, file, env)?)
}

/// Reads a text and its overrides without looking at the disk. `file_name` is for messages and relative paths.
///
/// # Errors
/// [`Mistakes`]: every one that the text and the overrides have.
pub fn parse(
    file_name: &str,
    text: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<EdgeConfig, Mistakes> {
    read(Walk::new(&format::EDGE, file_name, text, env, Disk::Untouched))
}

/// The overrides in the environment of this process.
///
/// A variable that is not UTF-8 is kept with replacement characters, so that it is refused and not overlooked.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    format::EDGE.environment()
}

/// Every key that this version serves, as table and key, in the order of the reference file.
pub fn keys() -> Vec<(&'static str, &'static str)> {
    let mut walk = Walk::new(&format::EDGE, "", "", [], Disk::Untouched);
    let _config_of_nothing = Parts::read(&mut walk);
    walk.known
}

fn read(mut walk: Walk) -> Result<EdgeConfig, Mistakes> {
    let parts = Parts::read(&mut walk);
    let mistakes: Vec<Mistake> = walk.finish();
    match parts.whole() {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Mistakes::new(mistakes)),
    }
}

/// What a walk found; the parts that cannot be had without the operator's word may be missing.
struct Parts {
    listen: Listen,
    ask: Option<Ask>,
    control: Found,
    acme: Option<Acme>,
    storage: Storage,
    proxy: Proxy,
    limits: Limits,
    log: Log,
}

impl Parts {
    fn read(walk: &mut Walk) -> Self {
        let listen = Listen::read(walk);
        let ask = ask::Draft::read(walk);
        let control = Found::read(walk);
        Self {
            listen,
            ask: ask.finish(walk, &control),
            control,
            acme: Acme::read(walk),
            storage: Storage::read(walk),
            proxy: Proxy::read(walk),
            limits: Limits::read(walk),
            log: Log::read(walk),
        }
    }

    fn whole(self) -> Option<EdgeConfig> {
        let Self { listen, ask, control, acme, storage, proxy, limits, log } = self;
        let control = match control {
            Found::Mistaken => return None,
            Found::Nothing => None,
            Found::Whole(control) => Some(control),
        };
        Some(EdgeConfig { listen, ask: ask?, control, acme: acme?, storage, proxy, limits, log })
    }
}
