//! `docs/self-hosting.md`, from the empty folder to the last stop, on both databases.

use test_support::{Document, Loopback, Postgres, Shell, path_with_binaries};

#[tokio::test]
async fn every_command_of_the_document_works_on_sqlite() {
    run("PostgreSQL", &[]).await;
}

#[tokio::test]
async fn every_command_of_the_document_works_on_postgresql() {
    let postgres = Postgres::start().await;
    run("SQLite", &[("DATABASE_URL", &postgres.create_database())]).await;
}

/// Runs every block whose heading is not about the `other` database.
async fn run(other: &str, more: &[(&str, &str)]) {
    let document = Document::read("docs/self-hosting.md");
    let (folder, host) = (tempfile::tempdir().unwrap(), Loopback::take());
    let (first, second) = (host.at(8080).to_string(), host.at(8081).to_string());
    let (url, path, nowhere) = (format!("http://{first}"), path_with_binaries(), host.at(53).to_string());
    let variables = [
        ("PATH", path.as_str()),
        ("NAMEGATE", &url),
        ("SECOND", &second),
        // Not the ports of this machine, and no question to the internet: nobody answers there.
        ("NAMEGATE_CONTROL__LISTEN__HTTP", &first),
        ("NAMEGATE_CONTROL__DNS__RESOLVERS", &nowhere),
        ("NAMEGATE_CONTROL__DNS__ASK_AUTHORITY", "false"),
        ("NAMEGATE_CONTROL__EDGE__ADDRESSES", "127.0.0.1"),
    ];
    let mut shell = Shell::start(folder.path(), &[&variables[..], more].concat()).await;
    let mut count = 0;
    for block in document.of_language("sh").into_iter().filter(|block| !block.heading.contains(other)) {
        shell.run(block).await;
        count += 1;
    }
    assert!(count >= 14, "{count} blocks are not the whole document");
}
