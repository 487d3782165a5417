//! Origins as tenants write them: one reading, and no numbers in other clothes.
#![no_main]

use control_client::{Host, Origin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(origin) = text.parse::<Origin>() else { return };
    assert_eq!(origin.to_string().parse::<Origin>().as_ref(), Ok(&origin), "{text}");
    if let Host::Name(name) = origin.host() {
        assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
        let last = name.rsplit('.').next().unwrap_or_default();
        assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "a resolver may take it for an address: {name}");
        let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(!hex, "a resolver may take it for an address: {name}");
    }
});
