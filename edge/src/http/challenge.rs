//! The one path that the edge answers itself: the file of HTTP-01 (RFC 8555 section 8.3).
//!
//! The path is compared byte by byte, as it came, and never decoded: what an order has on offer is one exact path, and
//! any other spelling of it is somebody else's.

/// Where CAs look.
const FOLDER: &str = "/.well-known/acme-challenge/";

/// Where a CA looks for a token.
pub fn path(token: &str) -> String {
    format!("{FOLDER}{token}")
}

/// The token that a target asks for, if it is below the folder. A target is a path and a query as they came; one that
/// has a query, or anything else behind the token, asks for a token that nobody has.
pub fn token(target: &str) -> Option<&str> {
    target.strip_prefix(FOLDER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_stands_behind_the_folder_and_nothing_behind_it_is_taken_off() {
        assert_eq!(token("/.well-known/acme-challenge/abc"), Some("abc"));
        assert_eq!(token("/.well-known/acme-challenge/abc?d"), Some("abc?d"));
        assert_eq!(token("/.well-known/acme-challenge"), None);
        assert_eq!(token("/.well-known/acme-challenge%2fabc"), None);
        assert_eq!(token("/.WELL-KNOWN/acme-challenge/abc"), None);
        assert_eq!(token("//.well-known/acme-challenge/abc"), None);
        assert_eq!(token("http://a.test/.well-known/acme-challenge/abc"), None);
    }

    proptest! {
        #[test]
        fn only_one_target_asks_for_a_token(target in "(/|//|/\\.\\./|%2f)?[.]well-known(/|%2F|/\\./)acme-challenge/(/|[.]/|%61)?abc[?#;/ ]?") {
            prop_assert_eq!(token(&target) == Some("abc"), target == "/.well-known/acme-challenge/abc");
        }
    }
}
