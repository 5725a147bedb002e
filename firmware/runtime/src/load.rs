//! From bytes to an instance: everything that is refused is refused here, with its reason.

use core::ffi::CStr;
use std::sync::Arc;

use crate::imports::IMPORTS;
use crate::sections;
use crate::wamr::{Budget, Instance, Program};
use crate::{Limits, StartError};

/// Where a program starts.
pub(crate) const ENTRY: &CStr = c"_start";

/// Exports that WAMR runs while it instantiates, where nothing could stop them.
const RUN_TOO_EARLY: &[&str] = &["__post_instantiate", "__wasm_call_ctors", "_initialize"];

impl Limits {
    /// Refuses limits outside of their ranges.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let in_range = |name, value: u64, range: core::ops::RangeInclusive<u64>, words| {
            if range.contains(&value) { Ok(()) } else { Err(StartError::Limit { name, value, range: words }) }
        };
        in_range("memory", self.memory, 1..=1 << 32, "1 byte to 4 GiB")?;
        in_range("stack", self.stack.into(), 1024..=1 << 20, "1 KiB to 1 MiB")?;
        in_range("cpu_ms_per_s", self.cpu_ms_per_s.into(), 1..=1000, "1 to 1000 milliseconds a second")
    }
}

/// Validates, translates and instantiates a module.
pub(crate) fn load(module: Vec<u8>, limits: &Limits, budget: Arc<Budget>) -> Result<Instance, StartError> {
    let invalid = |reason: &str| StartError::Invalid { reason: reason.to_owned() };
    if let Some(reason) = sections::refusal(&module) {
        return Err(invalid(reason));
    }
    // Only to tell what went wrong.
    let account = Arc::clone(&budget);
    let out_of_memory_or = |reason: String| {
        // What is beyond any budget, WAMR refuses by itself.
        if account.refused() > 0 || reason.contains("allocate memory failed") {
            StartError::MemoryLimit { limit: limits.memory }
        } else {
            StartError::Invalid { reason }
        }
    };
    let program = Program::load(module, budget).map_err(&out_of_memory_or)?;
    for import in program.imports() {
        let known = IMPORTS.iter().any(|offered| offered.module == import.module && offered.name == import.name);
        match (import.is_function && known, import.linked) {
            (true, true) => {}
            (true, false) => {
                return Err(StartError::ImportSignature { module: import.module, name: import.name });
            }
            (false, _) => {
                return Err(StartError::UnknownImport { module: import.module, name: import.name });
            }
        }
    }
    let exports = program.exports();
    if let Some(name) = exports.iter().find(|name| RUN_TOO_EARLY.contains(&name.as_str())) {
        return Err(invalid(&format!(
            "it exports `{name}`, which would run outside of its limits: call it from `_start` and do not export it"
        )));
    }
    let instance = program.instantiate(limits.stack).map_err(&out_of_memory_or)?;
    if !instance.has_entry(ENTRY) {
        return Err(StartError::NoEntry);
    }
    Ok(instance)
}
