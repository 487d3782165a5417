//! `namegate-edge reload`: checks the file here, then tells the running edge.

use std::{path::Path, process::ExitCode};

use super::{Format, complain, prepare, print_json, say};

pub(super) fn reload(path: &Path, format: Format) -> ExitCode {
    let (config, runtime) = match prepare(path) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let answer = runtime.block_on(edge::admin_client::ask(config.listen.admin, http::Method::POST, "/reload"));
    match answer {
        Ok((status, body)) => {
            let ok = status.is_success();
            match format {
                Format::Json => drop(print_json(&body)),
                Format::Table if ok => say("reloaded"),
                Format::Table => complain("the old configuration stays"),
            }
            if let Some(sections) = body.get("needs_restart").and_then(|value| value.as_array())
                && format == Format::Table
                && !sections.is_empty()
            {
                let names: Vec<&str> = sections.iter().filter_map(|section| section.as_str()).collect();
                say(format_args!("needs a restart or an upgrade to change: {}", names.join(", ")));
            }
            if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let error = telemetry::chain(&error);
            complain(format_args!("error: the edge on {} cannot be asked: {error}", config.listen.admin));
            ExitCode::FAILURE
        }
    }
}
