//! Webhooks as their receivers meet them: the real process, killed too, and the document that receivers are written from.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "the harness stops a test where it stands")]

mod crashes;
mod document;
mod harness;
mod programs;
