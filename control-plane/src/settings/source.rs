//! Keys and values from a file and the environment, each taken once; what nobody takes is unknown.

use std::{collections::BTreeMap, fmt::Display, path::Path, str::FromStr};

const PREFIX: &str = "NAMEGATE_CONTROL__";

/// What is left to take, and what was wrong so far.
pub(crate) struct Source {
    /// By `table.key`: the value as text, and where it stands.
    values: BTreeMap<String, (String, String)>,
    mistakes: Vec<String>,
}

impl Source {
    pub(crate) fn read(file: Option<&Path>, env: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut source = Self { values: BTreeMap::new(), mistakes: Vec::new() };
        if let Some(file) = file {
            source.read_file(file);
        }
        for (name, value) in env {
            let key = match name.as_str() {
                "DATABASE_URL" => "database.url".to_owned(),
                "NAMEGATE_KEY_FILE" => "keys.file".to_owned(),
                _ => match name.strip_prefix(PREFIX) {
                    Some(rest) => rest.to_ascii_lowercase().replacen("__", ".", 1),
                    None => continue,
                },
            };
            source.values.insert(key, (value, name));
        }
        source
    }

    fn read_file(&mut self, file: &Path) {
        let place = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.mistakes.push(format!("{place}: cannot be read: {error}")),
        };
        let tables = match text.parse::<toml::Table>() {
            Ok(tables) => tables,
            // The parser's own words name line and column.
            Err(error) => return self.mistakes.push(format!("{place}: {error}")),
        };
        for (table, keys) in tables {
            let toml::Value::Table(keys) = keys else {
                self.mistakes.push(format!("{place}: {table}: is not a table"));
                continue;
            };
            for (key, value) in keys {
                self.values.insert(format!("{table}.{key}"), (as_text(&value), place.clone()));
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<(String, String)> {
        self.values.remove(key)
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(|(value, _)| value).filter(|value| !value.is_empty())
    }

    /// A text that no message repeats.
    pub(crate) fn secret(&mut self, key: &str) -> Option<String> {
        self.text(key)
    }

    /// A list: in TOML as one, in a variable with commas.
    pub(crate) fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Anything that is written as a text.
    pub(crate) fn parse<T: FromStr>(&mut self, key: &str, default: T) -> T
    where
        T::Err: Display,
    {
        let Some((value, place)) = self.take(key) else { return default };
        value.parse().unwrap_or_else(|error| {
            self.mistakes.push(format!("{place}: {key}: `{value}`: {error}"));
            default
        })
    }

    pub(crate) fn mistake(&mut self, key: &str, problem: &str) {
        self.mistakes.push(format!("{key}: {problem}"));
    }

    /// All mistakes, what nobody knows among them.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let unknown = self.values.iter().map(|(key, (_, place))| format!("{place}: {key}: there is no such key"));
        self.mistakes.extend(unknown);
        self.mistakes
    }
}

fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
