//! What devices can run.

use wasmparser::{
    CompositeInnerType, ElementItems, Export, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValidPayload,
    Validator, WasmFeatures,
};

use super::error::ModuleError;
use super::footprint::Count;
use super::{Footprint, Limits, Needs, Room};
use crate::imports;

/// Bytes of a page of linear memory.
const PAGE: u64 = 65_536;
/// The most entries all tables may have together.
const TABLE_ENTRIES: u64 = 4_096;
/// The most locals a function may have; each takes room on the device's stack for the interpreter.
const LOCALS: u32 = 1_024;

/// What the devices' interpreter was built with. No SIMD, threads, exceptions, tail calls or 64-bit memories.
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE);

/// What the sections said, as far as the checks need it.
#[derive(Default)]
struct Seen {
    types: Vec<FuncType>,
    /// Type indices of all functions, the imported ones first.
    functions: Vec<u32>,
    imports: Vec<String>,
    unsupported: Vec<String>,
    memory: Option<wasmparser::MemoryType>,
    table_entries: u64,
    start: Option<u32>,
    exports_memory: bool,
    heap_base: Option<u32>,
    exports_data_end: bool,
    /// Initial values of `i32` globals, `None` for anything else.
    globals: Vec<Option<i32>>,
    grows: bool,
    /// Whether it looks how many pages there are, so that the runtime keeps them whole.
    looks: bool,
    count: Count,
    /// How many functions are imported, and how many bodies were read.
    imported: usize,
    bodies: usize,
}

pub(super) fn check(bytes: &[u8], limits: &Limits) -> Result<Needs, ModuleError> {
    let size = bytes.len() as u64;
    if size > limits.module_bytes {
        return Err(ModuleError::TooLarge { size, limit: limits.module_bytes });
    }
    let seen = read(bytes)?;
    match seen.start.and_then(|function| seen.types.get(*seen.functions.get(function as usize)? as usize)) {
        Some(entry) if entry.params().is_empty() && entry.results().is_empty() => {}
        Some(_) => return Err(ModuleError::Export("`_start` as a function without parameters and results")),
        None => {
            return Err(ModuleError::Export("a function `_start`; is it a program (`src/main.rs`) and no library?"));
        }
    }
    let Some(memory) = seen.memory.filter(|_| seen.exports_memory) else {
        return Err(ModuleError::Export("its one memory as `memory`"));
    };
    let initial = memory.initial.saturating_mul(PAGE);
    let memory = match seen.heap_base {
        // As WAMR's loader decides: where pages are neither counted nor added, it lays out no more than is used.
        Some(heap_base) if !seen.grows && !seen.looks && seen.exports_data_end => {
            u64::from(heap_base).next_multiple_of(8).min(initial)
        }
        _ => initial,
    };
    if memory > limits.memory_bytes {
        return Err(ModuleError::Memory { needs: memory, limit: limits.memory_bytes });
    }
    if seen.grows && !limits.growth {
        return Err(ModuleError::Grows);
    }
    for room in &limits.boards {
        fits(room, seen.count.footprint(memory, room.stack), seen.grows)?;
    }
    let footprint = seen.count.footprint(memory, 0);
    let mut imports = seen.imports;
    imports.sort();
    Ok(Needs { memory, grows: seen.grows, footprint, imports })
}

/// Whether a board can hold it.
fn fits(room: &Room, footprint: Footprint, grows: bool) -> Result<(), ModuleError> {
    if footprint.total() > room.bytes {
        return Err(ModuleError::Board { board: room.board.clone(), footprint, room: room.bytes });
    }
    // A page more is a copy of all of it to another place, which such a board does not have.
    if room.is_small && (grows || footprint.linear >= PAGE) {
        return Err(ModuleError::Pages { board: room.board.clone() });
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Seen, ModuleError> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut seen = Seen::default();
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        // The unknown import is worth its name before the validator says anything of later sections.
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
            code(&body, &mut seen)?;
        }
        section(payload, &mut seen)?;
    }
    Ok(seen)
}

