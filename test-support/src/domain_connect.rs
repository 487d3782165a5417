//! [`TemplateProvider`]: a DNS provider that speaks Domain Connect.
//!
//! Over TLS under a name of the test's DNS: the settings of zones that it was given, whether it knows a template, and the
//! page where the customer says yes. What happens then is the protocol's reference implementation's doing
//! (`domainconnectzone`): it looks up our public key, verifies the signature and applies the template. The records go into
//! the test's DNS, and the browser is sent back.

use std::{process::Stdio, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};
use url::Url;

use crate::{
    Body, Ca, Dns, Loopback, body, cached,
    client::TlsClient,
    server::{Cut, Server},
};

/// Its name.
const NAME: &str = "connect.provider.test";
const SCRIPT: &str = include_str!("domain_connect/apply.py");

/// What it does instead of what the protocol says.
#[derive(Debug, Clone)]
pub enum Manner {
    /// Everything as it should be.
    Proper,
    /// The customer says no.
    Denying,
    /// Answers of any length.
    Endless,
    /// No answer.
    Hanging,
    /// This answer to the question for settings.
    Settings(String),
    /// Every question is answered with a redirect to here.
    Redirecting(String),
    /// Every question is answered with this status.
    Status(u16),
}

#[derive(Debug)]
struct State {
    dns: Dns,
    manner: Mutex<Manner>,
    templates: Mutex<Vec<Value>>,
    zones: Mutex<Vec<String>>,
    /// Records that it wrote, as the reference implementation writes them down, with their zone.
    records: Mutex<Vec<(String, Value)>>,
    requests: Mutex<Vec<String>>,
    origin: Mutex<String>,
}

/// A DNS provider that speaks Domain Connect.
#[derive(Debug)]
pub struct TemplateProvider {
    state: Arc<State>,
    server: Server,
    root: String,
}

impl TemplateProvider {
    /// Starts one on `host` under a name of `dns`. It has no zone and knows no template.
    pub async fn start(host: &Loopback, dns: &Dns) -> Self {
        let state = Arc::new(State {
            dns: dns.clone(),
            manner: Mutex::new(Manner::Proper),
            templates: Mutex::default(),
            zones: Mutex::default(),
            records: Mutex::default(),
            requests: Mutex::default(),
            origin: Mutex::default(),
        });
        let ca = Ca::new("Namegate test provider root");
        let tls = ca.issue(&[NAME]).server(&["http/1.1"]);
        let server = {
            let state = Arc::clone(&state);
            Server::start(host.at(0), Some(tls), move |request| {
                let state = Arc::clone(&state);
                async move { state.answer(request).await }
            })
            .await
        };
        dns.set_a(NAME, &[host.ip()]).await;
        *state.origin.lock() = format!("https://{NAME}:{}", server.address.port());
        Self { state, server, root: ca.root_pem() }
    }

    /// Its name, without the port.
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// What stands in `_domainconnect`: name, port and a path.
    pub fn place(&self) -> String {
        format!("{NAME}:{}/base", self.server.address.port())
    }

    /// The root of its certificate.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// Takes a zone: its settings are told, and the zone says where.
    pub async fn take(&self, zone: &str) {
        self.state.zones.lock().push(zone.to_owned());
        self.state.dns.set_txt(&format!("_domainconnect.{zone}"), &self.place()).await;
    }

    /// Learns a template.
    pub fn learn(&self, template: Value) {
        self.state.templates.lock().push(template);
    }

    /// What it does from now on.
    pub fn be(&self, manner: Manner) {
        *self.state.manner.lock() = manner;
    }

    /// The settings that it would tell.
    pub fn settings(&self) -> Value {
        self.state.settings()
    }

