//! `/openapi.json`, and `/docs`: the reference as one page of HTML without scripts, fonts or anything from elsewhere.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use serde_json::Value;

use super::AppState;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h2{margin-top:3rem;border-bottom:1px solid #ccc}h3{margin-top:2rem}code,pre{font:14px/1.4 ui-monospace,\
monospace;background:#f4f4f4}pre{padding:1rem;overflow:auto}table{border-collapse:collapse}td,th{text-align:left;\
padding:.2rem .8rem;border-bottom:1px solid #ddd;vertical-align:top}.m{display:inline-block;min-width:4.5rem;\
font-weight:700}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181a}code,pre{background:#23262a}\
td,th,h2{border-color:#444}a{color:#8ab4f8}}";

pub(crate) fn router(document: utoipa::openapi::OpenApi) -> Router<AppState> {
    // Our own types: nothing in them that JSON cannot hold.
    let value = serde_json::to_value(&document).unwrap_or_default();
    let page: Arc<str> = page(&value).into();
    let text: Arc<str> = value.to_string().into();
    let json = move || {
        let text = Arc::clone(&text);
        async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response() }
    };
    let html = move || {
        let page = Arc::clone(&page);
        async move {
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page.to_string())).into_response()
        }
    };
    Router::new().route("/openapi.json", get(json)).route("/docs", get(html))
}

fn page(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>API reference</title><style>{STYLE}</style><h1>API reference</h1><p>{}</p>\
         <p>The same for programs: <a href='/openapi.json'>/openapi.json</a> (OpenAPI 3.1).</p>",
        escape(document.pointer("/info/description").map(text).unwrap_or_default())
    );
    let none = serde_json::Map::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&none) {
        for (method, operation) in item.as_object().unwrap_or(&none) {
            write_operation(&mut page, path, method, operation);
        }
    }
    page.push_str("<h2>Objects</h2>");
    for (name, schema) in document.pointer("/components/schemas").and_then(Value::as_object).unwrap_or(&none) {
        write_schema(&mut page, name, schema);
    }
    page
}

fn write_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "<h3><span class=m>{}</span> <code>{}</code></h3><p>{} {}</p><table>",
        escape(&method.to_uppercase()),
        escape(path),
        escape(text(&operation["summary"])),
        escape(text(&operation["description"])),
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let what = escape(text(&parameter["description"]));
        let _ = write!(page, "<tr><td><code>{}</code><td>{}<td>{what}", escape(name), escape(place));
    }
    if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") {
        let _ = write!(page, "<tr><td>body<td>JSON<td>{}", type_of(body));
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = response.pointer("/content/application~1json/schema");
        let shape = schema.map(type_of).unwrap_or_default();
        let what = escape(text(&response["description"]));
        let _ = write!(page, "<tr><td>{}<td>answer<td>{shape} {what}", escape(status));
    }
    page.push_str("</table>");
}

fn write_schema(page: &mut String, name: &str, schema: &Value) {
    let what = escape(text(&schema["description"]));
    let _ = write!(page, "<h3 id='{0}'>{0}</h3><p>{what}</p><table>", escape(name));
    for (field, shape) in schema["properties"].as_object().into_iter().flatten() {
        let what = escape(text(&shape["description"]));
        let _ = write!(page, "<tr><td><code>{}</code><td>{}<td>{what}", escape(field), type_of(shape));
    }
    page.push_str("</table>");
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href='#{name}'>{name}</a>");
    }
    if let Some(any) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        return any.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(word) if word == "array" => format!("list of {}", type_of(&schema["items"])),
        Value::String(word) => escape(word),
        Value::Array(words) => words.iter().map(|word| escape(text(word))).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}
