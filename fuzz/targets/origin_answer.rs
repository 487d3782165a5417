//! What an origin answers: heads and bodies, in any pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (most, bytes) = input;
    edge::fuzzing::answer(bytes, usize::from(most) * 16);
});
