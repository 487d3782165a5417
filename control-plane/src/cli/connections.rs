//! `connections`.

use clap::Subcommand;
use control_plane::{
    checks::{Checks as _, Look},
    core::{Caller, Connection, ConnectionFilter, Core, CoreError, Lifecycle, Looker, NewConnection, Reason},
    process,
    settings::Settings,
    surfaces::connect_domain::{CHALLENGE, state_word},
};
use prometheus::Registry;
use serde_json::json;

use super::{
    Whom,
    output::{Format, Row},
};

/// Connections that are read at a time.
const PAGE: i64 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum Connections {
    /// Show the newest.
    List {
        /// Of this hostname alone
        #[arg(long)]
        hostname: Option<String>,
        /// Of this application alone
        #[arg(long)]
        app: Option<String>,
        /// Only those that stand and whose name a person should look at
        #[arg(long)]
        review: bool,
        /// How many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        #[command(flatten)]
        whom: Whom,
    },
    /// Show one with its challenge, its records and why it is not live.
    Show {
        /// Connection id
        id: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make one; shows the challenge and the records that its owner must publish.
    Create {
        /// Application id
        app: String,
        /// The customer's hostname
        hostname: String,
        /// Where requests go, when not to the application's default
        #[arg(long)]
        origin: Option<String>,
        /// Ask for a proof although another account has the name
        #[arg(long)]
        takeover: bool,
        #[command(flatten)]
        whom: Whom,
    },
    /// Look at its DNS now, as the worker does by itself.
    Check {
        /// Connection id
        id: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Archive one: its gate closes at once, its DNS is not touched.
    #[command(visible_alias = "delete")]
    Archive {
        /// Connection id
        id: String,
        #[command(flatten)]
        whom: Whom,
    },
}

impl Connections {
    pub(crate) async fn run(self, settings: &Settings, format: Format) -> anyhow::Result<()> {
        let core = &process::open_core(settings).await?;
        match self {
            Self::List { hostname, app, review, limit, whom } => {
                let hostname = hostname.as_deref().map(str::parse).transpose()?;
                let filter = ConnectionFilter { hostname, application_id: app, ..ConnectionFilter::default() };
                let caller = whom.caller(core).await?;
                let found = match review {
                    true => to_review(core, &caller, &filter, limit).await?,
                    false => core.connections(&caller, &filter, None, limit).await?,
                };
                format.print(&found.iter().map(line).collect::<Vec<_>>());
            }
            Self::Show { id, whom } => {
                format.print_one(&sheet(&core.connection(&whom.caller(core).await?, &id).await?));
            }
            Self::Create { app, hostname, origin, takeover, whom } => {
                let caller = whom.caller(core).await?;
                let new = NewConnection {
                    application_id: app,
                    hostname,
                    origin,
                    takeover,
                    challenge: CHALLENGE,
                    ..NewConnection::default()
                };
                let mut tx = core.begin().await?;
                let made = core.create_connection(&mut tx, &caller, new).await?;
                core.commit(tx).await?;
                format.print_one(&sheet(&made));
            }
            Self::Check { id, whom } => {
                let connection = core.connection(&whom.caller(core).await?, &id).await?;
                format.print_one(&sheet(&check(core, settings, &connection).await?));
            }
            Self::Archive { id, whom } => {
                format.print_one(&sheet(&core.archive_connection(&whom.caller(core).await?, &id).await?));
            }
        }
        Ok(())
    }
}

/// Why a name should be looked at is kept nowhere, so that it follows the settings: all are read, a page at a time.
async fn to_review(
    core: &Core,
    caller: &Caller,
    filter: &ConnectionFilter,
    limit: i64,
) -> Result<Vec<Connection>, CoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_wanted = |one: &Connection| one.claim.lifecycle == Lifecycle::Active && !one.review.is_empty();
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < limit {
        let page = core.connections(caller, filter, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.claim.id.clone());
        found.extend(page.into_iter().filter(is_wanted));
    }
    found.truncate(limit);
    Ok(found)
}

/// What the worker does when the connection is due.
async fn check(core: &Core, settings: &Settings, connection: &Connection) -> anyhow::Result<Connection> {
    let lifecycle = connection.claim.lifecycle;
    if lifecycle != Lifecycle::Active {
        return Err(CoreError::WrongState { lifecycle }.into());
    }
    let id = &connection.claim.id;
    let checks = process::checks(settings, &Registry::new())?;
    let inquiry = core.inquire(id).await?.ok_or(CoreError::NotFound { what: "connection" })?;
    let seen = checks.look(&inquiry, Look::Due).await;
    Ok(core.apply_check(id, &seen, Looker::Verb).await?)
}

/// Why a person should look at the name.
fn review(connection: &Connection) -> Vec<&'static str> {
    connection.review.iter().map(|suspicion| suspicion.code()).collect()
}

fn line(connection: &Connection) -> Row {
    let claim = &connection.claim;
    Row::new()
        .and("id", &claim.id)
        .and("hostname", &claim.hostname.as_str())
        .and("state", &state_word(claim))
        .and("why", &connection.reason().map(Reason::message))
        .and("review", &review(connection))
        .and("next_check_at", &claim.next_check_at)
}

fn sheet(connection: &Connection) -> Row {
    let (claim, reason) = (&connection.claim, connection.reason());
    let records = connection.records.iter().map(|record| {
        json!({
            "host": record.host, "type": record.record_type, "value": record.value, "ttl": record.ttl,
            "propagated": record.propagated.0, "observed": record.observed_value,
        })
    });
    let certificate = connection.certificate.as_ref().map(|certificate| {
        json!({
            "status": certificate.status, "not_after": certificate.not_after, "ca": certificate.ca,
            "problem": certificate.problem.as_ref().map(|problem| &problem.0),
        })
    });
    Row::new()
        .and("id", &claim.id)
        .and("hostname", &claim.hostname.as_str())
        .and("state", &state_word(claim))
        .and("application", &claim.application_id)
        .and("environment", &claim.environment)
        .and("origin", &claim.origin)
        .and(
            "challenge",
            &connection.challenge().map(|proof| json!({ "name": proof.name, "type": "TXT", "value": proof.expected })),
        )
        .and("records", &records.collect::<Vec<_>>())
        .and("certificate", &certificate)
        .and("reason_code", &reason.map(|reason| &reason.code))
        .and("message", &reason.map(Reason::message))
        .and("user_message", &reason.map(Reason::user_message))
        .and("review", &review(connection))
        .and("next_check_at", &claim.next_check_at)
        .and("created_at", &claim.created_at)
        .and("live_at", &claim.live_at)
}
