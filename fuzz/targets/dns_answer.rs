//! DNS messages, also from servers that lie: an answer within the limits, or why there is none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| dns::fuzzing::answer(message));
