//! The contract as a machine reads it: schemathesis makes requests from the served document, good ones and bad ones, and
//! holds every answer against it.

use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{Control, on_both};

/// Requests an operation and phase; the runs are the same each time.
const EXAMPLES: &str = "10";
/// Left out: a request that fits the schema may still be refused, since no schema says that a hostname is no public
/// suffix, a scope is the key's own and an idempotency key was never used.
const EXCLUDED: &str = "positive_data_acceptance";

async fn run(control: &Control) {
    let output = Command::new(test_support::cached("schemathesis/bin/schemathesis"))
        .args(["run", &format!("{}/openapi.json", control.url)])
        .args(["--header", "Authorization: Bearer sk_test_demo"])
        .args(["--checks", "all", "--exclude-checks", EXCLUDED])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", EXAMPLES, "--seed", "1"])
        .args(["--generation-database", "none", "--continue-on-failure", "--no-color", "--request-timeout", "60"])
        // It looks for a configuration file in its folder and above.
        .current_dir(control.directory())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis must run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // It must not pass because it found nothing to do.
    assert!(text.contains("Tested: "), "{text}");
    assert!(
        !text.contains("API Links:    0 covered") && text.contains("API Links:"),
        "no answer led to a request: {text}"
    );
}

#[test]
fn every_answer_is_one_that_the_document_promises() {
    on_both(|control| async move {
        let app = control.application().await;
        control.connect(&app, "shop.customer.com").await;
        run(&control).await;
        control
    });
}
