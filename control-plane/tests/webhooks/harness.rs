//! A control plane as a process, and a receiver.

use serde_json::{Value, json};
use test_support::{ControlOptions, ControlProcess, Loopback, Receiver, wait};

/// Both, on an address of their own.
pub(crate) struct Scene {
    pub(crate) control: ControlProcess,
    pub(crate) receiver: Receiver,
    application: String,
    folder: tempfile::TempDir,
    host: Loopback,
    database: Option<String>,
}

/// Whether this process sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worker {
    Off,
    On,
}

impl Scene {
    pub(crate) async fn start(database: Option<String>, worker: Worker) -> Self {
        let (host, folder) = (Loopback::take(), tempfile::tempdir().unwrap());
        let receiver = Receiver::start(&host).await;
        let control = ControlProcess::start(options(&host, &folder, database.as_deref(), worker)).await;
        let (_, made) = control.send("POST", "/v1/applications", Some(&json!({"name": "App"}))).await;
        let application = made["id"].as_str().unwrap().to_owned();
        Self { control, receiver, application, folder, host, database }
    }

    /// SIGKILL, and another process in its place.
    pub(crate) async fn die_and_come_back(&mut self, worker: Worker) {
        self.control.kill9();
        let options = options(&self.host, &self.folder, self.database.as_deref(), worker);
        self.control = ControlProcess::start(options).await;
    }

    /// An endpoint at the receiver: its id and secret.
    pub(crate) async fn endpoint(&self) -> (String, String) {
        let body = json!({"url": self.receiver.url()});
        let (status, made) = self.control.send("POST", "/v1/webhook-endpoints", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (text("id"), text("signing_secret"))
    }

    /// Makes something happen: a connection is made and deleted, which is one event.
    pub(crate) async fn happen(&self, hostname: &str) {
        let body = json!({"application_id": self.application, "hostname": hostname});
        let (status, made) = self.control.send("POST", "/v1/connections", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
        assert_eq!(self.control.send("DELETE", &path, None).await.0, 200);
    }

    /// Ids of all events, in order.
    pub(crate) async fn events(&self) -> Vec<String> {
        let (_, events) = self.control.get("/v1/events?limit=100").await;
        events["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Deliveries that were taken, once there are so many.
    pub(crate) async fn delivered(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} deliveries are written down as taken"), async || {
            let (_, page) = self.control.get("/v1/webhook-deliveries?status=delivered&limit=100").await;
            page["data"].as_array().cloned().filter(|found| found.len() >= count)
        })
        .await
    }
}

fn options(host: &Loopback, folder: &tempfile::TempDir, database: Option<&str>, worker: Worker) -> ControlOptions {
    let options = ControlOptions::on(host)
        .folder(folder.path())
        // Nobody is asked here, and nobody must be.
        .set("[dns]\nresolvers = [\"127.0.0.1:9\"]\nask_authority = false")
        .set(&format!("[worker]\nenabled = {}", worker == Worker::On));
    database.into_iter().fold(options, ControlOptions::database)
}
