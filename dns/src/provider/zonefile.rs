//! Sets whose values are as in a zone file, which most set-shaped interfaces have.

use serde_json::Value as Json;

use super::{
    adapter::Value,
    encoding::unquote,
    record::{Stored, Zone, bare, canonical},
};

/// The records of a set; `host` is relative to the zone. Each keeps its value as it came.
pub(crate) fn stored<'a>(
    zone: &'a Zone,
    host: &str,
    kind: &str,
    ttl: u32,
    values: impl IntoIterator<Item = &'a String>,
) -> Vec<Stored> {
    let (name, kind) = (zone.below(host), kind.to_ascii_uppercase());
    let one = |value: &'a String| Stored {
        name: name.clone(),
        data: data(zone, &kind, value),
        kind: kind.clone(),
        ttl,
        id: String::new(),
        ours: false,
        wire: Json::String(value.clone()),
    };
    values.into_iter().map(one).collect()
}

/// A value in canonical form. A target without the final dot is relative to the zone.
pub(crate) fn data(zone: &Zone, kind: &str, value: &str) -> String {
    match kind {
        "TXT" => unquote(value),
        "CNAME" if !value.ends_with('.') => zone.below(value),
        "CNAME" => bare(value),
        _ => canonical(kind, value),
    }
}

/// The values to send: those that stay as they came.
pub(crate) fn values(after: &[Value<'_>]) -> Vec<String> {
    let one = |value: &Value<'_>| match value {
        Value::Kept(stored) => stored.wire.as_str().unwrap_or(&stored.data).to_owned(),
        Value::New(record) => record.presentation().into_owned(),
    };
    after.iter().map(one).collect()
}
