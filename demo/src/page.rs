//! The pages, as text. Whatever a visitor or a webhook brought is escaped.

use std::fmt::Write;

use axum::{extract::Request, http::HeaderMap};

use crate::{TENANTS, Tenant, inbox::Inbox};

/// What an edge says about the visitor.
const FORWARDING: [&str; 5] = ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "forwarded"];
const STYLE: &str = "
  body { font: 18px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto; padding: 0 1rem }
  th { text-align: left; padding-right: 2rem; font-weight: normal; color: #666; white-space: nowrap }
  td { overflow-wrap: anywhere }
  th, td { vertical-align: top }
";
const COLOUR: &str = "#1d4f4b";

/// The page of a customer that has been here for long.
pub(crate) fn tenant(tenant: &Tenant, request: &Request) -> String {
    let Tenant { hostname, title, greeting, colour } = tenant;
    customer(hostname, &escape(title), greeting, colour, request)
}

/// The page of a customer whose hostname was connected a moment ago.
pub(crate) fn newcomer(name: &str, request: &Request) -> String {
    let name = escape(name);
    customer(&name, &name, "This hostname is live. Nobody has designed its page yet.", COLOUR, request)
}

fn customer(name: &str, title: &str, greeting: &str, colour: &str, request: &Request) -> String {
    let line = escape(&format!("{} {}", request.method(), request.uri()));
    let rows = rows(request.headers());
    let table = format!(
        "<table>
  <tr><th>tenant</th><td>{name}</td></tr>
  <tr><th>request</th><td>{line}</td></tr>
{rows}</table>"
    );
    document(title, colour, &format!("<p>{greeting}</p>\n{table}"))
}

/// Our own page: who our customers are and what we were told of their hostnames.
pub(crate) fn home(inbox: &Inbox) -> String {
    let mut tenants = String::new();
    for Tenant { hostname, title, .. } in &TENANTS {
        // Writing into a String cannot fail.
        let _ = writeln!(tenants, "  <tr><th>{hostname}</th><td>{}</td></tr>", escape(title));
    }
    let mut webhooks = String::new();
    for webhook in inbox.all().rev() {
        let (kind, hostname) = (escape(&webhook.kind), escape(&webhook.hostname));
        let _ = writeln!(webhooks, "  <tr><th>{kind}</th><td>{hostname}</td></tr>");
    }
    let webhooks = match webhooks.is_empty() {
        true => "<p>None yet.</p>".to_owned(),
        false => format!("<table>\n{webhooks}</table>"),
    };
    let body = format!(
        "<p>A small SaaS whose customers use hostnames of their own.</p>
<h2>Customers</h2>
<table>
{tenants}</table>
<h2>Webhooks, the newest first</h2>
{webhooks}"
    );
    document("The demo SaaS", COLOUR, &body)
}

pub(crate) fn not_found() -> String {
    document("Not found", COLOUR, "<p>There is nothing here. <a href=\"/\">The demo SaaS</a></p>")
}

fn document(title: &str, colour: &str, body: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>{title}</title>
<style>{STYLE}  h1 {{ color: {colour} }}
</style>
<h1>{title}</h1>
{body}
"
    )
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
