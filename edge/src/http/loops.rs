//! Requests that come back: an origin that is this edge again, behind an address that does not tell.
//!
//! `CDN-Loop` (RFC 8586) rather than `Via`: servers take `Via` as a reason to compress nothing (nginx's `gzip_proxied`).

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Head;

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// The mark of a fleet of edges on the requests that it has passed on.
#[derive(Debug, Clone)]
pub struct LoopMark(HeaderValue);

impl LoopMark {
    /// The mark of every edge that `fleet` describes alike. Edges of somebody else are a way on, not a loop, so the mark
    /// is one that they do not have; it tells nothing of what it is made from.
    pub fn of(fleet: &str) -> Self {
        let digest = digest(&SHA256, fleet.as_bytes());
        let hex: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mark = HeaderValue::try_from(format!("namegate-{hex}"));
        Self(mark.unwrap_or_else(|_| HeaderValue::from_static("namegate")))
    }

    /// Whether a request has been passed on by this fleet already.
    pub fn is_on(&self, fields: &HeaderMap) -> bool {
        let values = fields.get_all(CDN_LOOP).iter();
        let mut elements = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        elements.any(|element| {
            let id = element.split(|byte| *byte == b';').next().unwrap_or_default();
            id.trim_ascii().eq_ignore_ascii_case(self.0.as_bytes())
        })
    }

    /// Marks a request; the marks of others stay (RFC 8586 section 2).
    pub fn put_on(&self, head: &mut impl Head) {
        let value = match head.fields().contains_key(CDN_LOOP) {
            true => super::forward::joined(head.fields(), &CDN_LOOP, &self.0),
            false => self.0.clone(),
        };
        head.set(CDN_LOOP, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_request_is_known_among_the_marks_of_others() {
        let mark = LoopMark::of("this fleet");
        let mut head = HeaderMap::new();
        assert!(!mark.is_on(&head));
        head.append(CDN_LOOP, HeaderValue::from_static("cdn.example; a=\"b\""));
        mark.put_on(&mut head);
        assert!(mark.is_on(&head), "{head:?}");
        assert!(head[CDN_LOOP].to_str().unwrap().starts_with("cdn.example; a=\"b\", namegate-"));
        assert!(!LoopMark::of("another fleet").is_on(&head));

        let own = mark.0.to_str().unwrap();
        for (value, known) in [
            (own.to_uppercase(), true),
            (format!("a,{own};x=1 ,b"), true),
            (format!("\t{own} "), true),
            (format!("{own}x"), false),
            (format!("a; {own}"), false),
        ] {
            let head = HeaderMap::from_iter([(CDN_LOOP, HeaderValue::from_str(&value).unwrap())]);
            assert_eq!(mark.is_on(&head), known, "{value}");
        }
    }
}
