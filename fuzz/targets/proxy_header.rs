//! A balancer's PROXY protocol header: read the same way however it arrives, and never a byte beyond its end.
#![no_main]

use edge::proxy_protocol::{Header, MAX_HEADER, Malformed, read};
use libfuzzer_sys::fuzz_target;

/// Reads as the edge does: no more at a time than certainly belongs to the header. `None` when the bytes run out.
fn step_by_step(bytes: &[u8]) -> Option<Result<Header, Malformed>> {
    let mut have = 0;
    loop {
        match read(bytes.get(..have)?) {
            Ok(Header::More(more)) => {
                assert!(more > 0 && have + more <= MAX_HEADER, "{more} after {have}");
                have += more;
            }
            Ok(Header::Whole { length, source }) => {
                assert_eq!(length, have, "a byte of the visitor was taken");
                return Some(Ok(Header::Whole { length, source }));
            }
            Err(Malformed) => return Some(Err(Malformed)),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    match (step_by_step(input), read(input)) {
        (Some(step), whole) => assert_eq!(step, whole),
        // More than what is there was certain to come.
        (None, whole) => assert!(matches!(whole, Ok(Header::More(_)) | Err(Malformed)), "{whole:?}"),
    }
});
