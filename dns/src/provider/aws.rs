//! AWS Signature Version 4 for one service, as its documentation describes it.

use aws_lc_rs::{digest, hmac};
use clock::{SharedClock, Timestamp};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::secret::Secret;

/// What signs.
pub(crate) struct Signing {
    pub(crate) key_id: Secret,
    pub(crate) secret: Secret,
    pub(crate) region: String,
    pub(crate) service: &'static str,
    pub(crate) clock: SharedClock,
}

impl Signing {
    /// Adds `x-amz-date` and `authorization`.
    pub(crate) fn sign(&self, method: &Method, url: &Url, body: &[u8], headers: &mut HeaderMap) {
        let time = stamp(self.clock.now());
        let authorization = self.authorization(method, url, body, &time);
        if let (Ok(date), Ok(mut value)) = (HeaderValue::from_str(&time), HeaderValue::from_str(&authorization)) {
            value.set_sensitive(true);
            headers.insert("x-amz-date", date);
            headers.insert("authorization", value);
        }
    }

    fn authorization(&self, method: &Method, url: &Url, body: &[u8], time: &str) -> String {
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let canonical = format!(
            "{method}\n{}\n{}\nhost:{host}\nx-amz-date:{time}\n\nhost;x-amz-date\n{}",
            url.path(),
            query(url),
            hex(digest::digest(&digest::SHA256, body).as_ref())
        );
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let mut key = format!("AWS4{}", self.secret.reveal()).into_bytes();
        for part in [day, &self.region, self.service, "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        let signature = hex(&mac(&key, text.as_bytes()));
        let id = self.key_id.reveal();
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}")
    }
}

/// Ordered pairs, everything but unreserved characters encoded: not the `+` of forms.
fn query(url: &Url) -> String {
    let mut pairs: Vec<_> = url.query_pairs().map(|(name, value)| (strict(&name), strict(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn strict(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20150830T123600Z`.
fn stamp(now: Timestamp) -> String {
    let secs = now.as_secs();
    let (days, second) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or_default());
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a count of days since 1970-01-01, by eras of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::ManualClock;

    use super::*;

    /// The suite's "get-vanilla-query-order-key-case" and "get-vanilla" of AWS's own test vectors.
    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        let signing = Signing {
            key_id: Secret::new("AKIDEXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1".into(),
            service: "service",
            clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_440_938_160))),
        };
        let of = |url: &str| {
            let mut headers = HeaderMap::new();
            signing.sign(&Method::GET, &Url::parse(url).unwrap(), b"", &mut headers);
            assert_eq!(headers["x-amz-date"], "20150830T123600Z");
            headers["authorization"].to_str().unwrap().rsplit_once('=').unwrap().1.to_owned()
        };
        assert_eq!(
            of("https://example.amazonaws.com/"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            of("https://example.amazonaws.com/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
    }
}
