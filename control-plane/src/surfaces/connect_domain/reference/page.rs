//! The page: a table of contents, then every operation by subject, then the objects.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::example::{self, field, resolve};

const STYLE: &str = "
:root{--ink:#1b1f23;--soft:#5b646e;--line:#e2e5e9;--tint:#f5f6f8;--link:#0b5cad;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--soft:#9aa4ae;--line:#33393f;--tint:#20252a;--link:#7db7f5}
body{background:#15181b}}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,sans-serif;color:var(--ink)}a{color:var(--link);
text-decoration:none}a:hover{text-decoration:underline}.all{display:grid;grid-template-columns:19rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);
font-size:.875rem}nav ul{list-style:none;margin:.2rem 0 1rem;padding:0}nav li a{display:flex;padding:.1rem 0}nav li a span{flex:none}nav b{text-transform:
capitalize}main{padding:2rem 3rem 6rem;max-width:62rem}h2{margin:3.5rem 0 0;text-transform:capitalize}h2+p{margin-top:0;
color:var(--soft)}section{padding:1.5rem 0;border-top:1px solid var(--line)}section h3{margin:0;font-size:1rem}code,pre{
font:.875rem/1.5 ui-monospace,monospace}code,pre{background:var(--tint);border-radius:4px}code{padding:.1rem .3rem}
pre{padding:.8rem 1rem;overflow:auto}pre code{padding:0}table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}
td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}td:first-child{width:14rem}
td:nth-child(2){width:12rem;color:var(--soft)}h4{margin:1.2rem 0 0;font-size:.8rem;text-transform:uppercase;
letter-spacing:.05em;color:var(--soft)}.m{display:inline-block;width:4.2rem;font:700 .75rem ui-monospace,monospace}
.get{color:#1a7f37}.post{color:#0b5cad}.patch{color:#9a6700}.delete{color:#cf222e}
@media(prefers-color-scheme:dark){.get{color:#56d364}.post{color:#79b8ff}.patch{color:#e3b341}.delete{color:#ff7b72}}
@media(max-width:60rem){.all{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}
";

/// The whole page.
pub(super) fn page(document: &Value) -> String {
    let subjects: Vec<Subject<'_>> = subjects(document);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Namegate: API reference</title><style>{STYLE}</style><div class=all><nav>"
    );
    subjects.iter().for_each(|subject| write_contents(&mut page, subject));
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "<a href='#objects'><b>Objects</b></a></nav><main><h1>API reference</h1><p>{}</p><p>Every request carries \
         <code>Authorization: Bearer &lt;key&gt;</code>. Bodies are JSON, with or without a <code>Content-Type</code>; \
         fields with a star are required. The same for programs: <a href='/openapi.json'>/openapi.json</a> (OpenAPI 3.1).</p>",
        prose(document.pointer("/info/description"))
    );
    for subject in &subjects {
        let _ = write!(page, "<h2 id='{0}'>{0}</h2><p>{1}</p>", escape(subject.name), prose(subject.description));
        subject.operations.iter().for_each(|operation| write_operation(&mut page, document, operation));
    }
    page.push_str("<h2 id=objects>Objects</h2><p>What bodies and answers are made of.</p>");
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten().filter(|(name, _)| !name.starts_with("Page_")) {
        let (name, what) = (escape(name), prose(field(schema, "description")));
        let _ = write!(page, "<section id='{name}'><h3>{name}</h3><p>{what}</p>");
        write_fields(&mut page, schema);
        page.push_str("</section>");
    }
    page.push_str("</main></div>");
    page
}

struct Subject<'a> {
    name: &'a str,
    description: Option<&'a Value>,
    operations: Vec<Operation<'a>>,
}

struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    /// The place of an operation on the page.
    fn anchor(&self) -> String {
        let path = self.path.replace(|char: char| !char.is_ascii_alphanumeric(), "-");
        format!("{}{path}", self.method)
    }
}

/// The operations of each tag, in the document's order.
fn subjects(document: &Value) -> Vec<Subject<'_>> {
    let tags = field(document, "tags").and_then(Value::as_array).into_iter().flatten();
    tags.map(|tag| {
        let name = text(field(tag, "name"));
        Subject { name, description: field(tag, "description"), operations: operations(document, name) }
    })
    .collect()
}

fn operations<'a>(document: &'a Value, tag: &str) -> Vec<Operation<'a>> {
    let paths = field(document, "paths").and_then(Value::as_object).into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, value)| Operation { method, path, value })
    });
    let is_of_tag = |operation: &Operation<'_>| {
        let tags = field(operation.value, "tags").and_then(Value::as_array);
        tags.into_iter().flatten().any(|found| found == tag)
    };
    all.filter(is_of_tag).collect()
}

