//! `namegate-edge explain`: asks the running edge, which knows what it would do.

use std::{path::Path, process::ExitCode};

use super::{Format, complain, prepare, print_json, say};

pub(super) fn explain(path: &Path, hostname: &str, format: Format) -> ExitCode {
    let (config, runtime) = match prepare(path) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("hostname", hostname).finish();
    let path = format!("/explain?{query}");
    match runtime.block_on(edge::admin_client::ask(config.listen.admin, http::Method::GET, &path)) {
        Ok((status, explained)) if status.is_success() => {
            print(&explained, format);
            ExitCode::SUCCESS
        }
        Ok((status, body)) => {
            complain(format_args!("error: the edge answered {status}: {body}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            let error = telemetry::chain(&error);
            complain(format_args!("error: the edge on {} cannot be asked: {error}", config.listen.admin));
            complain("hint: `explain` tells what a running edge would do; start it with `namegate-edge run`");
            ExitCode::FAILURE
        }
    }
}

fn print(explained: &serde_json::Value, format: Format) {
    if format == Format::Json {
        print_json(explained);
        return;
    }
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    for key in ["hostname", "outcome", "reason"] {
        say(format_args!("{key:<12} {}", explained.get(key).map_or_else(|| "-".to_owned(), text)));
    }
    for part in ["gate", "certificate", "origin"] {
        let Some(fields) = explained.get(part).and_then(serde_json::Value::as_object) else { continue };
        for (key, value) in fields {
            say(format_args!("{:<12} {key}: {}", part, text(value)));
        }
    }
}
