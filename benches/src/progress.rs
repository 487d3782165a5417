//! What a run tells while it works: to stderr, so that the tables on stdout can be kept.

use std::io::Write;

/// One line of progress.
pub fn say(line: &str) {
    // Nobody to tell is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}
