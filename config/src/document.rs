//! The configuration file as text: where each byte stands, what TOML makes of it, and what is not TOML at all.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};

use crate::{
    format::Format,
    mistake::{At, Mistake, Place, Problem},
    value::{Item, Value},
};

/// A TOML file taken apart: tables of items that remember their place, and the syntax mistakes met on the way.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) tables: BTreeMap<String, Table>,
    /// Values that stand outside any table; this format knows none.
    pub(crate) strays: Vec<(String, Place)>,
    pub(crate) mistakes: Vec<Mistake>,
    /// Whether broken syntax may have swallowed a key: then nothing can be called missing.
    pub(crate) lossy: bool,
}

/// One `[table]`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) place: Place,
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Whether it is something else than a table, so that its keys are not to be called missing.
    pub(crate) broken: bool,
}

/// One `key = value`.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) place: Place,
    pub(crate) item: Item,
}

impl Document {
    /// Takes a file apart as far as its syntax allows.
    pub(crate) fn parse(format: &Format, file: &str, text: &str) -> Self {
        let lines = Lines::new(file, text);
        let (legible, mut errors) = drop_lines_without_value(&lines);
        let (root, others) = DeTable::parse_recoverable(&legible);
        errors.extend(others);
        let mut mistakes: Vec<_> =
            errors.iter().take(MAX_SYNTAX_MISTAKES).map(|error| syntax_mistake(&lines, error)).collect();
        if let Some(error) = errors.get(MAX_SYNTAX_MISTAKES) {
            mistakes.push(more_syntax_mistakes(&lines, error, errors.len() - MAX_SYNTAX_MISTAKES));
        }
        let lossy = errors.iter().any(|error| !keeps_its_key(error.message()));
        let mut document = Self { tables: BTreeMap::new(), strays: Vec::new(), mistakes, lossy };
        for (name, value) in root.get_ref() {
            let place = lines.place(&name.span());
            document.add(format, &lines, name.get_ref(), place, value.get_ref());
        }
        document
    }

    fn add(&mut self, format: &Format, lines: &Lines<'_>, name: &str, place: Place, value: &DeValue<'_>) {
        let problem = match value {
            DeValue::Table(entries) => {
                let inner = |key: &str| format!("{name}.{key}");
                let is_table = |key: &str| format.tables.contains(&inner(key).as_str());
                for (key, value) in entries.iter().filter(|(key, _)| is_table(key.get_ref())) {
                    let place = lines.place(&key.span());
                    self.add(format, lines, &inner(key.get_ref()), place, value.get_ref());
                }
                let entries = read_entries(lines, entries, is_table);
                self.tables.insert(name.to_owned(), Table { place, entries, broken: false });
                return;
            }
            DeValue::Array(items) if items.iter().next().is_some_and(|item| item.get_ref().is_table()) => Problem::new(
                "wrong_type",
                "must be one table, not a list of tables",
                format!("write its header once, with single brackets: [{name}]"),
            ),
            _ if format.tables.contains(&name) => Problem::new(
                "wrong_type",
                "must be a table, not a value",
                format!("write the header [{name}] on a line of its own and its keys below"),
            ),
            _ => return self.strays.push((name.to_owned(), place)),
        };
        self.mistakes.push(At { key: name.to_owned(), place: place.clone() }.mistake(problem));
        self.tables.insert(name.to_owned(), Table { place, entries: BTreeMap::new(), broken: true });
    }
}

/// A file with more lines than this that are neither `key = value` nor a header is no TOML at all.
const MAX_DROPPED_LINES: usize = 50;

/// Blanks the lines at which the parser would give up the rest of the file, and answers their errors.
///
/// Lengths are kept, so that spans mean the same in both texts.
fn drop_lines_without_value(lines: &Lines<'_>) -> (String, Vec<toml::de::Error>) {
    let (mut text, mut errors) = (lines.text.to_owned(), Vec::new());
    while errors.len() < MAX_DROPPED_LINES {
        let (_, found) = DeTable::parse_recoverable(&text);
        let fatal = found.into_iter().find(|error| error.message().contains("key with no value"));
        let Some((error, span)) = fatal.and_then(|error| error.span().map(|span| (error, span))) else { break };
        let line = lines.bytes_of(lines.line_of(span.start));
        if text.get(line.clone()).is_none_or(|line| line.trim().is_empty()) {
            break;
        }
        let blank = " ".repeat(line.len());
        text.replace_range(line, &blank);
        errors.push(error);
    }
    (text, errors)
}

