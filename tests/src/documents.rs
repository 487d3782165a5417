//! What the documents tell their readers to type, typed.

mod authentication;
mod self_hosting;
