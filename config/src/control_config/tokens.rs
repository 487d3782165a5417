//! `[tokens]`: what widget tokens are signed with.

use super::Mode;
use crate::{
    mistake::Problem,
    secret::{Secret, SecretSource, read_secret},
    section::Walk,
};

/// The secret of development. Production refuses to start with it.
pub const DEVELOPMENT_TOKEN_SECRET: &str = "development-only-token-secret";
/// Characters; shorter secrets can be guessed from one token.
pub const MIN_TOKEN_SECRET: usize = 32;

const HINT: &str = "write 32 random characters or more, as `openssl rand -hex 32` makes them";

/// `None` when there is none; the walk then has the mistake.
pub(crate) fn read(walk: &mut Walk, mode: Mode) -> Option<SecretSource> {
    let mut section = walk.section("tokens");
    // A file may hold former secrets as further lines.
    let is_weak = |text: &str| {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        lines.peek().is_none() || lines.any(|line| line.len() < MIN_TOKEN_SECRET)
    };
    let check = |text: &str| match mode == Mode::Production && is_weak(text) {
        true => Err(Problem::new("weak_secret", "is shorter than 32 characters", HINT)),
        false => Ok(()),
    };
    let secret = read_secret(&mut section, ("secret", "secret_file"), check).ok()?;
    if secret.is_none() && mode == Mode::Production {
        section.missing("secret_file", format!("name a file that holds the secret; {HINT}"));
        return None;
    }
    Some(secret.unwrap_or_else(|| SecretSource::Written(Secret::from(DEVELOPMENT_TOKEN_SECRET.to_owned()))))
}
