//! What the body of an allowing answer means.
//!
//! Ask endpoints written for Caddy answer 200 with anything or nothing (`OK`, an empty body): that is a plain allow. A
//! body that claims to be JSON, by its content type or by its first byte, is held to it: half an answer must never be
//! taken for "allowed, with the defaults".

use control_api::AskAnswer;

/// Reads the body of an allow.
///
/// # Errors
/// The body claims to be JSON and is no [`AskAnswer`].
pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<AskAnswer, serde_json::Error> {
    let body = body.trim_ascii();
    let claims_json = content_type.is_some_and(is_json) || body.first() == Some(&b'{');
    match claims_json && !body.is_empty() {
        true => serde_json::from_slice(body),
        false => Ok(AskAnswer::default()),
    }
}

/// `application/json`, or a structured suffix such as `application/problem+json` (RFC 6839), parameters aside.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_answer_only_when_it_claims_to_be_json() {
        const JSON: Option<&str> = Some("application/json");
        const TEXT: Option<&str> = Some("text/plain");
        const CASES: &[(Option<&str>, &str, Result<u64, ()>)] = &[
            (None, "", Ok(0)),
            (JSON, "", Ok(0)),
            (JSON, " \r\n", Ok(0)),
            (None, "OK", Ok(0)),
            (TEXT, "allowed {\"generation\":3}", Ok(0)),
            (Some("text/html"), "<html>", Ok(0)),
            (None, r#"{"generation":3}"#, Ok(3)),
            (TEXT, "\n {\"generation\":3}\n", Ok(3)),
            (JSON, r#"{"generation":3,"colour":"blue"}"#, Ok(3)),
            (Some("Application/JSON; charset=utf-8"), r#"{"generation":3}"#, Ok(3)),
            (Some("application/ask+json"), r#"{"generation":3}"#, Ok(3)),
            (JSON, "OK", Err(())),
            (JSON, "null", Err(())),
            (JSON, "[1]", Err(())),
            (Some("application/ask+json"), "OK", Err(())),
            (None, "{", Err(())),
            (None, "{not json}", Err(())),
            (None, r#"{"generation":-1}"#, Err(())),
            (None, r#"{"generation":3} trailing"#, Err(())),
            (None, r#"{"hostname":"a_b.example"}"#, Err(())),
            (TEXT, r#"{"keep_host":"yes"}"#, Err(())),
        ];
        for (content_type, body, generation) in CASES {
            let read = read(*content_type, body.as_bytes()).map(|answer| answer.generation).map_err(drop);
            assert_eq!(read, *generation, "{content_type:?} {body}");
        }
    }
}
