//! Tables for people, JSON for programs.

use std::io::IsTerminal as _;

use serde_json::{Map, Value};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For programs.
    Json,
    /// For people.
    Table,
}

impl Format {
    pub(crate) fn or_default(given: Option<Self>) -> Self {
        given.unwrap_or_else(|| if std::io::stdout().is_terminal() { Self::Table } else { Self::Json })
    }

    /// Prints rows that all have the same fields.
    pub(crate) fn print(self, rows: &[Map<String, Value>]) {
        match self {
            Self::Json => println!("{}", serde_json::to_string_pretty(rows).unwrap_or_default()),
            Self::Table => print!("{}", table(rows)),
        }
    }
}

fn table(rows: &[Map<String, Value>]) -> String {
    let Some(first) = rows.first() else { return "none\n".to_owned() };
    let heads: Vec<String> = first.keys().map(|key| key.to_uppercase()).collect();
    let cells = |row: &Map<String, Value>| row.values().map(cell).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.len()).max();
    let show = |line: &Vec<String>| {
        let cells = line.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column).unwrap_or(0)));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(show).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