fn section(payload: Payload<'_>, seen: &mut Seen) -> Result<(), ModuleError> {
    match payload {
        Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
            return Err(ModuleError::Invalid {
                offset: 0,
                message: "it is a component; devices run core modules".to_owned(),
            });
        }
        Payload::TypeSection(types) => {
            for group in types {
                for kind in group?.into_types() {
                    if let CompositeInnerType::Func(function) = kind.composite_type.inner {
                        seen.count.function_type(&function);
                        seen.types.push(function);
                    }
                }
            }
        }
        Payload::ImportSection(imports) => {
            for import in imports.into_imports() {
                imported(&import?, seen)?;
            }
            if !seen.unsupported.is_empty() {
                let mut parts = std::mem::take(&mut seen.unsupported);
                parts.sort();
                return Err(ModuleError::Unsupported { parts });
            }
        }
        Payload::FunctionSection(functions) => {
            for function in functions {
                seen.functions.push(function?);
            }
        }
        Payload::TableSection(tables) => {
            for table in tables {
                let entries = table?.ty.initial;
                seen.table_entries += entries;
                seen.count.table(entries);
            }
            at_most("table entries", seen.table_entries, TABLE_ENTRIES)?;
        }
        Payload::MemorySection(memories) => {
            for memory in memories {
                seen.memory = Some(memory?);
            }
        }
        Payload::GlobalSection(globals) => {
            for global in globals {
                seen.count.global();
                let mut init = global?.init_expr.get_operators_reader();
                seen.globals.push(match init.read()? {
                    Operator::I32Const { value } => Some(value),
                    _ => None,
                });
            }
        }
        Payload::ExportSection(exports) => {
            for export in exports {
                let export = export?;
                seen.count.export(export.name);
                exported(&export, seen);
            }
        }
        Payload::ElementSection(segments) => {
            for segment in segments {
                seen.count.elements(match segment?.items {
                    ElementItems::Functions(items) => items.count().into(),
                    ElementItems::Expressions(_, items) => items.count().into(),
                });
            }
        }
        Payload::DataSection(segments) => {
            for segment in segments {
                seen.count.data(segment?.data.len() as u64);
            }
        }
        Payload::StartSection { .. } => return Err(ModuleError::StartSection),
        _ => {}
    }
    Ok(())
}

fn imported(import: &wasmparser::Import<'_>, seen: &mut Seen) -> Result<(), ModuleError> {
    let (module, name) = (import.module, import.name);
    if module == imports::STD {
        seen.unsupported.push(name.to_owned());
        return Ok(());
    }
    let Some(known) = imports::import(module, name) else {
        return Err(ModuleError::UnknownImport {
            module: module.to_owned(),
            name: name.to_owned(),
            hint: hint(module, name),
        });
    };
    let TypeRef::Func(kind) = import.ty else {
        return Err(ModuleError::WrongImport {
            module: module.to_owned(),
            name: name.to_owned(),
            found: "something that is no function".to_owned(),
            expected: signature(known.parameters, known.results),
        });
    };
    let found = &seen.types[kind as usize];
    if found.params() != known.parameters || found.results() != known.results {
        return Err(ModuleError::WrongImport {
            module: module.to_owned(),
            name: name.to_owned(),
            found: signature(found.params(), found.results()),
            expected: signature(known.parameters, known.results),
        });
    }
    seen.functions.push(kind);
    seen.imported += 1;
    seen.count.import();
    seen.imports.push(format!("{module}.{name}"));
    Ok(())
}

fn exported(export: &Export<'_>, seen: &mut Seen) {
    match (export.name, export.kind) {
        ("_start", ExternalKind::Func) => seen.start = Some(export.index),
        ("memory", ExternalKind::Memory) => seen.exports_memory = true,
        ("__data_end", ExternalKind::Global) => seen.exports_data_end = true,
        ("__heap_base", ExternalKind::Global) => {
            // Imported globals do not pass, so the index counts the module's own.
            seen.heap_base =
                seen.globals.get(export.index as usize).copied().flatten().map(|value| value.cast_unsigned());
        }
        _ => {}
    }
}

fn code(body: &wasmparser::FunctionBody<'_>, seen: &mut Seen) -> Result<(), ModuleError> {
    let mut locals = 0_u32;
    for local in body.get_locals_reader()? {
        locals = locals.saturating_add(local?.0);
    }
    at_most("locals in one function", locals.into(), LOCALS.into())?;
    let kind = seen.functions.get(seen.imported + seen.bodies).and_then(|kind| seen.types.get(*kind as usize));
    if let Some(kind) = kind {
        seen.count.function(kind, locals.into());
    }
    seen.bodies += 1;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator = operators.read()?;
        seen.grows |= matches!(operator, Operator::MemoryGrow { .. });
        seen.looks |= matches!(operator, Operator::MemorySize { .. });
        seen.count.operator(&operator, &seen.types, &seen.functions);
    }
    Ok(())
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), ModuleError> {
    if found > limit { Err(ModuleError::TooMany { what, found, limit }) } else { Ok(()) }
}

fn hint(module: &str, name: &str) -> String {
    if module.starts_with("wasi") {
        let what = if name.starts_with("path_") || name.starts_with("fd_") {
            "a device has no files; use `config.envVars` for settings"
        } else if name.starts_with("sock_") {
            "a device's applications have no sockets; publish messages instead"
        } else {
            "of WASI preview 1 a device has output, clocks, random bytes, arguments, environment and exit"
        };
        return format!(": {what}");
    }
    match imports::IMPORTS.iter().find(|import| import.name == name) {
        Some(known) => format!("; did you mean `{}.{}`?", known.module, known.name),
        None => "; the crate `wasmbed` offers what they have".to_owned(),
    }
}

fn signature(parameters: &[wasmparser::ValType], results: &[wasmparser::ValType]) -> String {
    let list = |types: &[wasmparser::ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(parameters), list(results))
}
