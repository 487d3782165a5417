//! `validate`.

use std::process::ExitCode;

use control_plane::settings::{Settings, SettingsError};
use serde_json::json;

use super::output::{Format, complain, say, say_json};

pub(crate) fn validate(loaded: Result<Settings, SettingsError>, format: Format) -> ExitCode {
    match (loaded, format) {
        (Ok(_), Format::Table) => say("valid"),
        (Ok(_), Format::Json) => say_json(&json!({ "valid": true, "mistakes": [] })),
        (Err(SettingsError::Mistakes(mistakes)), Format::Json) => {
            say_json(&json!({ "valid": false, "mistakes": mistakes }));
            return ExitCode::FAILURE;
        }
        (Err(error), _) => {
            complain(telemetry::chain(&error));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
