//! Widget tokens.

use axum::{Json, extract::State, http::StatusCode};
use names::Hostname;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, AppState, auth::Key, body::Body, error::Problem};
use crate::core::{CoreError, Moment, Scope};

/// What a token shall be bound to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MintToken {
    application_id: String,
    /// One hostname alone.
    #[serde(default)]
    domain: Option<String>,
}

/// A token for a browser.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenView {
    auth_token: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Moment,
}

/// Mint a token for the widget: good for 60 minutes, for one application and perhaps one hostname. Needs
/// `connections:write`.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = MintToken,
    responses((status = 201, body = TokenView), (status = "4XX", body = Problem)))]
pub(crate) async fn mint(
    State(state): State<AppState>,
    Key(caller): Key,
    body: Body<MintToken>,
) -> Result<(StatusCode, Json<TokenView>), ApiError> {
    // A token reads and writes connections: a key gives what it has.
    caller.require(Scope::ConnectionsWrite)?;
    caller.require(Scope::ConnectionsRead)?;
    let application = state.core.application(&caller, &body.value.application_id).await?;
    let hostname = body.value.domain.as_deref().map(Hostname::parse).transpose().map_err(CoreError::BadHostname)?;
    let hostname = hostname.as_ref().map(Hostname::as_str);
    let (auth_token, expires_at) = state.tokens.mint(&caller, &application.id, hostname, state.core.now())?;
    Ok((StatusCode::CREATED, Json(TokenView { auth_token, expires_at })))
}
