//! Applications and their keys.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    auth::Key,
    body::{Body, objects, some_null, some_objects},
    cursor::{Page, Paging},
    error::Problem,
    once::{Once, Start},
    parts::{Path, Query},
    views::{ApplicationView, KeyView},
};
use crate::core::{ApplicationPatch, CoreError, NewApplication, NewKey, Scope, TemplateRecord};

/// A new application.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApplication {
    #[schema(min_length = 1, max_length = 100, example = "Acme Sites")]
    name: String,
    /// Which pages may embed the widget.
    #[serde(default)]
    #[schema(example = json!(["https://app.acme.example"]))]
    allowed_origins: Vec<String>,
    /// Which records new connections need; empty is the built-in template.
    #[serde(default, deserialize_with = "objects")]
    record_template: Vec<TemplateRecord>,
    /// Where requests go when a connection does not say.
    #[serde(default)]
    default_origin: Option<String>,
    /// Send the customer's Host to the origin unless a connection says otherwise.
    #[serde(default)]
    default_keep_host: bool,
    /// Must be the key's own.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    environment: Option<crate::core::Environment>,
}

/// Make an application. Needs `apps:admin`.
#[utoipa::path(post, path = "/v1/applications", tag = "applications", request_body = CreateApplication,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 201, body = ApplicationView), (status = "4XX", body = Problem)))]
pub(crate) async fn create(
    State(state): State<AppState>,
    Key(caller): Key,
    headers: HeaderMap,
    body: Body<CreateApplication>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AppsAdmin)?;
    let mut once = match Once::start(&state.core, &caller, &headers, "POST /v1/applications", &body.bytes).await? {
        Start::Do(once) => once,
        Start::Answer(answer) => return Ok(answer),
    };
    let wish = body.value;
    if wish.environment.is_some_and(|environment| environment != caller.environment) {
        let detail = "a key makes applications of its own environment alone".to_owned();
        return Err(once.fail(CoreError::Invalid { pointer: "/environment".to_owned(), detail }).await);
    }
    let new = NewApplication {
        name: wish.name,
        allowed_origins: wish.allowed_origins,
        record_template: wish.record_template,
        default_origin: wish.default_origin,
        default_keep_host: wish.default_keep_host,
    };
    let mut tx = once.begin().await?;
    match state.core.create_application(&mut tx, &caller, new).await {
        Ok(made) => {
            let view = ApplicationView::from(made);
            once.finish(tx, StatusCode::CREATED, &view, &view).await
        }
        Err(error) => {
            drop(tx);
            Err(once.fail(error).await)
        }
    }
}

/// Your applications, the newest first. Needs `apps:admin`.
#[utoipa::path(get, path = "/v1/applications", tag = "applications", params(Paging),
    responses((status = 200, body = Page<ApplicationView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Key(caller): Key,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ApplicationView>>, ApiError> {
    let rows = state.core.applications(&caller, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |row| &row.id, Into::into)))
}

/// One application.
#[utoipa::path(get, path = "/v1/applications/{id}", tag = "applications", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = ApplicationView), (status = "4XX", body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<Json<ApplicationView>, ApiError> {
    caller.require(Scope::AppsAdmin)?;
    Ok(Json(state.core.application(&caller, &id).await?.into()))
}

/// What shall be changed; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateApplication {
    name: Option<String>,
    allowed_origins: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_objects")]
    record_template: Option<Vec<TemplateRecord>>,
    #[serde(default, deserialize_with = "some_null")]
    #[schema(value_type = Option<String>)]
    default_origin: Option<Option<String>>,
    default_keep_host: Option<bool>,
}

/// Change an application. Connections without an origin of their own follow its default. Needs `apps:admin`.
#[utoipa::path(patch, path = "/v1/applications/{id}", tag = "applications", params(("id" = String, Path, format = "uuid")),
    request_body = UpdateApplication,
    responses((status = 200, body = ApplicationView), (status = "4XX", body = Problem)))]
pub(crate) async fn update(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    body: Body<UpdateApplication>,
) -> Result<Json<ApplicationView>, ApiError> {
    let UpdateApplication { name, allowed_origins, record_template, default_origin, default_keep_host } = body.value;
    let patch = ApplicationPatch { name, allowed_origins, record_template, default_origin, default_keep_host };
    Ok(Json(state.core.update_application(&caller, &id, patch).await?.into()))
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKey {
    #[schema(example = "server-prod")]
    name: String,
    /// At least one; none that your key lacks.
    #[schema(value_type = Vec<String>, example = json!(["connections:read", "connections:write"]))]
    scopes: Vec<Scope>,
}

/// Make a key. Its secret is in this answer and in no other. Needs `apps:admin`.
#[utoipa::path(post, path = "/v1/applications/{id}/keys", tag = "applications", request_body = CreateKey,
    params(("id" = String, Path, format = "uuid"), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    responses((status = 201, body = KeyView), (status = "4XX", body = Problem)))]
pub(crate) async fn create_key(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body<CreateKey>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AppsAdmin)?;
    let what = format!("POST /v1/applications/{id}/keys");
    let mut once = match Once::start(&state.core, &caller, &headers, &what, &body.bytes).await? {
        Start::Do(once) => once,
        Start::Answer(answer) => return Ok(answer),
    };
    let new = NewKey { name: body.value.name, scopes: body.value.scopes };
    let mut tx = once.begin().await?;
    match state.core.create_key(&mut tx, &caller, &id, new).await {
        Ok(made) => {
            // A repetition is answered without the secret: it is kept nowhere.
            let kept = KeyView::from(made.key.clone());
            let shown = kept.clone().with_secret(made.expose());
            once.finish(tx, StatusCode::CREATED, &shown, &kept).await
        }
        Err(error) => {
            drop(tx);
            Err(once.fail(error).await)
        }
    }
}

/// The keys of an application. Needs `apps:admin`.
#[utoipa::path(get, path = "/v1/applications/{id}/keys", tag = "applications",
    params(("id" = String, Path, format = "uuid"), Paging),
    responses((status = 200, body = Page<KeyView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list_keys(
    State(state): State<AppState>,
    Key(caller): Key,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<KeyView>>, ApiError> {
    let rows = state.core.keys(&caller, &id, paging.after()?, paging.read_limit()?).await?;
    Ok(Json(paging.page(rows, |row| &row.id, Into::into)))
}

/// Revoke a key: its next request is refused. Needs `apps:admin`.
#[utoipa::path(delete, path = "/v1/applications/{id}/keys/{key_id}", tag = "applications",
    params(("id" = String, Path, format = "uuid"), ("key_id" = String, Path, format = "uuid")),
    responses((status = 200, body = KeyView), (status = "4XX", body = Problem)))]
pub(crate) async fn revoke_key(
    State(state): State<AppState>,
    Key(caller): Key,
    Path((id, key_id)): Path<(String, String)>,
) -> Result<Json<KeyView>, ApiError> {
    Ok(Json(state.core.revoke_key(&caller, &id, &key_id).await?.into()))
}
