//! `[control]`: the control plane of our own that tells of names before they are visited.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use crate::{
    disk,
    mistake::{At, Problem},
    section::{Disk, Section, Walk},
    web::parse_url,
};

/// Where the control plane is, and what the edge shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    /// `http` or `https`, no credentials, no query, no fragment; `/internal/changes` and the like are added to its path.
    pub url: Url,
    /// File that holds the shared token and nothing else; read again whenever the token is refused.
    pub token_file: PathBuf,
}

/// What a walk found of the table.
pub(crate) enum Found {
    /// It is not used.
    Nothing,
    /// It is used, and has a mistake.
    Mistaken,
    /// It is used.
    Whole(Control),
}

impl Control {
    /// Where to ask about a name: this control plane's own endpoint.
    pub(crate) fn ask_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/internal/ask", self.url.path().trim_end_matches('/')));
        url
    }
}

impl Found {
    pub(crate) fn read(walk: &mut Walk) -> Self {
        let mut section = walk.section("control");
        let url = section.text("url", parse_control_url);
        let token_file = section.path("token_file");
        match (url, token_file) {
            (Ok(None), Ok(None)) => Self::Nothing,
            (Ok(Some((url, _))), Ok(Some((token_file, at)))) => {
                check_token_file(&mut section, &token_file, &at);
                Self::Whole(Control { url, token_file })
            }
            (Ok(Some((_, at))), Ok(None)) => incomplete(&mut section, &at, "token_file"),
            (Ok(None), Ok(Some((_, at)))) => incomplete(&mut section, &at, "url"),
            (Err(_), _) | (_, Err(_)) => Self::Mistaken,
        }
    }
}

fn incomplete(section: &mut Section<'_>, at: &At, other: &str) -> Found {
    let hint = format!("set {other} as well, or remove both");
    section.mistake(at, Problem::new("incomplete", format!("is set without {other}"), hint));
    Found::Mistaken
}

fn check_token_file(section: &mut Section<'_>, file: &Path, at: &At) {
    if section.disk() == Disk::Look
        && let Err(problem) = disk::check_token(file)
    {
        section.mistake(at, problem);
    }
}

fn parse_control_url(text: &str) -> Result<Url, Problem> {
    let url = parse_url(text)?;
    match url.query() {
        Some(_) => {
            Err(Problem::new("bad_url", "has a query", "remove `?` and what follows; paths are added to the URL"))
        }
        None => Ok(url),
    }
}

impl fmt::Debug for Control {
    /// A token written in place of its file is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
