//! Tables for people, JSON for programs.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
};

use serde::{Serialize, Serializer};
use serde_json::Value;

/// One result: its fields in the order in which they are shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(Vec<(&'static str, Value)>);

impl Row {
    /// With one field more.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// With one field more, of a type that JSON knows.
    #[must_use]
    pub(crate) fn and(self, key: &'static str, value: &impl Serialize) -> Self {
        // Our own types: nothing in them that JSON cannot hold.
        self.with(key, serde_json::to_value(value).unwrap_or_default())
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For programs.
    Json,
    /// For people.
    Table,
}

/// A line on standard output; a closed pipe is the reader's decision, not an error.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on standard error.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A result as JSON.
pub(crate) fn say_json(value: &impl Serialize) {
    // Our own types: nothing in them that JSON cannot hold.
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}

impl Format {
    pub(crate) fn or_default(given: Option<Self>) -> Self {
        given.unwrap_or_else(|| if std::io::stdout().is_terminal() { Self::Table } else { Self::Json })
    }

    /// Prints rows that all have the same fields: a list in JSON, one line each in a table.
    pub(crate) fn print(self, rows: &[Row]) {
        match self {
            Self::Json => say_json(&rows),
            Self::Table => say(table(rows).trim_end()),
        }
    }

    /// Prints one result: an object in JSON, one line a field in a table.
    pub(crate) fn print_one(self, row: &Row) {
        match self {
            Self::Json => say_json(row),
            Self::Table => say(sheet(row).trim_end()),
        }
    }
}

fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return "none\n".to_owned() };
    let heads: Vec<String> = first.0.iter().map(|(key, _)| key.to_uppercase()).collect();
    let cells = |row: &Row| row.0.iter().map(|(_, value)| cell(value)).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let show = |line: &Vec<String>| {
        let cells = line.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column).unwrap_or(0)));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(show).collect()
}

fn sheet(row: &Row) -> String {
    let width = row.0.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in &row.0 {
        let lines = match value {
            Value::Array(items) if items.iter().any(Value::is_object) => items.iter().map(cell).collect(),
            other => vec![cell(other)],
        };
        for (index, line) in lines.iter().enumerate() {
            let key = if index == 0 { *key } else { "" };
            text.push_str(&format!("{key:width$}  {line}\n"));
        }
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key}={}", cell(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_column_as_wide_as_its_widest_cell() {
        let rows =
            [Row::new().with("name", "Bücher").with("id", "a"), Row::new().with("name", Value::Null).with("id", "b")];
        assert_eq!(table(&rows), "NAME    ID\nBücher  a\n-       b\n");
        assert_eq!(table(&[]), "none\n");
    }

    #[test]
    fn a_sheet_has_a_line_a_field_and_a_line_a_record() {
        let records = json!([{"host": "x", "value": "1"}, {"host": "y", "value": "2"}]);
        let one = Row::new().with("id", "a").with("records", records);
        assert_eq!(sheet(&one), "id       a\nrecords  host=x value=1\n         host=y value=2\n");
    }
}
