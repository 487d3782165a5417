//! The walk through a configuration: each key is taken once, by its type; what nobody takes is unknown.
//!
//! A walk never stops at a mistake. It notes it, goes on with the default, and the result is thrown away at the end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    disk::read_bounded,
    document::{Document, Table},
    format::Format,
    mistake::{At, Mistake, Mistakes, Place, Problem},
    quantity::Quantity,
    unknown,
    value::{Item, Value, Want},
};

/// Whether a walk may look at the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Files that keys name are read and checked.
    Look,
    /// The text alone is judged.
    Untouched,
}

/// One configuration being read.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) format: &'static Format,
    pub(crate) disk: Disk,
    pub(crate) file: String,
    pub(crate) document: Document,
    /// Overrides not taken yet.
    pub(crate) variables: BTreeMap<String, String>,
    /// Every key that was asked for: the format, as this version serves it.
    pub(crate) known: Vec<(&'static str, &'static str)>,
    mistakes: Vec<Mistake>,
}

/// A configuration file larger than this is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

impl Walk {
    /// Begins with a file, which must be readable.
    pub(crate) fn of_file(
        format: &'static Format,
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let name = file.display().to_string();
        let text = read_text(file).map_err(|(code, problem)| {
            let at = At { key: String::new(), place: Place::WholeFile { file: name.clone() } };
            let hint = "name a readable TOML file with --config";
            Mistakes::new(vec![at.mistake(Problem::new(code, problem, hint))])
        })?;
        Ok(Self::new(format, &name, &text, environment, Disk::Look))
    }

    pub(crate) fn new(
        format: &'static Format,
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        disk: Disk,
    ) -> Self {
        let mut document = Document::parse(format, file, text);
        let mistakes = std::mem::take(&mut document.mistakes);
        let variables = environment.into_iter().filter(|(name, _)| format.owns(name)).collect();
        Self { format, disk, file: file.to_owned(), document, variables, known: Vec::new(), mistakes }
    }

    /// The keys under one `[table]`; a table that is not there has none.
    pub(crate) fn section(&mut self, name: &'static str) -> Section<'_> {
        let table = self.document.tables.remove(name);
        Section { walk: self, name, table }
    }

    /// Ends the walk: whatever was not taken is unknown.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        unknown::find(&self).into_iter().for_each(|mistake| self.note(mistake));
        self.mistakes
    }

    fn note(&mut self, mistake: Mistake) {
        // A line that is no TOML has its mistake already; what recovery made of it is not the operator's word.
        let is_echo = self.mistakes.iter().any(|known| known.code == "syntax" && on_one_line(known, &mistake));
        if !is_echo {
            self.mistakes.push(mistake);
        }
    }
}

fn on_one_line(a: &Mistake, b: &Mistake) -> bool {
    match (&a.place, &b.place) {
        (Place::File { line: a, .. }, Place::File { line: b, .. }) => a == b,
        _ => false,
    }
}

fn read_text(file: &Path) -> Result<String, (&'static str, String)> {
    let bytes =
        read_bounded(file, MAX_FILE_BYTES).map_err(|error| ("unreadable", format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        ("syntax", format!("is not UTF-8 in line {line}"))
    })
}

/// The keys of one table. What is left when it is dropped is unknown.
pub(crate) struct Section<'w> {
    walk: &'w mut Walk,
    name: &'static str,
    table: Option<Table>,
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            self.walk.document.tables.insert(self.name.to_owned(), table);
        }
    }
}

