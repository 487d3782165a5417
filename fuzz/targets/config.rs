//! Configuration files: every mistake has a place in the file, and the two binaries read without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mistakes = [
        config::parse("edge.toml", text, []).err(),
        config::parse_control("control.toml", text, [], config::Mode::Development).err(),
        config::parse_control("control.toml", text, [], config::Mode::Production).err(),
    ];
    for mistake in mistakes.iter().flatten() {
        assert!(!mistake.to_string().is_empty());
    }
});
