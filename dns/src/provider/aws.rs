//! AWS Signature Version 4 for one service. The signing itself is AWS's own crate.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use clock::SharedClock;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
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
    /// Adds `x-amz-date` and `authorization`. A request that cannot be signed goes without, and is refused as such.
    pub(crate) fn sign(&self, method: &Method, url: &Url, body: &[u8], headers: &mut HeaderMap) {
        for (name, value) in self.signature(method, url, body).unwrap_or_default() {
            if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
    }

    /// The fields that are added.
    fn signature(&self, method: &Method, url: &Url, body: &[u8]) -> Option<Vec<(String, String)>> {
        let keys = Credentials::builder().provider_name("namegate");
        let keys = keys.access_key_id(self.key_id.reveal()).secret_access_key(self.secret.reveal()).build().into();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now().as_secs());
        let params = v4::SigningParams::builder().identity(&keys).region(&self.region).name(self.service).time(now);
        let params = params.settings(SigningSettings::default()).build().ok()?.into();
        let request = SignableRequest::new(method.as_str(), url.as_str(), [].into_iter(), SignableBody::Bytes(body));
        let (fields, _) = sign(request.ok()?, &params).ok()?.into_parts();
        Some(fields.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::{ManualClock, Timestamp};

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
