//! Widget tokens: JWTs for a browser, bound to one application and perhaps to one hostname, for an hour.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::core::{Caller, CoreError, Environment, Moment, Scope, Surface};

/// How long a token is good for.
pub const TTL: Duration = Duration::from_mins(60);
const AUDIENCE: &str = "namegate-widget";
/// What stands before the key's id in the audit log.
const ACTOR: &str = "widget:";

/// Signs and reads tokens.
pub struct Tokens {
    sign: EncodingKey,
    /// The current secret's and those of former ones.
    read: Vec<DecodingKey>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    iat: i64,
    /// The account.
    sub: String,
    env: Environment,
    app: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// The key that asked for it, for the audit log.
    act: String,
}

impl Tokens {
    /// Signs under the first line of `secrets` and reads what was signed under any, so that a secret can be changed
    /// without a browser noticing: the old one stays as a further line for an hour.
    pub fn new(secrets: &str) -> Self {
        let mut lines = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let read = std::iter::once(first).chain(lines).map(|line| DecodingKey::from_secret(line.as_bytes()));
        Self { sign: EncodingKey::from_secret(first.as_bytes()), read: read.collect() }
    }

    /// A token for an application of the caller's, and when it ends.
    ///
    /// # Errors
    /// [`CoreError::Unauthorized`] when it cannot be signed.
    pub fn mint(
        &self,
        caller: &Caller,
        application_id: &str,
        hostname: Option<&str>,
        now: Moment,
    ) -> Result<(String, Moment), CoreError> {
        let ends = now.after(TTL);
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            exp: ends.as_secs(),
            iat: now.as_secs(),
            sub: caller.account_id.clone(),
            env: caller.environment,
            app: application_id.to_owned(),
            host: hostname.map(str::to_owned),
            act: caller.actor.clone(),
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(|_| CoreError::Unauthorized)?;
        Ok((token, ends))
    }

    /// The id of the key that asked for the token of this caller.
    pub fn minted_by(caller: &Caller) -> &str {
        caller.actor.strip_prefix(ACTOR).unwrap_or_default()
    }

    /// Who calls with a token. Whether its key still stands is asked of the core.
    ///
    /// # Errors
    /// [`CoreError::Unauthorized`].
    pub fn caller(&self, token: &str, now: Moment) -> Result<Caller, CoreError> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        // Compared with our own clock below: the library would read the machine's.
        rules.validate_exp = false;
        let mut readings = self.read.iter().map(|key| decode::<Claims>(token, key, &rules));
        let claims = readings.find_map(Result::ok).ok_or(CoreError::Unauthorized)?.claims;
        if claims.exp <= now.as_secs() {
            return Err(CoreError::Unauthorized);
        }
        Ok(Caller {
            account_id: claims.sub,
            environment: claims.env,
            surface: Surface::ConnectDomain,
            scopes: vec![Scope::ConnectionsRead, Scope::ConnectionsWrite],
            actor: format!("{ACTOR}{}", claims.act),
            only_application: Some(claims.app),
            only_hostname: claims.host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_an_hour_under_its_own_secret() {
        let tokens = Tokens::new("one secret of more than 32 characters");
        let caller = Caller::operator("account", Environment::Test, Surface::ConnectDomain);
        let now = Moment::from_millis(1_800_000_000_000);
        let (token, ends) = tokens.mint(&caller, "app", Some("shop.example"), now).unwrap();
        let read = tokens.caller(&token, now).unwrap();
        assert_eq!(
            (read.only_application.as_deref(), read.only_hostname.as_deref()),
            (Some("app"), Some("shop.example"))
        );
        assert!(tokens.caller(&token, ends).is_err());
        let other = "another secret of 32 characters and";
        assert!(Tokens::new(other).caller(&token, now).is_err());
        // While the old secret is a further line, its tokens are read; new ones are signed under the first.
        let both = Tokens::new(&format!("{other}\none secret of more than 32 characters\n"));
        assert!(both.caller(&token, now).is_ok());
        let (new, _) = both.mint(&caller, "app", None, now).unwrap();
        assert!(Tokens::new(other).caller(&new, now).is_ok());
        assert!(tokens.caller(&new, now).is_err());
    }
}
