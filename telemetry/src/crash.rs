//! What a crash may tell: where it was, and nothing that the process held.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal as _, Write as _},
    panic::PanicHookInfo,
    time::Duration,
};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// How long a panic waits for its line to be written: the process may be about to end.
const FLUSH: Duration = Duration::from_millis(200);

/// Keeps private keys, tokens and visitors' bytes inside the process, first thing in `main`: no core file, whatever the
/// kernel does with cores and whoever started us; no debugger of another process of the same user, no look at
/// `/proc/<pid>/mem`; and a panic that tells where it was but no value.
///
/// # Errors
/// What the kernel says. The rest is done all the same.
pub fn keep_secrets() -> io::Result<()> {
    std::panic::set_hook(Box::new(tell));
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A pattern that pipes cores to a program ignores the limit; this is what counts there.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(limited?)
}

/// One line. A closed or full standard error is no reason for a second panic.
fn tell(panic: &PanicHookInfo<'_>) {
    let text = describe(panic);
    // Taken only when RUST_BACKTRACE asks for it; names of functions, no arguments.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    match super::DIAGNOSTICS.get() {
        Some(lines) if !io::stderr().is_terminal() => {
            let line = serde_json::json!({"level": "ERROR", "message": text, "backtrace": backtrace});
            lines.write(format!("{line}\n").into_bytes());
            lines.flush(FLUSH);
        }
        _ => {
            let text = format!("{text}\n{}", backtrace.unwrap_or_default());
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

/// Only texts of the source are shown: a formatted message may hold whatever the code was working on.
fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)");
    format!("thread '{name}' panicked at {place}: {message}")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use parking_lot::Mutex;
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    static TOLD: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn a_panic_tells_its_place_and_no_value() {
        std::panic::set_hook(Box::new(|panic| *TOLD.lock() = describe(panic)));
        let secret = std::hint::black_box("canary");
        assert!(catch_unwind(|| panic!("a key is {secret}")).is_err());
        let told = std::mem::take(&mut *TOLD.lock());
        assert!(told.contains("crash.rs") && told.contains("withheld") && !told.contains("canary"), "{told}");
        let parsed = secret.parse::<u8>().map_err(|_| secret);
        assert!(catch_unwind(|| parsed.unwrap()).is_err());
        assert!(!TOLD.lock().contains("canary"));
        assert!(catch_unwind(|| panic!("a text of the source")).is_err());
        assert!(TOLD.lock().ends_with(": a text of the source"));
    }

    #[test]
    fn no_core_is_left_and_nobody_looks_inside() {
        keep_secrets().unwrap();
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
