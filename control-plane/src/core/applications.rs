//! Applications: one product of an account, with what its connections inherit.

use std::collections::HashSet;

use sqlx::FromRow;

use super::{
    Caller, Core, CoreError, Document, Environment, Flag, Moment, Scope, TemplateRecord, audit,
    jobs::{self, JobKind},
    name_rules::check_origin,
    new_id, record_rules,
};
use crate::db::{self, Session};

/// Longest name of anything.
pub(crate) const MAX_NAME: usize = 100;
/// Most embed origins of an application, and records of a template: more is a mistake.
pub(crate) const MAX_LIST: usize = 50;

/// An application.
#[derive(Debug, Clone, FromRow)]
pub struct Application {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// Its name.
    pub name: String,
    /// Test or live.
    pub environment: Environment,
    /// Which pages may embed the widget.
    pub allowed_origins: Document<Vec<String>>,
    /// Which records its connections need; empty is the built-in template.
    pub record_template: Document<Vec<TemplateRecord>>,
    /// Where requests go when a connection does not say.
    pub default_origin: Option<String>,
    /// Whether connections keep the customer's Host unless they say otherwise.
    pub default_keep_host: Flag,
    /// When it was made.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
}

/// What a new application is made of.
#[derive(Debug, Clone, Default)]
pub struct NewApplication {
    /// Its name.
    pub name: String,
    /// Which pages may embed the widget.
    pub allowed_origins: Vec<String>,
    /// Which records its connections need.
    pub record_template: Vec<TemplateRecord>,
    /// Where requests go by default.
    pub default_origin: Option<String>,
    /// Whether the customer's Host is kept by default.
    pub default_keep_host: bool,
}

/// What shall be changed; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ApplicationPatch {
    /// Its name.
    pub name: Option<String>,
    /// Which pages may embed the widget.
    pub allowed_origins: Option<Vec<String>>,
    /// Which records new connections need.
    pub record_template: Option<Vec<TemplateRecord>>,
    /// Where requests go by default; `Some(None)` takes the default away.
    pub default_origin: Option<Option<String>>,
    /// Whether the customer's Host is kept by default.
    pub default_keep_host: Option<bool>,
}

impl Core {
    /// Makes an application in the caller's environment.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Invalid`], [`CoreError::Db`].
    pub async fn create_application(
        &self,
        tx: &mut Session,
        caller: &Caller,
        new: NewApplication,
    ) -> Result<Application, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let now = self.now();
        let application = Application {
            id: new_id(),
            account_id: caller.account_id.clone(),
            name: new.name,
            environment: caller.environment,
            allowed_origins: Document(new.allowed_origins),
            record_template: Document(new.record_template),
            default_origin: new.default_origin,
            default_keep_host: Flag(new.default_keep_host),
            created_at: now,
            updated_at: now,
        };
        self.check_application(&application)?;
        db::applications::insert(tx, &application).await?;
        audit::note(tx, &caller.account_id, &caller.actor, "application.create", &application.id, now).await?;
        Ok(application)
    }

    /// The caller's application of this id.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], [`CoreError::Db`].
    pub async fn application(&self, caller: &Caller, id: &str) -> Result<Application, CoreError> {
        self.application_in(&mut self.read().await?, caller, id).await
    }

    pub(crate) async fn application_in(
        &self,
        session: &mut Session,
        caller: &Caller,
        id: &str,
    ) -> Result<Application, CoreError> {
        let found = db::applications::find(session, id).await?;
        let mine = found.filter(|application| {
            caller.owns(&application.account_id, application.environment) && caller.may_see_application(id)
        });
        mine.ok_or(CoreError::NotFound { what: "application" })
    }

    /// Every origin that some application names. For what is asked before it is known who asks.
    ///
    /// # Errors
    /// [`CoreError::Db`].
    pub async fn allowed_origins(&self) -> Result<HashSet<String>, CoreError> {
        let lists = db::applications::allowed_origins(&mut self.read().await?).await?;
        Ok(lists.into_iter().flat_map(|Document(list)| list).collect())
    }

    /// The caller's applications after `after`, at most `limit`, the newest first.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::Db`].
    pub async fn applications(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Application>, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let mut session = self.read().await?;
        Ok(db::applications::page(&mut session, &caller.account_id, caller.environment, after, limit).await?)
    }

    /// Changes an application. Connections that inherit its origin follow in a job.
    ///
    /// # Errors
    /// [`CoreError::LacksScope`], [`CoreError::NotFound`], [`CoreError::Invalid`], [`CoreError::Db`].
    pub async fn update_application(
        &self,
        caller: &Caller,
        id: &str,
        patch: ApplicationPatch,
    ) -> Result<Application, CoreError> {
        caller.require(Scope::AppsAdmin)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut application = self.application_in(&mut tx, caller, id).await?;
        apply(&mut application, patch);
        application.updated_at = now;
        self.check_application(&application)?;
        db::applications::update(&mut tx, &application).await?;
        audit::note(&mut tx, &caller.account_id, &caller.actor, "application.update", id, now).await?;
        jobs::schedule(&mut tx, JobKind::Reroute, id, now).await?;
        self.commit(tx).await?;
        Ok(application)
    }

    fn check_application(&self, application: &Application) -> Result<(), CoreError> {
        check_name("/name", &application.name)?;
        check_length("/allowed_origins", application.allowed_origins.0.len())?;
        check_length("/record_template", application.record_template.0.len())?;
        record_rules::check_template(&application.record_template.0)?;
        for (index, origin) in application.allowed_origins.0.iter().enumerate() {
            check_origin(origin, &format!("/allowed_origins/{index}"), true)?;
        }
        if let Some(origin) = &application.default_origin {
            check_origin(origin, "/default_origin", self.settings.dev)?;
        }
        Ok(())
    }
}

fn apply(application: &mut Application, patch: ApplicationPatch) {
    let ApplicationPatch { name, allowed_origins, record_template, default_origin, default_keep_host } = patch;
    name.into_iter().for_each(|name| application.name = name);
    allowed_origins.into_iter().for_each(|list| application.allowed_origins = Document(list));
    record_template.into_iter().for_each(|list| application.record_template = Document(list));
    default_origin.into_iter().for_each(|origin| application.default_origin = origin);
    default_keep_host.into_iter().for_each(|keep| application.default_keep_host = Flag(keep));
}

pub(crate) fn check_name(pointer: &str, name: &str) -> Result<(), CoreError> {
    match name.trim().is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        true => Err(CoreError::invalid(pointer, format!("between 1 and {MAX_NAME} visible characters"))),
        false => Ok(()),
    }
}

pub(crate) fn check_length(pointer: &str, length: usize) -> Result<(), CoreError> {
    match length > MAX_LIST {
        true => Err(CoreError::invalid(pointer, format!("at most {MAX_LIST} entries"))),
        false => Ok(()),
    }
}
