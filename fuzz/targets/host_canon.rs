//! The canonical form: one spelling for each name, and nothing in it that another parser could read differently. What
//! looks like another name is never plain ASCII.
#![no_main]

use libfuzzer_sys::fuzz_target;
use names::{Hostname, Lookalikes, MAX_HOSTNAME, MAX_LABEL};

fuzz_target!(|text: &str| {
    let Ok(name) = Hostname::parse(text) else { return };
    let canonical = name.as_str();
    assert_eq!(Hostname::parse(canonical).as_ref(), Ok(&name), "parsing it again changes nothing");
    assert_eq!(Hostname::parse(&format!("{canonical}.")).as_ref(), Ok(&name), "a trailing dot");
    assert_eq!(Hostname::parse(&canonical.to_ascii_uppercase()).as_ref(), Ok(&name), "upper case");
    assert!(canonical.len() <= MAX_HOSTNAME && canonical.contains('.'));
    for label in canonical.split('.') {
        assert!((1..=MAX_LABEL).contains(&label.len()), "{label}");
        assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{label}");
        assert!(!label.starts_with('-') && !label.ends_with('-'), "{label}");
    }
    assert!(canonical.parse::<std::net::IpAddr>().is_err());
    let suspicions = Lookalikes::default().suspicions(&name);
    assert!(suspicions.is_empty() || canonical.contains("xn--"), "{canonical} is ASCII, and {suspicions:?}");
});
