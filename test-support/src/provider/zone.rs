//! [`FakeZone`]: records as a provider keeps them, and what it refuses.

use serde_json::{Value, json};

/// One record. Its data is what the provider was sent, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: u64,
    /// The full name without the final dot.
    pub name: String,
    pub kind: String,
    pub ttl: u32,
    pub data: String,
    /// What the provider keeps beside that.
    pub extra: Value,
}

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A CNAME beside something, or the same record twice.
    Conflict,
    /// A time to live below the floor, a name outside.
    Invalid,
    /// No such record.
    Missing,
}

/// What the provider insists on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub min_ttl: u32,
    pub flattens_apex: bool,
}

#[derive(Debug, Clone)]
pub struct FakeZone {
    pub name: String,
    pub rules: Rules,
    pub entries: Vec<Entry>,
    next: u64,
    /// A name whose visitors must always be led somewhere.
    pub watched: Option<String>,
    /// How often it led nowhere.
    pub gaps: usize,
}

impl FakeZone {
    pub fn new(name: &str, rules: Rules) -> Self {
        Self { name: name.to_owned(), rules, entries: Vec::new(), next: 1001, watched: None, gaps: 0 }
    }

    /// Puts a record there without asking.
    pub fn seed(&mut self, name: &str, kind: &str, data: &str, extra: Value) -> u64 {
        let ttl = self.rules.min_ttl.max(3600);
        self.push(Entry { id: 0, name: name.into(), kind: kind.into(), ttl, data: data.into(), extra })
    }

    fn push(&mut self, mut entry: Entry) -> u64 {
        entry.id = self.next;
        self.next += 1;
        self.entries.push(entry);
        self.next - 1
    }

    pub fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id.to_string() == id)
    }

    pub fn create(&mut self, entry: Entry) -> Result<u64, Refusal> {
        self.check(&entry, None)?;
        Ok(self.push(entry))
    }

    pub fn edit(&mut self, id: &str, mut entry: Entry) -> Result<u64, Refusal> {
        let old = self.find(id).ok_or(Refusal::Missing)?.id;
        self.check(&entry, Some(old))?;
        entry.id = old;
        let place = self.entries.iter_mut().find(|entry| entry.id == old).unwrap();
        *place = entry;
        Ok(old)
    }

    pub fn remove(&mut self, id: &str) -> Result<(), Refusal> {
        let id = self.find(id).ok_or(Refusal::Missing)?.id;
        self.entries.retain(|entry| entry.id != id);
        self.look();
        Ok(())
    }

    /// Replaces a set; without values it is removed.
    pub fn put_set(&mut self, name: &str, kind: &str, ttl: u32, values: &[String]) -> Result<(), Refusal> {
        let before = self.clone();
        self.entries.retain(|entry| entry.name != name || entry.kind != kind);
        for data in values {
            let (name, kind, data) = (name.to_owned(), kind.to_owned(), data.clone());
            if let Err(refusal) = self.create(Entry { id: 0, name, kind, ttl, data, extra: json!({}) }) {
                *self = before;
                return Err(refusal);
            }
        }
        self.look();
        Ok(())
    }

    /// Changes that happen at once: all of them or, when one is refused, none.
    pub fn at_once<E>(&mut self, change: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        let before = self.clone();
        self.watched = None;
        let changed = change(self);
        match &changed {
            Ok(()) => {
                self.watched = before.watched;
                self.look();
            }
            Err(_) => *self = before,
        }
        changed
    }

    /// After each change.
    fn look(&mut self) {
        let leads =
            |name: &String| self.entries.iter().any(|e| e.name == *name && ["A", "AAAA", "CNAME"].contains(&&*e.kind));
        self.gaps += usize::from(self.watched.as_ref().is_some_and(|name| !leads(name)));
    }

    /// The values of a set, as they are kept.
    pub fn set(&self, name: &str, kind: &str) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.name == name && entry.kind == kind).collect()
    }

    /// Sets in the order of their first records.
    pub fn sets(&self) -> Vec<(String, String)> {
        let mut keys: Vec<_> = self.entries.iter().map(|entry| (entry.name.clone(), entry.kind.clone())).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn check(&self, entry: &Entry, but: Option<u64>) -> Result<(), Refusal> {
        let inside = entry.name == self.name || entry.name.ends_with(&format!(".{}", self.name));
        if !inside || entry.ttl < self.rules.min_ttl || entry.data.is_empty() {
            return Err(Refusal::Invalid);
        }
        let top = entry.name == self.name;
        let mut others = self.entries.iter().filter(|other| other.name == entry.name && Some(other.id) != but);
        let refused = others.any(|other| match (entry.kind.as_str(), other.kind.as_str()) {
            ("CNAME", "CNAME") => true,
            ("CNAME", _) | (_, "CNAME") => !(top && self.rules.flattens_apex),
            _ => other.kind == entry.kind && other.data == entry.data,
        });
        if refused { Err(Refusal::Conflict) } else { Ok(()) }
    }
}
