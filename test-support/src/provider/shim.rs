//! [`Shim`]: a provider's wire shape around a zone.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use crate::Bind;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::provider::zone::{FakeZone, Refusal, Rules};

/// The zone of every test.
pub const ZONE: &str = "customer.test";
/// Its handle where zones have ids.
pub const ZONE_ID: &str = "Z0123456789";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Req {
    pub method: Method,
    /// Decoded segments.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
    /// Everything of it, for a server that repeats what it was sent.
    pub raw: String,
}

impl Req {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The decoded form of the body.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub fn parts(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.path.iter().map(String::as_str).collect())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Resp {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Resp {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), headers: Vec::new(), body: body.into() }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// What a provider says when it does not do what was asked.
#[derive(Debug, Clone)]
pub enum No {
    /// The credential is unknown.
    Auth,
    /// A change that cannot stand beside what is there.
    Conflict,
    /// The credential may not.
    Forbidden,
    /// The content is wrong; holds the provider's sentence.
    Invalid(String),
    /// No such zone or record.
    Missing,
    /// Too many requests; holds `Retry-After` in seconds.
    Rate(u64),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict => Self::Conflict,
            Refusal::Invalid => Self::Invalid("the record is not valid".into()),
            Refusal::Missing => Self::Missing,
        }
    }
}

/// A provider's interface.
pub trait Shim: Send + Sync + 'static {
    /// The key of its adapter.
    fn key(&self) -> &'static str;

    /// A credential of its form.
    fn credential(&self) -> String;

    /// Another one of the same form that is unknown.
    fn wrong_credential(&self) -> String {
        self.credential().replace("canary", "tyrant")
    }

    /// A text that is not of the form; `None` where every text is.
    fn malformed_credential(&self) -> Option<&'static str> {
        None
    }

    /// The parts of the credential that no text may ever show.
    fn secrets(&self) -> Vec<String> {
        vec![self.credential()]
    }

    /// The zone's id, where the customer gives one.
    fn zone_id(&self) -> Option<&'static str> {
        None
    }

    /// The real name server behind it, for the adapter that speaks to one.
    fn bind(&self) -> Option<Arc<Bind>> {
        None
    }

    /// The credential of a server at this address; only the adapter that speaks to a name server has the address in it.
    fn credential_at(&self, _: SocketAddr, credential: String) -> String {
        credential
    }

    fn rules(&self) -> Rules;

    /// Whether the request bears the credential.
    fn authorized(&self, req: &Req) -> bool;

    /// Whether the request would change something.
    fn writes(&self, req: &Req) -> bool {
        req.method != Method::GET
    }

    /// Whether a change is one call for a whole plan, so that there is no halfway.
    fn atomic(&self) -> bool {
        false
    }

    /// What the provider keeps beside the records that the customer made.
    fn extra(&self) -> Value {
        serde_json::json!({})
    }

    /// Whether a record can be turned into another one in one call.
    fn edits(&self) -> bool {
        true
    }

    /// Whether a write replaces the whole zone, so that what came meanwhile is lost at the provider.
    fn whole(&self) -> bool {
        false
    }

    /// Texts that the provider can hold.
    fn texts(&self) -> Vec<String> {
        let long = "abcdefghij".repeat(40);
        vec!["plain".into(), long, "with \"quotes\", back\\slashes; and = signs".into()]
    }

    /// A value as a person writes it to what the provider keeps.
    fn encode(&self, kind: &str, value: &str) -> String;

    /// And back: addresses, names without the dot, texts without quotes.
    fn decode(&self, zone: &FakeZone, kind: &str, data: &str) -> String;

    /// The answer to an authorized request.
    fn answer(&self, zone: &mut FakeZone, req: &Req) -> Result<Resp, No>;

    fn refuse(&self, no: &No) -> Resp;
}

/// The status and sentence that most providers use.
pub fn usual(no: &No) -> (u16, String) {
    match no {
        No::Auth => (401, "the token is not known".into()),
        No::Conflict => (409, "conflicts with an existing record".into()),
        No::Forbidden => (403, "the token may not do this".into()),
        No::Invalid(sentence) => (422, sentence.clone()),
        No::Missing => (404, "not found".into()),
        No::Rate(_) => (429, "too many requests".into()),
    }
}

/// A page of a list, from `page` and `per_page` as most interfaces have them.
pub fn paged<T: Clone>(all: &[T], page: usize, per_page: usize) -> (Vec<T>, usize) {
    let pages = all.len().div_ceil(per_page).max(1);
    (all.iter().skip((page - 1) * per_page).take(per_page).cloned().collect(), pages)
}
/// A zone-file value of a person's.
pub fn zonefile_encode(kind: &str, value: &str) -> String {
    match kind {
        "TXT" => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        "CNAME" => format!("{value}."),
        _ => value.to_owned(),
    }
}

/// What a zone-file value says, read without the code under test.
pub fn zonefile_decode(kind: &str, data: &str) -> String {
    if kind == "TXT" {
        let (mut out, mut inside, mut chars) = (String::new(), false, data.chars());
        while let Some(c) = chars.next() {
            match c {
                '"' => inside = !inside,
                '\\' => out.extend(chars.next()),
                c if inside => out.push(c),
                _ => {}
            }
        }
        return out;
    }
    data.trim_end_matches('.').to_ascii_lowercase()
}
