//! A control plane, its DNS, and curl.

use std::{future::Future, net::Ipv4Addr, path::Path, process::Stdio};

use control_plane::{
    core::{Caller, Core, Environment, NewApplication, NewKey, Scope, Surface},
    process::Process,
    settings::{Mode, Settings},
};
use serde_json::Value;
use test_support::{Dns, Loopback, Pebble, PebbleOptions, Postgres};
use tokio::{process::Command, sync::oneshot, task::JoinHandle};

/// The token of edges.
pub(crate) const EDGE_TOKEN: &str = "edge-token-of-tests";
/// What customers point their names at.
pub(crate) const TARGET: &str = "edge.namegate.test";

/// A control plane in development mode.
pub(crate) struct Control {
    pub(crate) url: String,
    pub(crate) pebble: Pebble,
    /// For what no client may do: accounts.
    pub(crate) core: Core,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<anyhow::Result<()>>>,
    pub(crate) postgres: Option<Postgres>,
    sealing_key: String,
    host: Loopback,
    directory: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Keeps a promise over both databases.
pub(crate) fn on_both<F, Fut>(promise: F)
where
    F: Fn(Control) -> Fut,
    Fut: Future<Output = Control>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        promise(Control::start(None, Worker::Off).await).await.end().await;
        promise(Control::start(Some(Postgres::start().await), Worker::Off).await).await.end().await;
    });
}

/// Keeps a promise on SQLite.
pub(crate) fn on_sqlite<F, Fut>(worker: Worker, promise: F)
where
    F: Fn(Control) -> Fut,
    Fut: Future<Output = Control>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        promise(Control::start(None, worker).await).await.end().await;
    });
}

/// Whether jobs are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worker {
    Off,
    On,
}

impl Control {
    pub(crate) async fn start(postgres: Option<Postgres>, worker: Worker) -> Self {
        Self::start_beside(postgres, worker, None).await
    }

    /// The same with a second resolver, which may know other records.
    pub(crate) async fn start_beside(postgres: Option<Postgres>, worker: Worker, second: Option<&Dns>) -> Self {
        Self::start_with(postgres, worker, second, &[]).await
    }

    /// On SQLite, without a worker, with these settings over those of the harness.
    pub(crate) async fn start_set(settings: &[(&str, &str)]) -> Self {
        Self::start_with(None, Worker::Off, None, settings).await
    }

    /// The same with a worker.
    pub(crate) async fn start_working(settings: &[(&str, &str)]) -> Self {
        Self::start_with(None, Worker::On, None, settings).await
    }

    async fn start_with(
        postgres: Option<Postgres>,
        worker: Worker,
        second: Option<&Dns>,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_adjusted(postgres, worker, second, settings, |_| {}).await
    }

