//! The records of a connection as its customer types them at the provider that their zone is at.

use std::net::IpAddr;

use axum::{Json, extract::State};
use dns::{
    OwnerName,
    check::{DesiredRecord, RecordValue, front_of},
    provider::{Entry, Operator},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ApiError, AppState,
    auth::KeyOrToken,
    connections::CHALLENGE,
    domains::{OfferView, OperatorView},
    error::Problem,
    parts::Path,
};
use crate::{
    checks,
    core::{Connection, Ownership, Record, Scope},
    domains::{Sight, Standing},
};

/// Where to go when nobody knows the provider.
const ANYWHERE: &str = "The control panel of whoever runs the domain's DNS (often where the domain was bought) > the domain > \
                        DNS records > Add record";

/// What a customer types where.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instructions {
    connection_id: String,
    /// Who runs the zone's servers; null: nobody we know, and the form is that of most.
    provider: Option<OperatorView>,
    /// The zone that the records belong to.
    #[schema(example = "customer.com")]
    zone: String,
    /// The way to the form, in the provider's words.
    #[serde(rename = "where")]
    #[schema(example = "My Products > the domain > DNS > Add new record")]
    place: String,
    /// The provider's own page for the zone, where it says one.
    control_panel: Option<String>,
    /// Whether nothing need be typed: `POST …/domain-connect`.
    domain_connect: OfferView,
    /// What to add, in this order.
    records: Vec<EntryView>,
    /// What stands there and has to go, or to be changed into one of `records`; null: it could not be told.
    remove: Option<Vec<OldView>>,
    /// What else to know, sentence by sentence.
    notes: Vec<String>,
}

/// A record as the provider's form wants it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryView {
    /// `ownership` (shows whose the name is), `routing` (leads visitors) or `other`.
    purpose: &'static str,
    /// For the host field; may be empty.
    #[schema(example = "shop")]
    host: String,
    /// The record's whole name.
    #[schema(example = "shop.customer.com")]
    full_host: String,
    /// The type to choose.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: String,
    /// For the value field.
    value: String,
    /// In seconds; the nearest that the form has will do.
    ttl: i64,
    /// For MX and SRV.
    priority: Option<i64>,
    /// Whether it was seen already; null: not looked at yet.
    seen: Option<bool>,
    /// What is particular about it.
    notes: Vec<String>,
}

/// A record that stands in the way.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OldView {
    host: String,
    full_host: String,
    #[serde(rename = "type")]
    record_type: &'static str,
    value: String,
}

/// The connection's records as its customer types them: host and value in the form of the provider that the zone is at, the
/// way there, and what has to go first. Needs `connections:read`.
#[utoipa::path(get, path = "/v1/connections/{id}/instructions", tag = "connections",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Instructions),
        (status = 429, body = Problem, description = "`rate_limited`: asked too often", headers(("Retry-After" = u64,
            description = "Seconds until the next look"))),
        (status = "4XX", body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    KeyOrToken(caller): KeyOrToken,
    Path(id): Path<String>,
) -> Result<Json<Instructions>, ApiError> {
    caller.require(Scope::ConnectionsRead)?;
    let connection = state.core.connection(&caller, &id).await?;
    let claim = &connection.claim;
    state.take_look(&id, &claim.application_id).inspect_err(|_| state.metrics.checks_refused.inc())?;
    let desired: Vec<_> = connection.records.iter().filter_map(checks::desired).collect();
    let all = (desired.len() == connection.records.len()).then_some(desired.as_slice());
    let ((delegation, offer), standing, ours) = futures::join!(
        async {
            let delegation = state.domains.delegation(&claim.hostname).await;
            let offer = state.domains.offer(&claim.hostname, &delegation.zone, all).await;
            (delegation, offer)
        },
        state.domains.standing(&claim.hostname),
        state.domains.edge_addresses(),
    );
    let form = Form { operator: delegation.operator, zone: &delegation.zone };
    let name = OwnerName::from(&claim.hostname);
    let old = in_the_way(&name, &desired, &standing, &ours);
    let front = front_of(&[], &standing.addresses());
    let mut notes: Vec<_> = form.operator.map(|operator| operator.notes.clone()).unwrap_or_default();
    notes.extend(front.map(|front| {
        format!("{front} answers for the name: its address is shown instead of your records. Switch that off first.")
    }));
    notes.push("Leave every other record as it is, above all those for mail (MX, SPF, DKIM).".to_owned());
    Ok(Json(Instructions {
        connection_id: id,
        provider: form.operator.map(Into::into),
        zone: delegation.zone.to_string(),
        place: form.operator.map_or_else(|| ANYWHERE.to_owned(), |operator| operator.place.clone()),
        control_panel: offer.control_panel(),
        domain_connect: offer.into(),
        records: entries(&connection, &form),
        // Behind a front nobody sees what stands in the zone.
        remove: old
            .filter(|_| front.is_none())
            .map(|old| old.into_iter().map(|(record_type, value)| form.old(&name, record_type, value)).collect()),
        notes,
    }))
}

/// The form of one zone.
struct Form<'a> {
    operator: Option<&'static Operator>,
    zone: &'a OwnerName,
}

impl Form<'_> {
    fn entry(&self, name: &str, kind: &str, value: &str) -> Option<Entry> {
        Some(Entry::of(self.operator, self.zone, &name.parse().ok()?, kind, value))
    }

    fn old(&self, name: &OwnerName, record_type: &'static str, value: String) -> OldView {
        let Entry { host, .. } = Entry::of(self.operator, self.zone, name, "TXT", "");
        OldView { host, full_host: name.to_string(), record_type, value }
    }
}

