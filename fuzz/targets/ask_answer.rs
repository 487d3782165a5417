//! What an ask endpoint says: a usable site or an error, never half of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The first line is the content type, if there is one; the rest is the body.
fn parts(input: &[u8]) -> (Option<&str>, &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return (None, input) };
    let kind = str::from_utf8(&input[..end]).ok().filter(|kind| !kind.is_empty());
    (kind, &input[end + 1..])
}

fuzz_target!(|input: &[u8]| {
    let (kind, body) = parts(input);
    let name = "shop.example.com".parse().expect("a name");
    let Some(site) = control_client::fuzzing::ask_answer(&name, kind, body) else { return };
    assert_eq!(site.hostname, name, "an answer is for the name that was asked about");
    if let Some(origin) = &site.origin {
        let again = origin.to_string().parse::<control_client::Origin>();
        assert_eq!(again.as_ref(), Ok(origin), "an origin has one reading");
    }
    if let Some(redirect) = &site.redirect {
        assert!(redirect.starts_with("http://") || redirect.starts_with("https://"), "{redirect}");
        assert!(redirect.bytes().all(|byte| byte.is_ascii_graphic()), "{redirect}");
    }
});
