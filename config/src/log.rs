//! `[log]`: what is written and how much.

use crate::{choice::choose, mistake::Problem, section::Walk, suggest::nearest};

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// One line per request, or none.
    pub access: AccessLog,
    /// A level, or levels by module: `info` or `info,certs=debug`.
    pub level: String,
}

/// The access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// JSON lines on standard output.
    Json,
    /// None.
    Off,
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Log {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("log");
        let access = section.text("access", parse_access).ok().flatten();
        let level = section.text("level", parse_level).ok().flatten();
        Self {
            access: access.map_or(AccessLog::Json, |(access, _)| access),
            level: level.map_or_else(|| "info".to_owned(), |(level, _)| level),
        }
    }
}

fn parse_access(text: &str) -> Result<AccessLog, Problem> {
    choose(text, &[("json", AccessLog::Json), ("off", AccessLog::Off)])
}

/// Stricter than the filter itself, which takes a misspelt level for the name of a module and then logs nothing.
pub(crate) fn parse_level(text: &str) -> Result<String, Problem> {
    for part in text.split(',') {
        let (module, level) = part.split_once('=').unwrap_or(("", part));
        let is_module = module.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        if !LEVELS.contains(&level) || !is_module || part.starts_with('=') {
            let hint = match nearest(level, LEVELS) {
                Some(near) if near != level => format!("did you mean `{near}`?"),
                _ => format!("choose {}, or add modules as in \"info,certs=debug\"", LEVELS.join(", ")),
            };
            return Err(Problem::new("bad_level", format!("`{part}` is not a log level"), hint));
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_that_is_accepted_is_a_filter() {
        for text in ["info", "off", "warn,certs=debug", "info,edge::serve=trace,certs=off"] {
            let level = parse_level(text).unwrap();
            tracing_subscriber::EnvFilter::try_new(level).unwrap();
        }
        for text in ["", "inof", "INFO ", "info,", "=info", "certs=loud", "info;certs=debug", "a b=info"] {
            assert_eq!(parse_level(text).unwrap_err().code, "bad_level", "{text}");
        }
    }
}
