//! What nobody took: unknown tables, keys and variables, each with the known word nearest to it.

use crate::{
    document::{Document, Entry, Table},
    format::Format,
    mistake::{At, Mistake, Place, Problem},
    section::Walk,
    suggest::nearest,
};

/// A table with more keys than this is not listed in a hint.
const SHORT_TABLE: usize = 8;

/// Every leftover of a walk, as a mistake.
pub(crate) fn find(walk: &Walk) -> Vec<Mistake> {
    let Document { tables, strays, .. } = &walk.document;
    let known = Known { format: walk.format, keys: &walk.known };
    let in_file = tables.iter().flat_map(|(name, table)| known.check_table(name, table));
    let strays = strays.iter().map(|(key, place)| known.stray(key, place));
    let variables = walk.variables.keys().map(|variable| known.variable(variable));
    in_file.chain(strays).chain(variables).collect()
}

/// The format: every table and key that was asked for.
struct Known<'w> {
    format: &'static Format,
    keys: &'w [(&'static str, &'static str)],
}

impl Known<'_> {
    fn check_table(&self, name: &str, table: &Table) -> Vec<Mistake> {
        match self.format.tables.contains(&name) {
            true => table.entries.iter().map(|(key, entry)| self.key(name, key, entry)).collect(),
            false => vec![self.table(name, table)],
        }
    }

    fn table(&self, name: &str, table: &Table) -> Mistake {
        let hint = match nearest(name, self.format.tables.iter().copied()) {
            Some(near) => format!("did you mean [{near}]?"),
            None => format!("the tables are {}", self.format.tables.join(", ")),
        };
        At { key: name.to_owned(), place: table.place.clone() }.mistake(Problem::new(
            "unknown_table",
            "unknown table",
            hint,
        ))
    }

    fn key(&self, table: &str, key: &str, entry: &Entry) -> Mistake {
        let hint = match (nearest(key, self.keys_of(table)), self.home_of(key)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(home)) => format!("`{key}` belongs under [{home}]"),
            (None, None) if self.keys_of(table).count() <= SHORT_TABLE => {
                format!("the keys of [{table}] are {}", self.keys_of(table).collect::<Vec<_>>().join(", "))
            }
            (None, None) => format!("{} lists every key", self.format.reference),
        };
        let at = At { key: format!("{table}.{key}"), place: entry.place.clone() };
        at.mistake(Problem::new("unknown_key", "unknown key", hint))
    }

    fn stray(&self, key: &str, place: &Place) -> Mistake {
        let hint = match self.home_of(key) {
            Some(home) => format!("`{key}` belongs under [{home}]"),
            None => format!("every key belongs under one of the tables {}", self.format.tables.join(", ")),
        };
        At { key: key.to_owned(), place: place.clone() }.mistake(Problem::new("unknown_key", "unknown key", hint))
    }

    fn variable(&self, variable: &str) -> Mistake {
        let names: Vec<String> = self.keys.iter().map(|(table, key)| self.format.variable(table, key)).collect();
        let hint = match self.nearest_variable(variable, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let (table, key) = self.format.example;
                format!("overrides are named after their table and key, as in {}", self.format.variable(table, key))
            }
        };
        At { key: String::new(), place: Place::Environment { variable: variable.to_owned() } }.mistake(Problem::new(
            "unknown_variable",
            "no such setting",
            hint,
        ))
    }

    fn keys_of(&self, table: &str) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(move |(name, _)| *name == table).map(|(_, key)| *key)
    }

    /// The one table that has a key of this very name.
    fn home_of(&self, key: &str) -> Option<&'static str> {
        self.keys.iter().find(|(_, known)| *known == key).map(|(table, _)| *table)
    }

    /// The known name nearest to a variable: by the part after the prefix, which is the same for all.
    fn nearest_variable<'a>(&self, variable: &str, names: &'a [String]) -> Option<&'a str> {
        let tail = variable.strip_prefix(self.format.prefix)?;
        let tails = names.iter().filter_map(|name| name.strip_prefix(self.format.prefix));
        let near = nearest(tail, tails)?;
        names.iter().map(String::as_str).find(|name| name.strip_prefix(self.format.prefix) == Some(near))
    }
}
