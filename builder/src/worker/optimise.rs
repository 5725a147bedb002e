//! From what the linker made to what devices get: no exports nobody calls, optimised for size, no names.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

use super::sandbox::{BuildLimits, Job, Mount, RunError};
use super::tools::Tools;
use crate::Profile;

/// What modules export.
const EXPORTS: &[&str] = &["memory", "_start", "__heap_base", "__data_end"];

/// The features that today's rustc uses and Debian's binaryen 108 has to be told of.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Why a module could not be optimised.
#[derive(Debug, thiserror::Error)]
pub(super) enum OptimiseError {
    #[error("what the compiler made is no module: {0}")]
    Malformed(#[from] wasmparser::BinaryReaderError),
    #[error("wasm-opt: {0}")]
    Run(#[from] RunError),
    #[error("wasm-opt: {0}")]
    Failed(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Optimises `module`; `work` is a folder for this alone.
pub(super) async fn optimise(
    tools: &Tools,
    module: &[u8],
    profile: Profile,
    work: &Path,
    limits: &BuildLimits,
    deadline: Instant,
) -> Result<Vec<u8>, OptimiseError> {
    std::fs::write(work.join("in.wasm"), keep(module, Profile::Dev)?)?;
    let folder = Mount { host: work.to_owned(), inside: "/module".into(), writable: true };
    let inside = tools.sandbox.inside(&folder);
    let mut arguments: Vec<OsString> = vec!["-Oz".into()];
    arguments.extend(FEATURES.iter().map(OsString::from));
    if profile == Profile::Dev {
        arguments.push("-g".into());
    }
    arguments.extend([inside.join("in.wasm").into(), "-o".into(), inside.join("out.wasm").into()]);
    let job = Job {
        program: tools.wasm_opt.clone(),
        arguments,
        environment: vec![("PATH", "/usr/bin:/bin".into()), ("BINARYEN_CORES", "1".into())],
        mounts: match tools.wasm_opt.starts_with("/usr/bin") {
            true => vec![folder],
            // Installed elsewhere: that one program is seen as well.
            false => {
                vec![folder, Mount { host: tools.wasm_opt.clone(), inside: tools.wasm_opt.clone(), writable: false }]
            }
        },
        folder: "/tmp".into(),
        network: false,
    };
    let ran = tools.sandbox.run(&job, limits, deadline, |_| {}).await?;
    if !ran.success {
        return Err(OptimiseError::Failed(super::cargo::last_words(&ran.errors)));
    }
    Ok(keep(&std::fs::read(work.join("out.wasm"))?, profile)?)
}

/// The module with the exports that count and, for a release, without custom sections.
fn keep(module: &[u8], profile: Profile) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
    let mut kept = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        match &payload {
            Payload::ExportSection(exports) => {
                let mut section = ExportSection::new();
                for export in exports.clone() {
                    let export = export?;
                    if EXPORTS.contains(&export.name) {
                        section.export(export.name, kind(export.kind), export.index);
                    }
                }
                kept.section(&section);
            }
            // Names are for people who look at a trap; the rest says how the module was made.
            Payload::CustomSection(custom) if profile == Profile::Release || custom.name() != "name" => {}
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let range = range.start as usize..range.end as usize;
                    kept.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    Ok(kept.finish())
}

const fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
