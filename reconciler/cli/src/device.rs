//! `wasmbed device`.

use anyhow::{Context, Result};
use wasmbed_device::Options;

use crate::arguments::Device;

/// Runs a device until SIGTERM or Ctrl-C, or until its parent is gone where it has one.
///
/// # Errors
/// When the folder holds no usable identity or store, or another process has it.
pub(crate) fn run(arguments: Device) -> Result<()> {
    let folder = arguments.dir.display().to_string();
    let options = Options { dir: arguments.dir, with_parent: arguments.with_parent };
    wasmbed_device::run(options).with_context(|| format!("the device of {folder}"))
}