/// Whether the parser recovers from a syntax mistake with the key in hand.
fn keeps_its_key(message: &str) -> bool {
    message.contains("must be quoted") || message.contains("duplicate key") || message.contains("invalid basic string")
}

fn read_entries(lines: &Lines<'_>, entries: &DeTable<'_>, is_table: impl Fn(&str) -> bool) -> BTreeMap<String, Entry> {
    let read = |value: &toml::Spanned<DeValue<'_>>| Item::from_toml(value, &|span| lines.place(span));
    entries
        .iter()
        .filter(|(key, _)| !is_table(key.get_ref()))
        .map(|(key, value)| {
            let entry = Entry { place: lines.place(&key.span()), item: read(value) };
            (key.get_ref().to_string(), entry)
        })
        .collect()
}

/// After so many lines that are no TOML, the file is of another kind, and each further one would say the same.
const MAX_SYNTAX_MISTAKES: usize = 100;

fn more_syntax_mistakes(lines: &Lines<'_>, error: &toml::de::Error, count: usize) -> Mistake {
    let problem = Problem::new("syntax", format!("{count} more syntax mistakes"), "is this file TOML?");
    At { key: String::new(), place: lines.place(&error.span().unwrap_or(0..0)) }.mistake(problem)
}

fn syntax_mistake(lines: &Lines<'_>, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let hint = match error.message() {
        text if text.contains("must be quoted") => "put the value in double quotes",
        text if text.contains("duplicate key") => "keep one of the two",
        text if text.contains("unclosed table") => "close the header with `]`",
        text if text.contains("unclosed array") => "close the list with `]`",
        text if text.contains("missing comma") => "put a comma between the items of the list",
        text if text.contains("invalid basic string") => "close the string with a double quote on the same line",
        text if text.contains("no value") => "write `key = value` on one line",
        _ => "see https://toml.io for the syntax",
    };
    let problem = Problem::new("syntax", error.message(), hint);
    At { key: lines.key_at(span.start), place: lines.place(&span) }.mistake(problem)
}

/// A text that knows its line starts.
struct Lines<'t> {
    file: &'t str,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(file: &'t str, text: &'t str) -> Self {
        // A byte-order mark is no character of line 1.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let line = self.line_of(span.start);
        let start = self.start_of(line);
        let before = self.text.get(start..span.start).unwrap_or_default();
        Place::File { file: self.file.to_owned(), line, column: before.chars().count() + 1 }
    }

    /// The number, from 1, of the line that holds a byte.
    fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn start_of(&self, line: usize) -> usize {
        self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// Where the bytes of a line stand, without its end.
    fn bytes_of(&self, line: usize) -> Range<usize> {
        let start = self.start_of(line);
        let rest = self.text.get(start..).unwrap_or_default();
        start..start + rest.find('\n').unwrap_or(rest.len())
    }

    /// The key that a broken line seems to set: its own `key =` under the last `[table]` above.
    fn key_at(&self, offset: usize) -> String {
        let line = self.line_of(offset);
        let rest = self.text.get(self.start_of(line)..).unwrap_or_default();
        let key = rest.lines().next().and_then(|text| text.split_once('=')).map(|(key, _)| key.trim());
        let above = self.text.get(..self.start_of(line)).unwrap_or_default();
        let header = |text: &'t str| text.trim().strip_prefix('[')?.split(']').next();
        let table = above.lines().rev().find_map(header);
        let parts = [table, key].into_iter().flatten().filter(|part| is_bare_key(part));
        match key {
            Some(_) => parts.collect::<Vec<_>>().join("."),
            None => String::new(),
        }
    }
}

fn is_bare_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Reads the text of an environment variable as TOML, if it is TOML.
pub(crate) fn parse_value(text: &str, place: &Place) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    Some(Item::from_toml(&value, &|_| place.clone()).value)
}
