//! [`Adapter`]: what a provider's file says, and nothing more.

use async_trait::async_trait;

use super::{
    error::ProviderError,
    facts::Facts,
    record::{Record, Stored, Zone},
};
use crate::check::RecordKind;

/// A provider with a credential.
#[async_trait]
pub trait Adapter: Send + Sync + std::fmt::Debug {
    /// What is known of it without asking.
    fn facts(&self) -> &'static Facts;

    /// The zone of exactly this name, if the account has it. The engine climbs; a name that merely ends alike is no
    /// match.
    ///
    /// # Errors
    /// What the provider had against the question.
    async fn zone(&self, name: &str) -> Result<Option<Zone>, ProviderError>;

    /// All records of a zone.
    ///
    /// # Errors
    /// What the provider had against the question.
    async fn list(&self, zone: &Zone) -> Result<Vec<Stored>, ProviderError>;

    /// How it takes changes.
    fn writes(&self) -> Writes<'_>;
}

/// The three ways in which providers take changes.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Writes<'a> {
    /// Single records with ids.
    Records(&'a dyn Records),
    /// Record sets.
    Sets(&'a dyn Sets),
    /// The whole zone.
    Whole(&'a dyn Whole),
}

/// Single records with ids.
#[async_trait]
pub trait Records: Send + Sync {
    /// Whether [`replace`](Self::replace) exists.
    fn edits(&self) -> bool {
        true
    }

    /// Adds a record beside those that are there.
    ///
    /// # Errors
    /// What the provider had against it.
    async fn create(&self, zone: &Zone, record: &Record) -> Result<(), ProviderError>;

    /// Turns a record into another one of the same name and type, in one call.
    ///
    /// # Errors
    /// What the provider had against it.
    async fn replace(&self, zone: &Zone, old: &Stored, new: &Record) -> Result<(), ProviderError>;

    /// Removes a record.
    ///
    /// # Errors
    /// What the provider had against it.
    async fn delete(&self, zone: &Zone, old: &Stored) -> Result<(), ProviderError>;
}

/// Record sets, written as a whole.
#[async_trait]
pub trait Sets: Send + Sync {
    /// Whether all changes of one call happen or none does. Otherwise each call has one change.
    fn atomic(&self) -> bool {
        false
    }

    /// Writes sets; a set without values is removed.
    ///
    /// # Errors
    /// What the provider had against it.
    async fn write(&self, zone: &Zone, changes: &[SetChange<'_>]) -> Result<(), ProviderError>;
}

/// A whole zone.
#[async_trait]
pub trait Whole: Send + Sync {
    /// Replaces the zone by these records.
    ///
    /// # Errors
    /// What the provider had against it.
    async fn write(&self, zone: &Zone, all: &[Value<'_>]) -> Result<(), ProviderError>;
}

/// A set as it is and as it will be.
#[derive(Debug)]
pub struct SetChange<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: RecordKind,
    /// In seconds, for the whole set.
    pub ttl: u32,
    /// What is there.
    pub before: Vec<&'a Stored>,
    /// What will be there; empty: no set.
    pub after: Vec<Value<'a>>,
}

/// A record of a set or zone that is written.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Stays as it is, byte for byte.
    Kept(&'a Stored),
    /// Ours.
    New(&'a Record),
}