    /// What a browser is answered that opens an address of its.
    ///
    /// # Panics
    /// When nothing is answered, or the address is somebody else's.
    pub async fn visit(&self, url: &str) -> Response<Bytes> {
        let path = url.strip_prefix(self.state.origin.lock().as_str()).expect("an address of this provider").to_owned();
        let browser = TlsClient::trusting(&self.root);
        browser.get(self.server.address, NAME, &path).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// Methods and targets of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

impl State {
    fn settings(&self) -> Value {
        let origin = self.origin.lock().clone();
        json!({
            "providerId": "provider.test", "providerName": "Provider", "providerDisplayName": "The Provider",
            "urlSyncUX": format!("{origin}/page"), "urlAPI": format!("{origin}/api"), "width": 800, "height": 600,
            "urlControlPanel": format!("{origin}/panel?domain=%domain%"), "nameServers": ["ns1.provider.test"],
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        self.requests.lock().push(format!("{} {target}", request.method()));
        let manner = self.manner.lock().clone();
        match manner {
            Manner::Hanging => return std::future::pending().await,
            Manner::Endless => return Ok(endless()),
            Manner::Redirecting(to) => return Ok(redirect(&to)),
            Manner::Status(status) => return Ok(body::status(StatusCode::from_u16(status).unwrap())),
            Manner::Denying | Manner::Proper | Manner::Settings(_) => {}
        }
        let path = request.uri().path().split('/').skip(1).collect::<Vec<_>>();
        Ok(match path.as_slice() {
            ["base", "v2", zone, "settings"] if self.zones.lock().iter().any(|known| known == zone) => match manner {
                Manner::Settings(text) => Response::new(body::full(text)),
                _ => body::json(&self.settings()),
            },
            ["api", "v2", "domainTemplates", "providers", provider, "services", service]
                if self.template(provider, service).is_some() =>
            {
                body::json(&json!({"version": 1}))
            }
            ["page", "v2", "domainTemplates", "providers", provider, "services", service, "apply"] => {
                match self.template(provider, service) {
                    Some(template) => self.consent(template, request.uri().query().unwrap_or_default(), manner).await,
                    None => body::status(StatusCode::NOT_FOUND),
                }
            }
            _ => body::status(StatusCode::NOT_FOUND),
        })
    }

    fn template(&self, provider: &str, service: &str) -> Option<Value> {
        let templates = self.templates.lock();
        templates.iter().find(|known| known["providerId"] == provider && known["serviceId"] == service).cloned()
    }

    /// A customer who says yes, or no.
    async fn consent(&self, template: Value, query: &str, manner: Manner) -> Response<Body> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let (Some(zone), Some(back)) = (get("domain"), get("redirect_uri")) else {
            return body::status(StatusCode::BAD_REQUEST);
        };
        let mut back = Url::parse(&back).unwrap();
        if let Some(state) = get("state") {
            back.query_pairs_mut().append_pair("state", &state);
        }
        if matches!(manner, Manner::Denying) {
            let said = [("error", "access_denied"), ("error_description", "user_cancel: <b>changed their mind</b>")];
            back.query_pairs_mut().extend_pairs(said);
            return redirect(back.as_str());
        }
        let records =
            self.records.lock().iter().filter(|(of, _)| *of == zone).map(|(_, record)| record.clone()).collect();
        let done = self.apply(template, query, records).await;
        if let Some(refused) = done["refused"].as_str() {
            let mut response = Response::new(body::full(refused.to_owned()));
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response;
        }
        self.write(&zone, &done).await;
        redirect(back.as_str())
    }

    async fn apply(&self, template: Value, query: &str, records: Vec<Value>) -> Value {
        let dns = self.dns.address();
        let task = json!({
            "template": template, "query": query, "records": records,
            "dns": {"ip": dns.ip().to_string(), "port": dns.port()},
        });
        let mut child = Command::new(cached("domainconnectzone/bin/python"))
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the reference implementation must run");
        let mut input = child.stdin.take().unwrap();
        input.write_all(task.to_string().as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    async fn write(&self, zone: &str, done: &Value) {
        let list = |key: &str| done[key].as_array().cloned().unwrap_or_default();
        for gone in list("gone") {
            self.records.lock().retain(|(of, record)| of != zone || record["name"] != gone["name"]);
            self.dns.clear(&owner(&gone, zone)).await;
        }
        for record in list("new") {
            let (name, data) = (owner(&record, zone), record["data"].as_str().unwrap().to_owned());
            match record["type"].as_str().unwrap() {
                "A" => self.dns.set_a(&name, &[data.parse().unwrap()]).await,
                "AAAA" => self.dns.set_aaaa(&name, &[data.parse().unwrap()]).await,
                "CNAME" => self.dns.set_cname(&name, &data).await,
                "TXT" => self.dns.set_txt(&name, &data).await,
                other => panic!("{other} is no type that the test's DNS has"),
            }
            self.records.lock().push((zone.to_owned(), record));
        }
    }
}

fn owner(record: &Value, zone: &str) -> String {
    match record["name"].as_str().unwrap() {
        "@" | "" => zone.to_owned(),
        name => format!("{name}.{zone}"),
    }
}

fn redirect(to: &str) -> Response<Body> {
    let mut response = body::status(StatusCode::FOUND);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(to).unwrap());
    response
}

fn endless() -> Response<Body> {
    let piece = || Ok(Frame::data(Bytes::from_static(&[b' '; 8192])));
    Response::new(StreamBody::new(stream::repeat_with(piece).boxed()).boxed_unsync())
}
