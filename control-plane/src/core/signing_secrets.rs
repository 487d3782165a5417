//! Signing secrets of endpoints: made, rotated, and opened for the sender.
//!
//! After a rotation the secret before it goes on signing beside the new one for a day, so that a receiver may learn the
//! new one without losing a message.

use super::{Caller, Core, CoreError, WebhookEndpoint, audit, endpoints::own_endpoint, secret_key::random_base62};
use crate::db;

/// Characters of a signing secret: 190 bits.
const SECRET_LEN: usize = 32;

/// The secrets that a message is signed with. No `Debug`: they are nobody's business.
pub struct SigningSecrets {
    /// The one that its owner was shown last.
    pub current: String,
    /// The one before it, as long as it is good.
    pub former: Option<String>,
}

impl WebhookEndpoint {
    /// The place that its secret is sealed for.
    pub fn secret_context(&self) -> String {
        context(&self.id)
    }

    fn former_context(&self) -> String {
        format!("webhook_endpoints.sealed_former.{}", self.id)
    }
}

fn context(id: &str) -> String {
    format!("webhook_endpoints.sealed_secret.{id}")
}

impl Core {
    /// A new secret for an endpoint: to show, and sealed.
    pub(crate) fn new_signing_secret(&self, endpoint_id: &str) -> Result<(String, Vec<u8>), CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        // Standard Webhooks: what follows `whsec_` is the key in base64, which 32 letters and digits always are.
        let secret = format!("whsec_{}", random_base62(SECRET_LEN));
        let sealed = keyring.seal(&context(endpoint_id), secret.as_bytes())?;
        Ok((secret, sealed))
    }

    /// Gives an endpoint another secret, which is returned once. The one before it signs beside it for a day; one that
    /// did so already is forgotten.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::NoKeyring`], [`CoreError::Seal`],
    /// [`CoreError::Db`].
    pub async fn rotate_signing_secret(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(WebhookEndpoint, String), CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        db::accounts::hold(&mut tx, &caller.account_id).await?;
        let mut endpoint = own_endpoint(&mut tx, caller, id).await?;
        let former = keyring.open(&endpoint.secret_context(), &endpoint.sealed_secret)?;
        endpoint.sealed_former = Some(keyring.seal(&endpoint.former_context(), &former)?);
        endpoint.former_until = Some(now.after(self.settings.former_secret_keep));
        let (secret, sealed) = self.new_signing_secret(id)?;
        endpoint.sealed_secret = sealed;
        db::endpoints::set_secrets(&mut tx, &endpoint).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "webhook_endpoint.rotate_secret", id, now).await?;
        tx.commit().await?;
        Ok((endpoint, secret))
    }

    /// Opens the secrets of an endpoint.
    ///
    /// # Errors
    /// [`CoreError::NoKeyring`], [`CoreError::Seal`].
    pub fn signing_secrets(&self, endpoint: &WebhookEndpoint) -> Result<SigningSecrets, CoreError> {
        let keyring = self.keyring().ok_or(CoreError::NoKeyring)?;
        let open = |context: &str, sealed: &[u8]| {
            let secret = keyring.open(context, sealed)?;
            String::from_utf8(secret).map_err(|_| super::SealError::Refused)
        };
        let is_good = endpoint.former_until.is_some_and(|until| self.now() < until);
        let former = endpoint.sealed_former.as_ref().filter(|_| is_good);
        Ok(SigningSecrets {
            current: open(&endpoint.secret_context(), &endpoint.sealed_secret)?,
            former: former.map(|sealed| open(&endpoint.former_context(), sealed)).transpose()?,
        })
    }
}
