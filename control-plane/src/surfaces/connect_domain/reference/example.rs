//! A curl for each operation, with a body of what is required and what has an example.

use serde_json::{Map, Value, json};

/// The command, without quoting for HTML.
pub(super) fn curl(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let mut lines = vec![match method {
        "get" => format!("curl localhost:8080{path}"),
        _ => format!("curl -X {} localhost:8080{path}", method.to_uppercase()),
    }];
    lines.push("-H \"Authorization: Bearer <YOUR_KEY>\"".to_owned());
    if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
        lines.push(format!("-d '{}'", value_of(document, schema)));
    }
    lines.join(" \\\n  ")
}

/// A value that fits a schema: its example, else one made of its required fields.
fn value_of(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if let Some(example) = field(schema, "example") {
        return example.clone();
    }
    let is_required = |name: &str| {
        let required = field(schema, "required").and_then(Value::as_array);
        required.into_iter().flatten().any(|required| required == name)
    };
    let properties = field(schema, "properties").and_then(Value::as_object);
    let Some(properties) = properties else { return of_type(schema) };
    let shown = properties.iter().filter(|(name, shape)| is_required(name) || field(shape, "example").is_some());
    Value::Object(shown.map(|(name, shape)| (name.clone(), value_of(document, shape))).collect::<Map<_, _>>())
}

fn of_type(schema: &Value) -> Value {
    match field(schema, "type").and_then(Value::as_str) {
        Some("array") => json!([]),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(1),
        _ => json!("…"),
    }
}

/// What a reference leads to; our own document has no circles of references alone.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let name = field(schema, "$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    let found = name.and_then(|name| document.pointer(&format!("/components/schemas/{name}")));
    found.unwrap_or(schema)
}

/// A field of an object.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.get(name)
}
