//! `wasmbed validate`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use wasmbed_reconciler::preview::validate_folder;

use crate::arguments::{Output, Validate};
use crate::print;

/// Checks the declarations of a folder, committed or not. The exit code says whether a reconciler would take them.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn run(arguments: &Validate, output: Output) -> Result<ExitCode> {
    let folder = &arguments.folder;
    if !folder.is_dir() {
        bail!("{} is no folder: name the one that holds the fleet's declarations", folder.display());
    }
    let report = validate_folder(folder, None).with_context(|| format!("cannot read {}", folder.display()))?;
    let valid = report.errors.is_empty();
    match output {
        Output::Json => print::json(&json!({ "valid": valid, "errors": report.errors, "notes": report.notes }))?,
        Output::Text => {
            if !valid || !report.notes.is_empty() {
                print::line(report.to_string().trim_end())?;
            }
            if valid {
                print::line(format_args!("{} is valid", folder.display()))?;
            }
        }
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
