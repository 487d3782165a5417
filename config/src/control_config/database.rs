//! `[database]`: where everything is kept.

use crate::{
    mistake::Problem,
    secret::{Secret, SecretSource, read_secret},
    section::Walk,
};

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// `sqlite://…` or `postgres://…`; may hold a password.
    pub url: SecretSource,
    /// Connections to PostgreSQL, or readers of SQLite.
    pub connections: u32,
    /// Whether `run` brings the schema up to date.
    pub migrate: bool,
}

/// Relative to the working directory.
const URL: &str = "sqlite://namegate-control.db";

impl Database {
    /// `None` when the URL is wrong; the walk then has the mistake.
    pub(crate) fn read(walk: &mut Walk) -> Option<Self> {
        let mut section = walk.section("database");
        let url = read_secret(&mut section, ("url", "url_file"), check_url);
        let connections = section.quantity::<usize>("connections", (1, 1000), 16);
        let migrate = section.boolean("migrate", true);
        let default = || SecretSource::Written(Secret::from(URL.to_owned()));
        Some(Self {
            url: url.ok()?.unwrap_or_else(default),
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            migrate,
        })
    }
}

/// Says nothing of what it holds: a password, most likely.
fn check_url(text: &str) -> Result<(), Problem> {
    match text.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite" | "postgres" | "postgresql") => Ok(()),
        _ => {
            let hint = "write \"sqlite:///folder/file.db\" or \"postgres://user:password@host/database\"";
            Err(Problem::new("bad_url", "is not the URL of a database", hint))
        }
    }
}
