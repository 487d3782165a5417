//! The contract as a document.

use crate::harness::{Worker, on_sqlite};

/// Changing the API changes this file, in the same commit: `UPDATE=1 cargo nextest run -p control-plane openapi`.
#[test]
fn the_document_is_the_one_that_was_agreed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let now = control_plane::surfaces::connect_domain::openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{now}\n")).unwrap();
    }
    let agreed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(agreed.trim_end() == now, "the API differs from {path}; run again with UPDATE=1 and look at the change");
}

#[test]
fn document_and_reference_are_served_and_need_nothing_from_elsewhere() {
    on_sqlite(Worker::Off, |control| async move {
        let document = control.curl("/openapi.json", &[]).await.json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        assert!(document["paths"]["/v1/connections/{id}/records:check"]["post"].is_object());
        let page = control.curl("/docs", &[]).await;
        assert_eq!(page.status, 200);
        for word in ["<script", "src=", "http://", "https://cdn", "@import"] {
            assert!(!page.text.contains(word), "{word}");
        }
        let metrics = control.curl("/metrics", &[]).await.text;
        assert!(metrics.contains("namegate_control_http_requests_total"));
        control
    });
}
