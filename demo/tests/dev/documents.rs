//! What the documents tell a newcomer to type, and what they say that is answered.

use serde_json::Value;
use test_support::{Block, Document, client::http, wait};

use crate::{
    harness::Dev,
    reader::{Reader, commands},
};

#[tokio::test]
async fn every_command_of_the_quickstart_document_works() {
    let dev = Dev::start(&[], &[]).await;
    let mut reader = Reader::at(&dev).await;
    for command in commands_of("docs/quickstart.md") {
        if command.contains("/webhooks") {
            was_told(&dev).await;
        }
        let output = reader.types(&command).await;
        if command.contains("records:check") {
            reader.sees_it_live().await;
        }
        if command.contains("https://app.customer.com") {
            assert!(output.contains("<td>app.customer.com</td>"), "{output}");
        }
        if command.contains("DELETE") {
            assert!(output.contains("\"archived\""), "{output}");
        }
    }
}

#[tokio::test]
async fn every_command_of_the_readme_works_and_prints_what_stands_there() {
    let dev = Dev::start(&[], &[]).await;
    let mut reader = Reader::at(&dev).await;
    for command in commands_of("README.md") {
        let output = reader.types(&command).await;
        if command.contains("https://app.customer.com") {
            assert!(output.contains("<td>app.customer.com</td>"), "{output}");
        }
    }
    for block in Document::read("README.md").of_language("console") {
        let (command, expected) = transcript(block);
        let (_, printed) = reader.tries(command).await;
        // The stack of a test has another address, and every curl and OpenSSL its own numbers.
        let printed = printed.replace(&dev.host.ip().to_string(), "127.0.0.1");
        compare(&block.place, expected, &printed);
    }
}

#[tokio::test]
async fn the_readme_shows_the_addresses_that_are_printed() {
    let dev = Dev::start(&[], &[]).await;
    let address = dev.host.ip().to_string();
    let printed = dev.printed().replace(&format!("http://{address}:8080"), "http://localhost:8080");
    let printed = printed.replace(&format!("http://{address}:3000"), "http://localhost:3000");
    let printed = printed.replace(&address, "127.0.0.1");
    let readme = std::fs::read_to_string(Document::read("README.md").path()).unwrap();
    for part in ["control plane  ", "edge           ", "demo SaaS      ", "customers      "] {
        let shown = readme.lines().find_map(|line| line.strip_prefix("    ")?.strip_prefix(part));
        let shown = shown.unwrap_or_else(|| panic!("README.md does not show `{part}`"));
        assert!(printed.contains(&format!("{part}{shown}")), "{part}{shown} is not in\n{printed}");
    }
}

/// The demo is told within seconds; a reader takes longer to type.
async fn was_told(dev: &Dev) {
    let url = format!("http://{}/webhooks", dev.host.at(3000));
    wait::until("the demo was told of the whole flow", async || {
        let webhooks: Vec<Value> = serde_json::from_slice(http::get(&url).await.unwrap().body()).unwrap();
        let of_name = webhooks.iter().filter(|webhook| webhook["hostname"] == "app.customer.com");
        of_name.map(|webhook| &webhook["type"]).any(|kind| kind == "domain.flow.completed").then_some(())
    })
    .await;
}

fn commands_of(document: &str) -> Vec<String> {
    let document = Document::read(document);
    document.of_language("sh").iter().flat_map(|block| commands(&block.text, |_| true)).collect()
}

fn transcript(block: &Block) -> (&str, &str) {
    let text = block.text.strip_prefix("$ ").unwrap_or_else(|| panic!("{} begins with `$ `", block.place));
    text.split_once('\n').unwrap()
}

/// Line by line; `...` stands for any lines, and of an error of curl only the reason counts.
fn compare(place: &str, expected: &str, printed: &str) {
    let mut lines = printed.lines();
    let mut skip = false;
    for line in expected.lines() {
        if line == "..." {
            skip = true;
            continue;
        }
        let wanted = line.rsplit_once("::").filter(|_| line.starts_with("curl: ")).map_or(line, |(_, reason)| reason);
        let is_it = |seen: &&str| if wanted == line { *seen == line } else { seen.ends_with(wanted) };
        let found = match skip {
            true => lines.find(is_it),
            false => lines.next().filter(is_it),
        };
        assert!(found.is_some(), "{place}: `{line}` is not where it should be in\n{printed}");
        skip = false;
    }
    assert_eq!(lines.next(), None, "{place}: more is printed than stands there");
}
