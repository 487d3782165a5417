//! Challenges of orders in flight, for whichever edge the authority asks.

use sqlx::{Row as _, postgres::PgRow};

use super::{PostgresStore, Task, signed, unsigned};
use crate::{ChallengeKind, Offer, StoreError};

/// An offer stands for this long at most: longer than an order, and what a crash leaves goes by itself.
const LIFE: &str = "20 minutes";
/// More than all orders in flight of a large fleet.
const MOST: i64 = 10_000;

const SHOW: &str = "WITH swept AS (DELETE FROM namegate_edge.offers WHERE expires < now()),
    rung AS (SELECT pg_notify('namegate_edge', 'offers'))
    INSERT INTO namegate_edge.offers (edge, name, kind, token, answer, expires)
    SELECT $1, $2, $3, $4, $5, now() + $6::interval FROM rung
    RETURNING id";
const REMOVE: &str = "WITH removed AS (DELETE FROM namegate_edge.offers WHERE id = $1 AND edge = $2 RETURNING id)
    SELECT pg_notify('namegate_edge', 'offers') FROM removed";
const OTHERS: &str = "SELECT id, name, kind, token, answer FROM namegate_edge.offers
    WHERE edge <> $1 AND expires > now() ORDER BY id DESC LIMIT $2";

impl PostgresStore {
    pub(super) async fn show_offer(&self, offer: &Offer) -> Result<u64, StoreError> {
        let show = sqlx::query_scalar(SHOW)
            .bind(&self.edge)
            .bind(offer.name.as_str())
            .bind(offer.kind.as_str())
            .bind(&offer.token)
            .bind(&offer.answer)
            .bind(LIFE);
        let task = Task { op: "offer", action: "write", entry: offer.name.as_str() };
        self.run(task, show.fetch_one(&self.pool)).await.map(unsigned)
    }

    pub(super) async fn remove_offer(&self, id: u64) -> Result<(), StoreError> {
        let task = Task { op: "withdraw", action: "remove", entry: "a challenge" };
        let remove = sqlx::query(REMOVE).bind(signed(id)).bind(&self.edge);
        self.run(task, remove.execute(&self.pool)).await.map(|_| ())
    }

    /// A row that cannot be understood is passed over: it is nobody's order that would end well.
    pub(super) async fn others_offers(&self) -> Result<Vec<(u64, Offer)>, StoreError> {
        let task = Task { op: "offers", action: "list", entry: "challenges" };
        let others = sqlx::query(OTHERS).bind(&self.edge).bind(MOST);
        let mut rows = self.run(task, others.fetch_all(&self.pool)).await?;
        rows.reverse();
        Ok(rows.iter().filter_map(offer).collect())
    }
}

fn offer(row: &PgRow) -> Option<(u64, Offer)> {
    let text = |column: &str| row.try_get::<String, _>(column).ok();
    let kind = match text("kind")?.as_str() {
        "http-01" => ChallengeKind::Http01,
        "tls-alpn-01" => ChallengeKind::TlsAlpn01,
        _ => return None,
    };
    let offer = Offer { name: text("name")?.parse().ok()?, kind, token: text("token")?, answer: text("answer")? };
    Some((unsigned(row.try_get("id").ok()?), offer))
}
