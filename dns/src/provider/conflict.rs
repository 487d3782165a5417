//! [`Conflict`]: why a plan cannot be carried out.

use serde::Serialize;

/// A record that is desired and cannot stand where it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The name.
    pub name: String,
    /// The desired type.
    pub wanted: &'static str,
    /// What stands in the way.
    pub obstacle: Obstacle,
}

/// What stands in a record's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// A CNAME at the top of the zone, where it cannot stand beside SOA and NS (RFC 1034 section 3.6.2).
    Apex,
    /// The name is delegated to other servers; records here would not be seen.
    Delegated,
    /// Two desired records exclude each other.
    Itself,
    /// Records of another type that are not ours to remove.
    Other {
        /// Their types, ordered.
        kinds: Vec<String>,
    },
    /// The name is not in the zone.
    Outside,
}

impl Conflict {
    /// The conflict in words for the customer.
    pub fn explain(&self) -> String {
        let Self { name, wanted, obstacle } = self;
        match obstacle {
            Obstacle::Apex => format!("`{name}` is the top of its zone, where a CNAME cannot stand."),
            Obstacle::Delegated => {
                format!("`{name}` is delegated to other name servers. Write the {wanted} record there.")
            }
            Obstacle::Itself => format!("`{name}` cannot have a CNAME beside other records."),
            Obstacle::Other { kinds } => format!(
                "`{name}` has records of type {}, beside which a {wanted} record cannot stand. They are not removed \
                 for you.",
                kinds.join(", ")
            ),
            Obstacle::Outside => format!("`{name}` is not in this zone."),
        }
    }
}
