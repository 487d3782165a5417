//! [`Prospect`]: a hostname that somebody thinks of connecting, and what it would need. Nothing is kept.

use names::Hostname;

use super::{Application, Caller, Core, CoreError, DesiredRecord, Kind, Scope, name_rules::claimable, template};
/// A hostname that may be connected.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// The name.
    pub hostname: Hostname,
    /// Apex or subdomain.
    pub kind: Kind,
    /// The registrable domain.
    pub apex: String,
    /// For which application, when it was said.
    pub application_id: Option<String>,
    /// The records that it would need.
    pub records: Vec<DesiredRecord>,
    /// The providers that the application has a credential for.
    pub credentials: Vec<String>,
    /// Whether `*.` of the name may be connected too.
    pub wildcard: bool,
}

impl Core {
    /// What a hostname would need under an application, or under none.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::BadHostname`], [`CoreError::NameRefused`],
    /// [`CoreError::Db`].
    pub async fn prospect(
        &self,
        caller: &Caller,
        application_id: Option<&str>,
        hostname: &str,
    ) -> Result<Prospect, CoreError> {
        caller.require_any(&[Scope::ConnectionsRead, Scope::ConnectionsWrite])?;
        let application = match application_id.or(caller.only_application.as_deref()) {
            Some(id) => Some(self.application(caller, id).await?),
            None => None,
        };
        let name = claimable(hostname, &self.settings)?;
        if !caller.may_see_hostname(name.hostname.as_str()) {
            return Err(CoreError::LacksScope { scope: Scope::ConnectionsRead });
        }
        let own = application.as_ref().map(|application| application.record_template.0.as_slice());
        let records = template::expand(own.unwrap_or_default(), &name, &self.settings.edge);
        let credentials = match &application {
            Some(application) => self.providers_of(application).await?,
            None => Vec::new(),
        };
        let wildcard = claimable(&format!("*.{}", name.hostname), &self.settings).is_ok();
        Ok(Prospect {
            hostname: name.hostname,
            kind: name.kind,
            apex: name.apex,
            application_id: application.map(|application| application.id),
            records,
            credentials,
            wildcard,
        })
    }

    /// The providers of an application's credentials.
    async fn providers_of(&self, application: &Application) -> Result<Vec<String>, CoreError> {
        let held = self.usable_credentials(&application.id).await?;
        Ok(held.into_iter().map(|credential| credential.provider).collect())
    }
}
