//! [`Head`]: the few things that a rewrite needs of a message head.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A set of header fields that can be changed.
///
/// Pingora keeps the original letter case of field names beside the map, so its heads cannot be handed out as a plain
/// `&mut HeaderMap`.
pub trait Head {
    /// The fields as they stand.
    fn fields(&self) -> &HeaderMap;

    /// Sets a field, replacing every value it has.
    fn set(&mut self, name: HeaderName, value: HeaderValue);

    /// Removes a field with all its values.
    fn drop_field(&mut self, name: &HeaderName);
}

impl Head for HeaderMap {
    fn fields(&self) -> &HeaderMap {
        self
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.insert(name, value);
    }

    fn drop_field(&mut self, name: &HeaderName) {
        self.remove(name);
    }
}