impl Section<'_> {
    /// Whether files may be looked at.
    pub(crate) fn disk(&self) -> Disk {
        self.walk.disk
    }

    /// Notes a mistake of a key.
    pub(crate) fn mistake(&mut self, at: &At, problem: Problem) {
        self.walk.note(at.mistake(problem));
    }

    /// Where a key would stand that is not set: at the header of its table, at the start of the file, or, without a
    /// file, in its variable.
    pub(crate) fn home(&self, key: &str) -> At {
        let place = match &self.table {
            Some(table) => table.place.clone(),
            None if self.walk.file.is_empty() => {
                let format = self.walk.format;
                let variable = format.alias(self.name, key).map(str::to_owned);
                Place::Environment { variable: variable.unwrap_or_else(|| format.variable(self.name, key)) }
            }
            None => Place::File { file: self.walk.file.clone(), line: 1, column: 1 },
        };
        At { key: format!("{}.{key}", self.name), place }
    }

    /// Notes that a key without a default is not set.
    pub(crate) fn missing(&mut self, key: &str, hint: String) {
        if !self.walk.document.lossy && !self.table.as_ref().is_some_and(|table| table.broken) {
            self.mistake(&self.home(key), Problem::new("missing", "is required", hint));
        }
    }

    /// A switch.
    pub(crate) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some((value, at)) = self.take(key, Want::Bool) else { return default };
        match value {
            Value::Bool(flag) => flag,
            other => self.refuse(&at, Want::Bool, &other).unwrap_or(default),
        }
    }

    /// A text that `check` gives its meaning. Answers `Err` when it was set wrongly and `Ok(None)` when it was not set.
    pub(crate) fn text<T>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<(T, At)>, Noted> {
        let Some((value, at)) = self.take(key, Want::String) else { return Ok(None) };
        let found = self.check_text(&at, value, check).ok_or(Noted)?;
        Ok(Some((found, at)))
    }

    /// A list of texts that `check` gives their meaning; only the good ones when some are wrong.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        empty: Empty,
        check: impl Fn(&str) -> Result<T, Problem>,
    ) -> Option<Vec<(T, At)>> {
        self.list_of(key, empty, |value| match value {
            Value::String(text) => check(text),
            other => Err(Want::String.refuse(other)),
        })
    }

    /// A list of anything that `check` gives its meaning; only the good ones when some are wrong.
    pub(crate) fn list_of<T>(
        &mut self,
        key: &'static str,
        empty: Empty,
        check: impl Fn(&Value) -> Result<T, Problem>,
    ) -> Option<Vec<(T, At)>> {
        let (value, at) = self.take(key, Want::List)?;
        let items = match value {
            Value::List(items) => items,
            other => return self.refuse(&at, Want::List, &other),
        };
        if let (Empty::Refused(hint), true) = (empty, items.is_empty()) {
            self.mistake(&at, Problem::new("empty", "is empty", hint));
        }
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            let at = At { key: at.key.clone(), place: item.place };
            match check(&item.value) {
                Ok(found) => good.push((found, at)),
                Err(problem) => self.mistake(&at, problem),
            }
        }
        Some(good)
    }

    /// A path: relative to the folder of the file when the file says it, to the working directory otherwise.
    pub(crate) fn path(&mut self, key: &'static str) -> Result<Option<(PathBuf, At)>, Noted> {
        let check = |text: &str| match text.is_empty() || text.contains('\0') {
            true => Err(Problem::new("empty", "is not a path", "name a file or folder, or remove the key")),
            false => Ok(PathBuf::from(text)),
        };
        let Some((path, at)) = self.text(key, check)? else { return Ok(None) };
        let folder = Path::new(&self.walk.file).parent().filter(|_| matches!(at.place, Place::File { .. }));
        let path = folder.map(|folder| folder.join(&path)).unwrap_or(path);
        Ok(Some((path, at)))
    }

    /// A number with a unit and a range.
    pub(crate) fn quantity<Q: Quantity>(&mut self, key: &'static str, range: (Q, Q), default: Q) -> Q {
        let Some((value, at)) = self.take(key, Q::WANT) else { return default };
        if !matches!(value, Value::Integer(_) | Value::String(_)) {
            return self.refuse(&at, Q::WANT, &value).unwrap_or(default);
        }
        Q::read(&value).and_then(|quantity| quantity.within(range)).unwrap_or_else(|problem| {
            self.mistake(&at, problem);
            default
        })
    }

    /// Takes a key: from the variable with a name of its own, else from the usual one, else from the file.
    fn take(&mut self, key: &'static str, want: Want) -> Option<(Value, At)> {
        self.walk.known.push((self.name, key));
        let in_file = self.table.as_mut().and_then(|table| table.entries.remove(key)).map(|entry| entry.item);
        let usual = self.take_variable(self.walk.format.variable(self.name, key));
        let alias = self.walk.format.alias(self.name, key).and_then(|alias| self.take_variable(alias.to_owned()));
        let item = match alias.or(usual) {
            Some((variable, text)) => Item::from_variable(&text, Place::Environment { variable }, want),
            None => in_file?,
        };
        Some((item.value, At { key: format!("{}.{key}", self.name), place: item.place }))
    }

    fn take_variable(&mut self, variable: String) -> Option<(String, String)> {
        let text = self.walk.variables.remove(&variable)?;
        Some((variable, text))
    }

    fn check_text<T>(&mut self, at: &At, value: Value, check: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        let Value::String(text) = value else { return self.refuse(at, Want::String, &value) };
        check(&text).map_err(|problem| self.mistake(at, problem)).ok()
    }

    fn refuse<T>(&mut self, at: &At, want: Want, value: &Value) -> Option<T> {
        self.mistake(at, want.refuse(value));
        None
    }
}

/// Whether a list may be empty; if not, how to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Empty {
    Allowed,
    Refused(&'static str),
}

/// A mistake stands in the list already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted;
