//! `docs/authentication.md`.

use test_support::{ControlOptions, ControlProcess, Document, Loopback, Postgres, Shell};

#[tokio::test]
async fn every_command_of_the_document_works_on_sqlite() {
    let host = Loopback::take();
    run(ControlOptions::on(&host)).await;
}

#[tokio::test]
async fn every_command_of_the_document_works_on_postgresql() {
    let (host, postgres) = (Loopback::take(), Postgres::start().await);
    run(ControlOptions::on(&host).database(&postgres.create_database())).await;
}

async fn run(options: ControlOptions) {
    let document = Document::read("docs/authentication.md");
    let control = ControlProcess::start(options.set("[worker]\nenabled = false")).await;
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(folder.path(), &[("NAMEGATE", &control.url())]).await;
    for block in document.of_language("sh") {
        shell.run(block).await;
    }
    let secret = shell.variable("SECRET").await;
    assert!(secret.starts_with("sk_test_"), "{secret}");
    assert!(!control.log().contains(&secret), "a secret is in the log");
}
