//! What counts as HTTP/1 here: a strict reading of the raw bytes, before any other parser sees them.
//!
//! Two programs that disagree about where a request ends are an attacker's door (request smuggling). The [`Framer`] walks
//! along the bytes of a connection, by the grammar of RFC 9112 without its leniencies, and knows where each request
//! ends. What it refuses is not repaired. It copies nothing and changes nothing: bytes either pass as they came, or the
//! connection ends.

mod body;
mod bytes;
mod fields;
mod framer;
mod line;
mod refusal;
#[cfg(test)]
mod tests;
mod value;

pub use framer::{Framer, HeadLimits, Step};
pub use refusal::Refusal;