fn write_contents(page: &mut String, subject: &Subject<'_>) {
    let _ = write!(page, "<a href='#{0}'><b>{0}</b></a><ul>", escape(subject.name));
    for operation in &subject.operations {
        let (method, path) = (operation.method, escape(operation.path.trim_start_matches("/v1")));
        let label = method.to_uppercase();
        let _ = write!(page, "<li><a href='#{}'><span class='m {method}'>{label}</span>{path}</a>", operation.anchor());
    }
    page.push_str("</ul>");
}

fn write_operation(page: &mut String, document: &Value, operation: &Operation<'_>) {
    let Operation { method, path, value } = operation;
    let _ = write!(
        page,
        "<section id='{}'><h3><span class='m {method}'>{}</span><code>{}</code></h3><p>{} {}</p><pre><code>{}</code></pre>",
        operation.anchor(),
        method.to_uppercase(),
        escape(path),
        prose(field(value, "summary")),
        prose(field(value, "description")),
        escape(&example::curl(document, method, path, value)),
    );
    write_parameters(page, value);
    if let Some(body) = value.pointer("/requestBody/content/application~1json/schema") {
        page.push_str("<h4>Body</h4>");
        write_fields(page, resolve(document, body));
    }
    page.push_str("<h4>Answers</h4><table>");
    for (status, response) in field(value, "responses").and_then(Value::as_object).into_iter().flatten() {
        let content = response["content"].as_object().and_then(|content| content.values().next());
        let shape = content.map(|content| type_of(&content["schema"])).unwrap_or_default();
        let what = prose(field(response, "description"));
        let _ = write!(page, "<tr><td>{}<td>{shape}<td>{what}", escape(status));
    }
    page.push_str("</table></section>");
}

fn write_parameters(page: &mut String, operation: &Value) {
    let mut parameters = field(operation, "parameters").and_then(Value::as_array).into_iter().flatten().peekable();
    if parameters.peek().is_none() {
        return;
    }
    page.push_str("<h4>Parameters</h4><table>");
    for parameter in parameters {
        let (name, place) = (escape(text(field(parameter, "name"))), escape(text(field(parameter, "in"))));
        let what = prose(field(parameter, "description"));
        let _ = write!(page, "<tr><td><code>{name}</code><td>{place}<td>{what}");
    }
    page.push_str("</table>");
}

/// The fields of an object, those that are required marked with a star.
fn write_fields(page: &mut String, schema: &Value) {
    let required: Vec<&str> = field(schema, "required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    page.push_str("<table>");
    let none = Map::new();
    for (name, shape) in field(schema, "properties").and_then(Value::as_object).unwrap_or(&none) {
        let star = if required.contains(&name.as_str()) { " *" } else { "" };
        let what = prose(field(shape, "description"));
        let _ = write!(page, "<tr><td><code>{}</code>{star}<td>{}<td>{what}", escape(name), type_of(shape));
    }
    page.push_str("</table>");
}

/// A schema in a few words; references are links.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = field(schema, "$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return match name.strip_prefix("Page_") {
            Some(item) => format!("page of <a href='#{0}'>{0}</a>", escape(item)),
            None => format!("<a href='#{0}'>{0}</a>", escape(name)),
        };
    }
    let any = field(schema, "oneOf").or_else(|| field(schema, "anyOf")).and_then(Value::as_array);
    if let Some(any) = any {
        return any.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let items = || field(schema, "items").map(type_of).unwrap_or_default();
    let word = |word: &str| if word == "array" { format!("list of {}", items()) } else { escape(word) };
    match field(schema, "type") {
        Some(Value::String(one)) => word(one),
        Some(Value::Array(words)) => words.iter().map(|one| word(text(Some(one)))).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

/// A sentence, with what stands between backticks as code.
fn prose(value: Option<&Value>) -> String {
    let escaped = escape(text(value));
    let pieces = escaped.split('`').enumerate();
    pieces.map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { piece.to_owned() }).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_place_and_every_link_leads_somewhere() {
        let document: Value = serde_json::from_str(&super::super::super::openapi()).unwrap();
        let page = page(&document);
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let operation = Operation { method, path, value: &Value::Null };
                assert!(page.contains(&format!("<section id='{}'", operation.anchor())), "{method} {path}");
            }
        }
        for link in page.split("href='#").skip(1) {
            let place = link.split('\'').next().unwrap();
            let is_there = [format!("id='{place}'"), format!("id={place}>")].iter().any(|id| page.contains(id));
            assert!(is_there, "nothing is at #{place}");
        }
    }

    #[test]
    fn a_create_shows_a_command_that_can_be_typed() {
        let document: Value = serde_json::from_str(&super::super::super::openapi()).unwrap();
        let operation = &document["paths"]["/v1/connections"]["post"];
        let command = example::curl(&document, "post", "/v1/connections", operation);
        assert!(command.starts_with("curl -X POST localhost:8080/v1/connections \\\n"), "{command}");
        assert!(command.contains(r#""hostname":"app.customer.com""#), "{command}");
    }
}
