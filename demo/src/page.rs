//! The pages, as text. Whatever a visitor sent is escaped.

use std::fmt::Write;

use axum::{extract::Request, http::HeaderMap};

use crate::Tenant;

/// What an edge says about the visitor.
const FORWARDING: [&str; 5] = ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "forwarded"];

pub(crate) fn tenant(tenant: &Tenant, request: &Request) -> String {
    let Tenant { hostname, title, greeting, colour } = tenant;
    let title = escape(title);
    let line = escape(&format!("{} {}", request.method(), request.uri()));
    let rows = rows(request.headers());
    format!(
        "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>{title}</title>
<style>
  body {{ font: 18px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }}
  h1 {{ color: {colour} }}
  th {{ text-align: left; padding-right: 2rem; font-weight: normal; color: #666 }}
</style>
<h1>{title}</h1>
<p>{greeting}</p>
<table>
  <tr><th>tenant</th><td>{hostname}</td></tr>
  <tr><th>request</th><td>{line}</td></tr>
{rows}</table>
"
    )
}

pub(crate) fn unknown(name: &str) -> String {
    format!("<!doctype html>\n<title>Not found</title>\n<p>No tenant uses <b>{}</b>.</p>\n", escape(name))
}

fn rows(headers: &HeaderMap) -> String {
    let mut rows = String::new();
    for name in FORWARDING {
        for value in headers.get_all(name) {
            let value = escape(&String::from_utf8_lossy(value.as_bytes()));
            // Writing into a String cannot fail.
            let _ = writeln!(rows, "  <tr><th>{name}</th><td>{value}</td></tr>");
        }
    }
    rows
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
