//! The Connect Domain API, `/v1`.
//!
//! Its words (states, events, error codes, field names) are here and nowhere else. Routes call the core and serialize
//! what it answers; the state word is a projection of the claim's facets ([`state_word`]).

mod applications;
mod applying;
mod auth;
mod body;
mod connections;
mod cors;
mod credentials;
mod cursor;
mod domain_connect;
mod domains;
mod error;
mod events;
mod instructions;
pub(crate) mod message;
mod once;
mod parts;
mod problems;
mod providers;
mod reference;
mod state_word;
mod tokens;
mod usage;
mod views;
mod webhooks;

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, response::Response};
use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use connections::CHALLENGE;
pub use cors::Origins;
pub(crate) use cors::layer as cors;
pub(crate) use domain_connect::callback;
pub use events::event_name;
pub use state_word::state_word;

use super::AppState;
use crate::core::{Policy, ProofKind};
use error::ApiError;

/// Largest body: far more than any request of this API needs.
const MAX_BODY: usize = 64 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Namegate",
        description = "Connect your customers' own hostnames: prove ownership, watch DNS, open the gate, be told when \
                       the name is live.",
        license(name = "MIT OR Apache-2.0")
    ),
    modifiers(&Security),
    security(("key" = [])),
    tags(
        (name = "applications", description = "Your product surfaces and their keys"),
        (name = "connections", description = "Hostnames of your customers"),
        (name = "tokens", description = "Short-lived tokens for browsers"),
        (name = "webhooks", description = "Being told"),
        (name = "usage", description = "What was used")
    )
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "An API key (`sk_test_…`, `sk_live_…`) or, where the operation says so, a widget token.",
        ));
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(scheme.build()));
    }
}

impl AppState {
    /// Takes one look at a thing of an application's, or says how long until there is one. A look costs dozens of
    /// questions to other people's servers.
    fn take_look(&self, thing: &str, application_id: &str) -> Result<(), ApiError> {
        let now = self.core.now();
        self.connection_checks.take(thing, now).map_err(ApiError::too_often)?;
        self.application_checks.take(application_id, now).map_err(|wait| {
            self.connection_checks.give_back(thing);
            ApiError::too_often(wait)
        })
    }
}

/// The routes and their OpenAPI document.
pub(crate) fn router() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(applications::create, applications::list))
        .routes(routes!(applications::get, applications::update))
        .routes(routes!(applications::create_key, applications::list_keys))
        .routes(routes!(applications::revoke_key))
        .routes(routes!(credentials::create, credentials::list))
        .routes(routes!(credentials::delete))
        .routes(routes!(credentials::test))
        .routes(routes!(providers::list))
        .routes(routes!(connections::create, connections::list))
        .routes(routes!(connections::get, connections::update, connections::archive))
        .routes(routes!(connections::verify))
        .routes(routes!(connections::check_records))
        .routes(routes!(applying::apply))
        .routes(routes!(domain_connect::start))
        .routes(routes!(instructions::get))
        .routes(routes!(domains::check))
        .routes(routes!(tokens::mint))
        .routes(routes!(webhooks::create_endpoint, webhooks::list_endpoints))
        .routes(routes!(webhooks::get_endpoint, webhooks::update_endpoint, webhooks::delete_endpoint))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::list_deliveries))
        .routes(routes!(webhooks::get_delivery))
        .routes(routes!(webhooks::replay))
        .routes(routes!(events::list))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::plans))
        .split_for_parts();
    problems::describe(&mut document);
    (router.layer(DefaultBodyLimit::max(MAX_BODY)), document)
}

/// A TXT record is proof, and nothing else is; an owner has the 48 hours that DNS may take.
pub(crate) fn policy() -> Policy {
    Policy {
        proofs: vec![ProofKind::Txt].into(),
        deadline: Duration::from_hours(48),
        key_prefix: auth::KEY_PREFIX.into(),
        demo_key: Some("sk_test_demo".into()),
    }
}

/// The document as text, for the snapshot test and the command line.
pub fn openapi() -> String {
    let (_, document) = router();
    // Our own types: nothing in them that JSON cannot hold.
    document.to_pretty_json().unwrap_or_default()
}

/// `/openapi.json` and the reference made of it.
pub(crate) fn docs(document: utoipa::openapi::OpenApi) -> Router<AppState> {
    reference::router(document)
}

/// The answer where there is no route.
pub(crate) async fn no_route() -> Response {
    axum::response::IntoResponse::into_response(ApiError::no_route())
}

/// The answer where there is a route, but not with this method; axum adds `Allow`.
pub(crate) async fn no_method() -> Response {
    axum::response::IntoResponse::into_response(ApiError::no_method())
}
