//! Credentials of DNS providers: stored, listed, tried, taken away. What was stored is in no answer.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dns::{
    OwnerName,
    provider::{Problem as ProviderProblem, ProviderError, Secret},
};
use names::Hostname;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    auth::Key,
    body::Body,
    cursor::{Page, Paging},
    error::Problem,
    once::{Once, Start},
    parts::{Path, Query},
    views::Time,
};
use crate::core::{CoreError, Credential, NewCredential, Scope};

/// A new credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCredential {
    /// The provider's key; `GET /v1/providers` lists them.
    #[schema(example = "cloudflare")]
    provider: String,
    /// In the form that the provider's entry describes.
    #[schema(min_length = 1, max_length = 8192, example = "…")]
    token: String,
    /// The provider's id of the zone, where it wants one (Route 53: the hosted zone's id).
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    zone_id: Option<String>,
}

/// A credential. Its content is not readable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialView {
    id: String,
    application_id: String,
    #[schema(example = "cloudflare")]
    provider: String,
    zone_id: Option<String>,
    #[schema(example = "test")]
    environment: &'static str,
    created_at: Time,
}

impl From<Credential> for CredentialView {
    fn from(from: Credential) -> Self {
        Self {
            id: from.id,
            application_id: from.application_id,
            provider: from.provider,
            zone_id: from.zone_id,
            environment: from.environment.as_str(),
            created_at: from.created_at.into(),
        }
    }
}

/// Store a credential of a DNS provider. It is sealed and never shown again. Needs `apps:admin`.
#[utoipa::path(post, path = "/v1/applications/{id}/credentials", tag = "applications", request_body = CreateCredential,
    params(("id" = String, Path, format = "uuid"), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 201, body = CredentialView), (status = "4XX", body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body<CreateCredential>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AppsAdmin)?;
    let what = format!("POST /v1/applications/{id}/credentials");
    let mut once = match Once::start(&state.core, &caller, &headers, &what, &body.bytes).await? {
        Start::Do(once) => once,
        Start::Answer(answer) => return Ok(answer),
    };
    let CreateCredential { provider, token, zone_id } = body.value;
    let token = Secret::new(&token);
    if let Err(error) = state.writer.provider(&provider, &token, zone_id.as_deref()) {
        return Err(once.fail(refused(&error)).await);
    }
    let mut tx = once.begin().await?;
    match state.core.create_credential(&mut tx, &caller, &id, NewCredential { provider, token, zone_id }).await {
        Ok(made) => {
            let view = CredentialView::from(made);
            once.finish(tx, StatusCode::CREATED, &view, &view).await
        }
        Err(error) => {
            drop(tx);
            Err(once.fail(error).await)
        }
    }
}

/// Which of the two fields is wrong.
fn refused(error: &ProviderError) -> CoreError {
    match error.problem {
        ProviderProblem::Unsupported(_) => CoreError::invalid("/provider", "no such provider".to_owned()),
        _ => CoreError::invalid("/token", error.advice()),
    }
}

/// The credentials of an application, the newest first. Needs `apps:admin`.
#[utoipa::path(get, path = "/v1/applications/{id}/credentials", tag = "applications",
    params(("id" = String, Path, format = "uuid"), Paging),
    responses((status = 200, body = Page<CredentialView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<CredentialView>>, ApiError> {
    let rows = state.core.credentials(&caller, &id, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |row| &row.id, Into::into)))
}

/// Take a credential away. Records that were written with it stay. Needs `apps:admin`.
#[utoipa::path(delete, path = "/v1/applications/{id}/credentials/{credential_id}", tag = "applications",
    params(("id" = String, Path, format = "uuid"), ("credential_id" = String, Path, format = "uuid")),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    Key(caller): Key,
    Path((id, credential_id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state.core.delete_credential(&caller, &id, &credential_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which name to try a credential with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestCredential {
    #[schema(example = "shop.customer.com")]
    hostname: String,
}

/// What a credential can do for a name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestedCredential {
    /// Whether the provider knows it and its account has a zone for the name.
    ok: bool,
    /// The zone that holds the name.
    zone: Option<String>,
    /// How many records the zone has.
    records: Option<usize>,
    /// What stands in the way, for programs.
    #[schema(example = "zone_not_found")]
    code: Option<&'static str>,
    /// The same for the customer.
    message: Option<String>,
    /// The provider's own words.
    said: Option<String>,
}

impl From<Result<(String, usize), ProviderError>> for TestedCredential {
    fn from(result: Result<(String, usize), ProviderError>) -> Self {
        match result {
            Ok((zone, records)) => {
                Self { ok: true, zone: Some(zone), records: Some(records), code: None, message: None, said: None }
            }
            Err(error) => Self {
                ok: false,
                zone: None,
                records: None,
                code: Some(error.problem.code()),
                message: Some(error.advice()),
                said: error.said,
            },
        }
    }
}

/// Try a credential: find the zone of a name at the provider and read it. Nothing is written. Needs `apps:admin`.
#[utoipa::path(post, path = "/v1/applications/{id}/credentials/{credential_id}/test", tag = "applications",
    request_body = TestCredential,
    params(("id" = String, Path, format = "uuid"), ("credential_id" = String, Path, format = "uuid")),
    responses((status = 200, body = TestedCredential), (status = "4XX", body = Problem)))]
pub(crate) async fn test(
    State(state): State<AppState>,
    Key(caller): Key,
    Path((id, credential_id)): Path<(String, String)>,
    body: Body<TestCredential>,
) -> Result<Json<TestedCredential>, ApiError> {
    let hostname = Hostname::parse(&body.value.hostname).map_err(CoreError::BadHostname)?;
    let credential = state.core.credential(&caller, &id, &credential_id).await?;
    let tried = try_it(&state, &credential, &hostname).await?;
    Ok(Json(tried.into()))
}

async fn try_it(
    state: &AppState,
    credential: &Credential,
    hostname: &Hostname,
) -> Result<Result<(String, usize), ProviderError>, ApiError> {
    let token = state.core.open_credential(credential)?;
    let tried = async {
        let provider = state.writer.provider(&credential.provider, &token, credential.zone_id.as_deref())?;
        let zone = provider.find_zone(&OwnerName::from(hostname)).await?;
        let records = provider.list(&zone).await?;
        Ok((zone.name, records.len()))
    };
    Ok(tried.await)
}
