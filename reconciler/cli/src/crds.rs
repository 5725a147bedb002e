//! `wasmbed crds`.

use anyhow::Result;

use crate::arguments::Output;
use crate::print;

/// Prints the custom resource definitions: YAML for `kubectl apply -f -`, or a JSON list.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn run(output: Output) -> Result<()> {
    match output {
        Output::Text => print::line(wasmbed_api::crds_yaml().trim_end()),
        Output::Json => print::json(&wasmbed_api::crds()),
    }
}