    /// With settings that no file has.
    pub(crate) async fn start_adjusted(
        postgres: Option<Postgres>,
        worker: Worker,
        second: Option<&Dns>,
        settings: &[(&str, &str)],
        adjust: impl FnOnce(&mut Settings),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Loopback::take();
        let pebble = Pebble::start(&host, PebbleOptions::default()).await;
        pebble.dns().set_default(None).await;
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let sqlite = || format!("sqlite://{}", directory.path().join("control.db").display());
        let key = control_plane::core::Keyring::generate().unwrap();
        let resolvers = std::iter::once(pebble.dns()).chain(second).map(|dns| dns.address().to_string());
        let env = [
            ("DATABASE_URL", postgres.as_ref().map_or_else(sqlite, Postgres::create_database)),
            ("NAMEGATE_KEY_FILE", file("keys", &key)),
            ("NAMEGATE_CONTROL__LISTEN__HTTP", format!("{}:0", host.ip())),
            ("NAMEGATE_CONTROL__EDGE__CNAME", TARGET.to_owned()),
            ("NAMEGATE_CONTROL__EDGE__ADDRESSES", host.ip().to_string()),
            ("NAMEGATE_CONTROL__EDGE__TOKEN_FILE", file("token", EDGE_TOKEN)),
            ("NAMEGATE_CONTROL__DNS__RESOLVERS", resolvers.collect::<Vec<_>>().join(",")),
            ("NAMEGATE_CONTROL__DNS__ASK_AUTHORITY", "false".to_owned()),
            ("NAMEGATE_CONTROL__DEV__ORIGIN", "http://127.0.0.1:3000".to_owned()),
            // Nobody is there: no test ever calls a real provider.
            ("NAMEGATE_CONTROL__DEV__DNS_PROVIDERS", format!("http://{}:9", host.ip())),
            ("NAMEGATE_CONTROL__WORKER__ENABLED", (worker == Worker::On).to_string()),
        ];
        let over = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let env = env.into_iter().chain(over).map(|(name, value)| (name.to_owned(), value));
        let mut settings = Settings::load(None, env, Mode::Development).unwrap();
        adjust(&mut settings);
        pebble.dns().set_a(TARGET, &[host.ip()]).await;
        let process = Process::start(&settings).await.unwrap();
        let core = process.core().clone();
        let url = format!("http://{}", process.address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(process.serve(async move { drop(stopped.await) }));
        Self {
            url,
            pebble,
            core,
            stop: Some(stop),
            served: Some(served),
            postgres,
            sealing_key: key.trim().to_owned(),
            host,
            directory,
        }
    }

    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        self.served.take().unwrap().await.unwrap().unwrap();
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What secrets are sealed under, in base64.
    pub(crate) fn sealing_key(&self) -> &str {
        &self.sealing_key
    }

    /// Where customers' names must lead.
    pub(crate) fn edge_address(&self) -> Ipv4Addr {
        self.host.ip()
    }

    pub(crate) fn dns(&self) -> &Dns {
        self.pebble.dns()
    }

    /// Runs curl with these arguments after the URL; JSON is sent without a Content-Type unless they say one.
    pub(crate) async fn curl(&self, path: &str, args: &[&str]) -> Answer {
        let output = Command::new("curl")
            .args(["-sS", "-i", "--max-time", "30", &format!("{}{path}", self.url)])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("curl must run");
        let text = String::from_utf8(output.stdout).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{:?}", output.stderr));
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_lowercase(), text: body.to_owned() }
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        self.curl(path, &["-H", &format!("Authorization: Bearer {key}")]).await
    }

    pub(crate) async fn send(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let auth = format!("Authorization: Bearer {key}");
        let mut args = vec!["-X", method, "-H", &auth];
        if !body.is_empty() {
            args.extend(["-d", body]);
        }
        self.curl(path, &args).await
    }

    /// An application of the demo account.
    pub(crate) async fn application(&self) -> String {
        let made = self.send("sk_test_demo", "POST", "/v1/applications", r#"{"name":"App"}"#).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn connect(&self, application: &str, hostname: &str) -> Value {
        let body = serde_json::json!({"application_id": application, "hostname": hostname}).to_string();
        let made = self.send("sk_test_demo", "POST", "/v1/connections", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    }

    /// Publishes challenge and records as the customer would.
    pub(crate) async fn publish(&self, connection: &Value) {
        let challenge = &connection["ownership_challenge"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.dns().set_txt(&text(&challenge["name"]), &text(&challenge["value"])).await;
        for record in connection["desired_records"].as_array().unwrap() {
            let (host, value) = (text(&record["host"]), text(&record["value"]));
            match record["type"].as_str().unwrap() {
                "CNAME" => self.dns().set_cname(&host, &value).await,
                "A" => self.dns().set_a(&host, &[value.parse().unwrap()]).await,
                other => panic!("{other}"),
            }
        }
    }

    /// Another account, with an application and a key that may do everything: the key and the application's id.
    pub(crate) async fn stranger(&self) -> (String, String) {
        let account = self.core.create_account("stranger").await.unwrap();
        let caller = Caller::operator(&account.id, Environment::Test, Surface::ConnectDomain);
        let mut tx = self.core.begin().await.unwrap();
        let new = NewApplication { name: "Theirs".to_owned(), ..NewApplication::default() };
        let application = self.core.create_application(&mut tx, &caller, new).await.unwrap();
        let new = NewKey { name: "all".to_owned(), scopes: Scope::ALL.to_vec() };
        let key = self.core.create_key(&mut tx, &caller, &application.id, new).await.unwrap();
        self.core.commit(tx).await.unwrap();
        (key.expose().to_owned(), application.id)
    }

    /// Reports a certificate as an edge does.
    pub(crate) async fn report(&self, hostname: &str) {
        let body = serde_json::json!({"reports": [{
            "id": format!("report-{hostname}"), "hostname": hostname, "kind": "issued",
            "at_ms": 1_800_000_000_000_u64, "issuer": "https://ca.test/dir",
            "not_after_ms": 4_000_000_000_000_u64,
        }]});
        let answer = self.send(EDGE_TOKEN, "POST", "/internal/certificates", &body.to_string()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}