fn entries(connection: &Connection, form: &Form<'_>) -> Vec<EntryView> {
    let is_proven = connection.claim.ownership == Ownership::Proven;
    let challenge = connection.challenge().and_then(|proof| {
        let Entry { host, kind, value, notes } = form.entry(&proof.name, "TXT", &proof.expected)?;
        let seen = (is_proven || proof.observed.is_some()).then_some(is_proven);
        let (full_host, ttl) = (proof.name.clone(), CHALLENGE_TTL);
        let purpose = "ownership";
        Some(EntryView { purpose, host, full_host, record_type: kind, value, ttl, priority: None, seen, notes })
    });
    let records = connection.records.iter().filter_map(|record| {
        let Entry { host, kind, value, notes } = form.entry(&record.host, &record.record_type, &record.value)?;
        Some(EntryView {
            purpose: purpose(connection, record),
            host,
            full_host: record.host.trim_end_matches('.').to_owned(),
            record_type: kind,
            value,
            ttl: record.ttl,
            priority: record.priority,
            seen: record.observed_at.map(|_| record.propagated.0),
            notes,
        })
    });
    challenge.into_iter().chain(records).collect()
}

/// What a customer waits for first.
const CHALLENGE_TTL: i64 = 300;

fn purpose(connection: &Connection, record: &Record) -> &'static str {
    let is_host = record.host.trim_end_matches('.').eq_ignore_ascii_case(connection.claim.hostname.as_str());
    match record.record_type.as_str() {
        "A" | "AAAA" | "ALIAS" | "ANAME" | "CNAME" if is_host => "routing",
        "TXT" if record.host.starts_with(CHALLENGE.label) => "ownership",
        _ => "other",
    }
}

/// What stands at the name and cannot stay beside the desired records; `None` when it could not be told.
fn in_the_way(
    name: &OwnerName,
    desired: &[DesiredRecord],
    standing: &Standing,
    ours: &[IpAddr],
) -> Option<Vec<(&'static str, String)>> {
    let Standing { a, aaaa, cname, .. } = standing;
    if [a, aaaa, cname].into_iter().any(|sight| matches!(sight, Sight::Unknown(_))) {
        return None;
    }
    let here: Vec<_> = desired.iter().filter(|record| record.host == *name).collect();
    if here.is_empty() {
        return Some(Vec::new());
    }
    let leads = |target: &&String| {
        let is_it =
            |record: &&DesiredRecord| matches!(&record.value, RecordValue::Cname(name) if name.to_string() == **target);
        here.iter().any(is_it)
    };
    if let Some(target) = cname.values().first() {
        return Some(if leads(&target) { Vec::new() } else { vec![("CNAME", target.clone())] });
    }
    let wanted: Vec<String> = here.iter().map(|record| record.value.to_string()).collect();
    let by_alias = here.iter().any(|record| matches!(record.value, RecordValue::Cname(_)));
    // An ALIAS at the top of a zone answers with our own addresses.
    let is_ours = |ip: &str| {
        wanted.iter().any(|wanted| wanted == ip) || (by_alias && ours.iter().any(|our| our.to_string() == ip))
    };
    let old = |kind, sight: &Sight<String>| {
        sight.values().iter().filter(|ip| !is_ours(ip)).map(|ip| (kind, ip.clone())).collect::<Vec<_>>()
    };
    Some([old("A", a), old("AAAA", aaaa)].concat())
}

#[cfg(test)]
mod tests {
    use dns::check::RecordKind;

    use super::*;

    fn sight(values: &[&str]) -> Sight<String> {
        match values {
            [] => Sight::Absent,
            values => Sight::Present(values.iter().map(|value| (*value).to_owned()).collect()),
        }
    }

    fn old(kind: RecordKind, value: &str, a: &[&str], aaaa: &[&str], cname: &[&str]) -> Vec<(&'static str, String)> {
        let name: OwnerName = "shop.customer.com".parse().unwrap();
        let desired = [DesiredRecord { host: name.clone(), value: RecordValue::parse(kind, value).unwrap(), ttl: 300 }];
        let standing =
            Standing { a: sight(a), aaaa: sight(aaaa), cname: sight(cname), caa: Sight::Absent, mx: Sight::Absent };
        in_the_way(&name, &desired, &standing, &["192.0.2.1".parse().unwrap()]).unwrap()
    }

    #[test]
    fn what_cannot_stay_is_named_and_what_is_ours_is_not() {
        use RecordKind::{A, Cname};
        const EDGE: &str = "edge.saas.example";
        assert_eq!(old(Cname, EDGE, &[], &[], &[]), []);
        assert_eq!(old(Cname, EDGE, &["192.0.2.1"], &[], &[EDGE]), []);
        assert_eq!(old(Cname, EDGE, &["192.0.2.1"], &[], &[]), [], "a flattened one");
        assert_eq!(old(Cname, EDGE, &["198.51.100.7"], &[], &[]), [("A", "198.51.100.7".to_owned())]);
        assert_eq!(old(Cname, EDGE, &["198.51.100.7"], &[], &["old.example"]), [("CNAME", "old.example".to_owned())]);
        assert_eq!(old(A, "192.0.2.1", &["192.0.2.1"], &["2001:db8::1"], &[]), [("AAAA", "2001:db8::1".to_owned())]);
        assert_eq!(old(A, "192.0.2.1", &["192.0.2.1"], &[], &["old.example"]), [("CNAME", "old.example".to_owned())]);
    }

    #[test]
    fn what_could_not_be_told_names_nothing() {
        let name: OwnerName = "shop.customer.com".parse().unwrap();
        let standing = Standing {
            a: Sight::Absent,
            aaaa: Sight::Unknown("timeout"),
            cname: Sight::Absent,
            caa: Sight::Absent,
            mx: Sight::Absent,
        };
        assert_eq!(in_the_way(&name, &[], &standing, &[]), None);
    }
}
