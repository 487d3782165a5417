//! An edge with a real control plane, a real CA and their DNS: nothing of the gate is scripted.

use http::Response;
use serde_json::{Value, json};
use test_support::{
    AcmeProxy, ControlOptions, ControlProcess, Dns, EdgeOptions, EdgeProcess, Loopback, Origin, Pebble, PebbleOptions,
    client::{
        TlsClient,
        http::{Http, HttpError},
    },
    wait,
};

/// Everything between a customer's DNS and a SaaS's origin.
pub(crate) struct Controlled {
    pub(crate) edge: EdgeProcess,
    pub(crate) control: ControlProcess,
    pub(crate) origin: Origin,
    pub(crate) proxy: AcmeProxy,
    pub(crate) pebble: Pebble,
    pub(crate) host: Loopback,
    application: String,
}

impl Controlled {
    pub(crate) async fn start() -> Self {
        Self::start_with(PebbleOptions::default()).await
    }

    pub(crate) async fn start_with(pebble: PebbleOptions) -> Self {
        let host = Loopback::take();
        let pebble = Pebble::start(&host, pebble).await;
        pebble.dns().set_default(None).await;
        pebble.dns().set_a(ControlOptions::TARGET, &[host.ip()]).await;
        let proxy = AcmeProxy::start(&host, &pebble).await;
        let origin = Origin::start(&host).await;
        let options = ControlOptions::on(&host).dns(pebble.dns()).origin(&origin.url());
        let control = ControlProcess::start(options).await;
        let edge = EdgeProcess::start(EdgeOptions::on(&host).control(&control).acme_proxy(&proxy)).await;
        let application = make_application(&control, "Shop").await;
        Self { edge, control, origin, proxy, pebble, host, application }
    }

    /// Another application beside the one that connections are made for, until it is put in its place.
    pub(crate) async fn another_application(&self) -> String {
        make_application(&self.control, "Another").await
    }

    /// From now on connections are made for this application. The one before.
    pub(crate) fn turn_to(&mut self, application: String) -> String {
        std::mem::replace(&mut self.application, application)
    }

    /// A connection to this origin, as the API made it.
    pub(crate) async fn connect(&self, hostname: &str) -> Value {
        let body = json!({"application_id": self.application, "hostname": hostname, "origin": self.origin.url()});
        let (status, made) = self.control.send("POST", "/v1/connections", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    /// A connection whose name is verified and points at the edge.
    pub(crate) async fn point(&self, hostname: &str) -> Value {
        let made = self.connect(hostname).await;
        publish(self.pebble.dns(), &made).await;
        let id = id(&made);
        // The worker may have been faster with either; what they say is not what is asked here.
        self.control.send("POST", &format!("/v1/connections/{id}/verify"), None).await;
        self.control.send("POST", &format!("/v1/connections/{id}/records:check"), None).await;
        made
    }

    /// A connection that is live: verified, pointing here, and with a certificate that the control plane knows of.
    pub(crate) async fn live(&self, hostname: &str) -> Value {
        let made = self.point(hostname).await;
        self.until_connection(&made, "is live", |now| now["state"] == "live").await
    }

    /// Waits until a connection is as wanted.
    pub(crate) async fn until_connection(&self, made: &Value, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let path = path(made);
        let look = async || Some(self.control.get(&path).await.1).filter(|now| is(now));
        match wait::within(wait::LIMIT, look).await {
            Some(now) => now,
            None => panic!("never {what}: {}", self.control.get(&path).await.1),
        }
    }

    pub(crate) async fn delete(&self, made: &Value) {
        let (status, gone) = self.control.send("DELETE", &path(made), None).await;
        assert_eq!((status, &gone["state"]), (200, &json!("archived")), "{gone}");
    }

    /// The types of all events so far, oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let (status, events) = self.control.get("/v1/events?limit=100").await;
        assert_eq!(status, 200, "{events}");
        events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// A client that trusts what Pebble issues.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::trusting(self.pebble.issuer_root_pem()).without_resumption()
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Response<bytes::Bytes>, HttpError> {
        self.edge.get(&self.client(), name, "/").await
    }

    /// A connection that stays open.
    pub(crate) async fn open(&self, name: &str, alpn: &str) -> Http {
        self.client().alpn(&[alpn]).visit(self.edge.https(), name).await.unwrap().http().await.unwrap()
    }

    /// Waits until new handshakes for this name end with `unrecognized_name`.
    pub(crate) async fn until_refused(&self, name: &str) {
        wait::until(&format!("{name} is refused"), async || {
            let alert = self.get(name).await.err()?.alert()?;
            (alert == rustls::AlertDescription::UnrecognisedName).then_some(())
        })
        .await;
    }

    /// Orders that the CA has taken for one name.
    pub(crate) fn orders(&self, name: &str) -> usize {
        self.proxy.orders_for(name)
    }

    /// What the edge's `explain` says.
    pub(crate) async fn explain(&self, name: &str) -> Value {
        let output = self.edge.command(&["explain", name, "--format", "json"]).await;
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stderr))
    }

    /// Questions that the edge has asked so far.
    pub(crate) async fn questions(&self) -> f64 {
        self.edge.metric("namegate_edge_ask_questions_total").await
    }
}

async fn make_application(control: &ControlProcess, name: &str) -> String {
    let (status, made) = control.send("POST", "/v1/applications", Some(&json!({"name": name}))).await;
    assert_eq!(status, 201, "{made}");
    id(&made).to_owned()
}

pub(crate) fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

pub(crate) fn path(made: &Value) -> String {
    format!("/v1/connections/{}", id(made))
}

/// Publishes challenge and records as the customer would.
pub(crate) async fn publish(dns: &Dns, made: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let challenge = &made["ownership_challenge"];
    dns.set_txt(&text(&challenge["name"]), &text(&challenge["value"])).await;
    for record in made["desired_records"].as_array().unwrap() {
        let (host, value) = (text(&record["host"]), text(&record["value"]));
        match record["type"].as_str().unwrap() {
            "CNAME" => dns.set_cname(&host, &value).await,
            "A" => dns.set_a(&host, &[value.parse().unwrap()]).await,
            other => panic!("{other}"),
        }
    }
}
