//! What is wrong with a configuration: where, which key, what, and how to mend it.
//!
//! A mistake never repeats the value of a key that may hold a secret (URLs, key files): its place says where to look.

use std::{error::Error, fmt};

use serde::Serialize;

/// All mistakes of one configuration, in the order in which an editor would meet them; never empty inside an `Err`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// A stable word for scripts, such as `unknown_key`.
    pub code: &'static str,
    /// Where it stands.
    pub place: Place,
    /// The key with its table, such as `ask.url`; empty when the mistake belongs to no key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// How to mend it.
    pub hint: String,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A character of the file; both numbers start at 1.
    File {
        /// The file as it was named to us.
        file: String,
        /// Line.
        line: usize,
        /// Column in characters.
        column: usize,
    },
    /// The file as a whole: it could not be read.
    WholeFile {
        /// The file as it was named to us.
        file: String,
    },
}

/// What a check says about one value; the walker adds the place and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) problem: String,
    pub(crate) hint: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, problem: problem.into(), hint: hint.into() }
    }
}

/// A key and where its value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) key: String,
    pub(crate) place: Place,
}

impl At {
    pub(crate) fn mistake(&self, problem: Problem) -> Mistake {
        let Problem { code, problem, hint } = problem;
        let place = self.place.clone();
        Mistake { code, place, key: printable(&self.key), problem: printable(&problem), hint: printable(&hint) }
    }
}

/// Longest text of one part of a mistake; what is quoted from the file may be a whole file pasted into a string.
const MAX_SHOWN: usize = 300;

/// Keeps a mistake on its one line whatever it quotes, and terminals out of the hands of what is quoted.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN));
    for c in text.chars().take(MAX_SHOWN) {
        match c.is_control() {
            true => shown.extend(c.escape_debug()),
            false => shown.push(c),
        }
    }
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

impl Place {
    /// The whole file first, then the file from top to bottom, then the variables by name.
    fn order(&self) -> (bool, usize, usize, &str) {
        match self {
            Self::WholeFile { .. } => (false, 0, 0, ""),
            Self::File { line, column, .. } => (false, *line, *column, ""),
            Self::Environment { variable } => (true, 0, 0, variable),
        }
    }
}

impl Mistakes {
    /// Puts mistakes in reading order.
    pub(crate) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| (a.place.order(), &a.key).cmp(&(b.place.order(), &b.key)));
        Self(mistakes)
    }

    /// The mistakes, in reading order.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { variable } => f.write_str(variable),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::WholeFile { file } => f.write_str(file),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.hint)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl Error for Mistakes {}
