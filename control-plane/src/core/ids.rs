//! Ids: UUIDs of version 7, so that their order is the order of creation.

/// A new id.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string()
}
