//! Usage and plans.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, AppState, auth::Key, error::Problem};
use crate::core::{Plan, Scope, UsageKind};

/// What was used this month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// The month.
    #[schema(example = "2026-11")]
    period: String,
    data: Vec<UsageRow>,
}

/// One count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageRow {
    /// `connect`, `active_domain`, `cert` or `api_call`.
    kind: &'static str,
    used: i64,
}

/// What you used this month. Needs `usage:read` or `connections:read`.
#[utoipa::path(get, path = "/v1/usage", tag = "usage",
    responses((status = 200, body = UsageView), (status = "4XX", body = Problem)))]
pub(crate) async fn usage(State(state): State<AppState>, Key(caller): Key) -> Result<Json<UsageView>, ApiError> {
    caller.require_any(&[Scope::UsageRead, Scope::ConnectionsRead])?;
    let rows = state.core.usage(&caller.account_id).await?;
    let used = |kind| rows.iter().find(|row| row.kind == kind).map_or(0, |row| row.used);
    let data = UsageKind::ALL.iter().map(|kind| UsageRow { kind: kind.as_str(), used: used(*kind) }).collect();
    Ok(Json(UsageView { period: state.core.now().month(), data }))
}

/// Plans.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plans {
    data: Vec<PlanView>,
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    #[schema(example = "free")]
    name: &'static str,
    /// Connections per month; null: without limit.
    connect: Option<i64>,
}

/// The plans that there are.
#[utoipa::path(get, path = "/v1/plans", tag = "usage",
    responses((status = 200, body = Plans), (status = "4XX", body = Problem)))]
pub(crate) async fn plans(State(state): State<AppState>, Key(_): Key) -> Json<Plans> {
    let limits = |plan: &Plan| state.core.settings().limits(*plan).connect;
    let view = |plan: &Plan| PlanView { name: plan.as_str(), connect: limits(plan) };
    Json(Plans { data: [Plan::Free, Plan::Pro, Plan::Growth, Plan::Enterprise].iter().map(view).collect() })
}
