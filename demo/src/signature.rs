//! Is this webhook really from the control plane? The signature of Standard Webhooks: HMAC-SHA256 over
//! `<webhook-id>.<webhook-timestamp>.<body>`, under the key that `whsec_` carries in base64.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// An older signature may have been recorded by somebody; every attempt is signed anew.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Says why a webhook is not to be believed.
pub(crate) fn verify(secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    #[expect(clippy::disallowed_methods, reason = "a signature is judged by the time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    verify_at(secret, headers, body, now)
}

fn verify_at(secret: &str, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let timestamp = header("webhook-timestamp");
    let sent_at: u64 = timestamp.parse().map_err(|_| "webhook-timestamp is missing")?;
    if now.abs_diff(sent_at) > TOLERANCE_SECONDS {
        return Err("webhook-timestamp is too far from now");
    }
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).map_err(|_| "the signing secret is no base64")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [header("webhook-id").as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    // While a secret is rotated there are several signatures, with spaces between.
    let candidates = header("webhook-signature").split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let mut candidates = candidates.filter_map(|one| STANDARD.decode(one).ok());
    match candidates.any(|one| hmac::verify(&key, &signed, &one).is_ok()) {
        true => Ok(()),
        false => Err("no signature in webhook-signature is right"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const AT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn headers() -> HeaderMap {
        let headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_right_signature_is_believed_for_five_minutes_and_for_this_body_only() {
        assert_eq!(verify_at(SECRET, &headers(), BODY, AT + 300), Ok(()));
        assert!(verify_at(SECRET, &headers(), BODY, AT + 301).is_err());
        assert!(verify_at(SECRET, &headers(), b"{}", AT).is_err());
        assert!(verify_at("whsec_AAAA", &headers(), BODY, AT).is_err());
        assert!(verify_at(SECRET, &HeaderMap::new(), BODY, AT).is_err());
    }
}
