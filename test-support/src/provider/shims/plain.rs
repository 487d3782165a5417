//! [`Plain`]: interfaces whose records are resources with ids, described by what differs.

use serde_json::{Value, json};

use crate::provider::{
    shim::{No, Req, Resp, Shim, usual, zonefile_decode, zonefile_encode},
    zone::{Entry, FakeZone, Rules},
};

/// How such an interface looks.
pub(super) struct Plain {
    pub(super) key: &'static str,
    pub(super) credential: &'static str,
    /// Parts of the credential that may never show.
    pub(super) secrets: &'static [&'static str],
    pub(super) malformed: Option<&'static str>,
    /// Header and value of an authorized request.
    pub(super) auth: (&'static str, &'static str),
    pub(super) min_ttl: u32,
    /// The path of the records: the zone's name or id is where `{}` stands.
    pub(super) records: &'static [&'static str],
    pub(super) id: &'static str,
    /// The method that edits.
    pub(super) edit: Option<&'static str>,
    /// How values are kept.
    pub(super) values: Values,
    /// Status of a new record and of a removed one.
    pub(super) status: (u16, u16),
    /// Texts that are kept beside the customer's records.
    pub(super) extra: fn() -> Value,
    /// Zones and listings.
    pub(super) look: fn(&FakeZone, &Req) -> Option<Resp>,
    pub(super) wire: fn(&FakeZone, &Entry) -> Value,
    /// What is around a single record in an answer.
    pub(super) wrap: fn(Value) -> Value,
    /// A body as a record; an edit may leave out what stays.
    pub(super) entry: fn(&FakeZone, &Value, Option<&Entry>) -> Entry,
    /// The status and body of a refusal; `None`: the usual ones.
    pub(super) refusal: fn(&No) -> Option<(u16, Value)>,
}

/// How an interface keeps values.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Values {
    /// As people write them.
    Bare,
    /// Targets with the final dot.
    Dotted,
    /// Texts in quotes.
    Quoted,
    /// Texts between two quotes, without escapes.
    Fenced,
}

pub(super) fn nothing() -> Value {
    json!({})
}

pub(super) fn as_it_is(value: Value) -> Value {
    value
}

pub(super) fn text(body: &Value, field: &str) -> Option<String> {
    match &body[field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A record of the fields that hold its name, value and time to live.
pub(super) fn entry(name: String, body: &Value, value: &str, ttl: &str, old: Option<&Entry>) -> Entry {
    let kind = text(body, "type").or_else(|| old.map(|old| old.kind.clone())).unwrap_or_default();
    let data = text(body, value).unwrap_or_default();
    let ttl = text(body, ttl).and_then(|text| text.parse().ok()).unwrap_or(0);
    Entry { id: 0, name, kind, ttl, data, extra: json!({}) }
}

impl Plain {
    /// The rest of the path behind the records' own.
    fn below<'a>(&self, zone: &FakeZone, req: &'a Req) -> Option<&'a [String]> {
        let whole = self.records.iter().map(|part| match *part {
            "{}" if self.id.is_empty() => zone.name.as_str(),
            "{}" => self.id,
            part => part,
        });
        let path: Vec<&str> = whole.collect();
        req.path.strip_prefix(path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>().as_slice())
    }
}

impl Shim for Plain {
    fn key(&self) -> &'static str {
        self.key
    }

    fn credential(&self) -> String {
        self.credential.into()
    }

    fn malformed_credential(&self) -> Option<&'static str> {
        self.malformed
    }

    fn secrets(&self) -> Vec<String> {
        self.secrets.iter().map(|secret| (*secret).to_owned()).collect()
    }

    fn rules(&self) -> Rules {
        Rules { min_ttl: self.min_ttl, flattens_apex: false }
    }

    fn authorized(&self, req: &Req) -> bool {
        req.header(self.auth.0) == self.auth.1
    }

    fn extra(&self) -> Value {
        (self.extra)()
    }

    fn edits(&self) -> bool {
        self.edit.is_some()
    }

    fn texts(&self) -> Vec<String> {
        let mut all = vec!["plain; text = 1".to_owned(), "abcdefghij".repeat(40)];
        if self.values != Values::Fenced {
            all.push("with \"quotes\", back\\slashes; and = signs".into());
        }
        all
    }

    fn encode(&self, kind: &str, value: &str) -> String {
        match (self.values, kind) {
            (Values::Quoted, "TXT") => zonefile_encode(kind, value),
            (Values::Fenced, "TXT") => format!("\"{}\"", value.replace('"', "")),
            (Values::Dotted, "CNAME") => format!("{value}."),
            (_, "TXT") => value.to_owned(),
            _ => value.trim_end_matches('.').to_owned(),
        }
    }

    fn decode(&self, _: &FakeZone, kind: &str, data: &str) -> String {
        match (self.values, kind) {
            (Values::Quoted, "TXT") => zonefile_decode(kind, data),
            (Values::Fenced, "TXT") => data.trim_matches('"').to_owned(),
            (_, "TXT") => data.to_owned(),
            (Values::Dotted, "CNAME") => data.strip_suffix('.').unwrap_or("a target without dot").to_ascii_lowercase(),
            _ => data.to_ascii_lowercase(),
        }
    }

    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No> {
        if let Some(resp) = (self.look)(zone, req) {
            return Ok(resp);
        }
        let rest = self.below(zone, req).ok_or(No::Missing)?;
        let show = |zone: &FakeZone, id: u64| (self.wrap)((self.wire)(zone, zone.find(&id.to_string()).unwrap()));
        match (req.method.as_str(), rest) {
            ("POST", []) => {
                let id = zone.create((self.entry)(zone, &req.json(), None))?;
                Ok(Resp::json(self.status.0, &show(zone, id)))
            }
            (method, [id]) if Some(method) == self.edit => {
                let old = zone.find(id).ok_or(No::Missing)?.clone();
                let id = zone.edit(id, (self.entry)(zone, &req.json(), Some(&old)))?;
                Ok(Resp::json(200, &show(zone, id)))
            }
            ("DELETE", [id]) => {
                zone.remove(id)?;
                Ok(Resp::new(self.status.1, if self.status.1 == 204 { "" } else { "{}" }))
            }
            _ => Err(No::Missing),
        }
    }

    fn refuse(&self, no: &No) -> Resp {
        let (status, message) = usual(no);
        let own = (self.refusal)(no);
        let (status, body) = own.unwrap_or_else(|| (status, json!({ "message": message, "new_field": 1 })));
        let resp = Resp::json(status, &body);
        if let No::Rate(after) = no { resp.with("retry-after", after) } else { resp }
    }
}
