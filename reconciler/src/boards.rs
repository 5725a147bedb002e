//! The boards an application is for, and what they can give it.

use kube::ResourceExt;
use wasmbed_api::{Application, ApplicationSpec, BoardMemory, Device, INTERPRETER_STACK, McuType};
use wasmbed_builder::{Limits, Room};

/// A board, and what it has for applications.
pub(crate) type DeclaredBoard = (McuType, BoardMemory);

/// What the module of `application` may need on those of `devices` that it is for.
///
/// # Errors
/// Why it cannot run there, whatever its module is: it declares a limit that a board cannot give.
pub fn module_limits<'d>(
    application: &Application,
    devices: impl IntoIterator<Item = &'d Device>,
) -> Result<Limits, String> {
    let spec = &application.spec;
    let mut boards: Vec<DeclaredBoard> = devices
        .into_iter()
        .filter(|device| spec.targets(&device.name_any(), device.labels()))
        .filter_map(|device| Some((device.spec.board(), device.spec.memory()?)))
        .collect();
    boards.sort_unstable();
    boards.dedup();
    match too_much(spec, &boards) {
        Some(why) => Err(why),
        None => Ok(limits(spec, &boards)),
    }
}

/// A module may need what its declaration grants, and what each of its boards has.
pub(crate) fn limits(spec: &ApplicationSpec, boards: &[DeclaredBoard]) -> Limits {
    let declared = spec.config.clone().unwrap_or_default().limits();
    let boards = boards.iter().map(|(board, memory)| Room {
        board: board.to_string(),
        bytes: memory.largest_limit(),
        stack: INTERPRETER_STACK,
        is_small: memory.is_small(),
    });
    let module_bytes = wasmbed_registry::MAX_MODULE;
    Limits { module_bytes, memory_bytes: declared.memory_bytes, boards: boards.collect(), ..Limits::default() }
}

/// Why the limit that is declared cannot be given on one of the boards.
pub(crate) fn too_much(spec: &ApplicationSpec, boards: &[DeclaredBoard]) -> Option<String> {
    let limit = spec.config.as_ref()?.memory_limit?.bytes();
    let (board, memory) = boards.iter().find(|(_, memory)| memory.largest_limit() < limit)?;
    let most = memory.largest_limit();
    Some(format!(
        "config.memoryLimit is {limit} bytes, and {board} has {most} for an application: lower it, or leave it out for \
         what the module needs"
    ))
}
