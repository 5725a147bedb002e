//! Declarations: the YAML documents of a fleet's repository.
//!
//! Two passes, both pure. [`parse`] reads one file, whatever its path, so that its result may be
//! kept by blob id; [`check`] looks across files: duplicates, references, shared keys, paths.
//! [`read`] does both. Nothing stops at the first error: all of them are in the [`Report`].
//!
//! ```
//! use wasmbed_api::declarations::{Context, read};
//!
//! let file = b"apiVersion: wasmbed.github.io/v0
//! kind: Device
//! metadata: {name: sensor-1}
//! spec: {gatewayID: gateway-1}
//! ";
//! let report = read([("sensor.yaml", file.as_slice())], &Context::default()).unwrap_err();
//! assert!(report.to_string().starts_with("sensor.yaml:4:8: error: unknown field `gatewayID`"));
//! assert!(report.to_string().contains("did you mean `gatewayId`?"));
//! ```

mod check;
mod edit;
mod envelope;
mod finding;
mod nearest;
mod parse;
mod rules;
mod shape;
mod walk;
mod yaml;

pub use check::{Checked, Context, Placed, TreeView, check, read};
pub use edit::{EditError, set_public_key};
pub use finding::{Finding, Position, Problem, Report, Severity};
pub use parse::{Declaration, Object, Parsed, Reference, Target, is_declaration_file, parse};

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 4 << 20;

/// Feeds arbitrary bytes to everything that reads them; for fuzzers.
///
/// The first byte says where the input is cut into two files.
pub fn fuzz(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let outcome = read([("a.yaml", first), ("b.yaml", second)], &Context::default());
    match outcome {
        Ok(files) => {
            for file in &files {
                for declaration in &file.1.declarations {
                    let printed = declaration.object.to_yaml();
                    let again = parse(printed.as_bytes());
                    assert_eq!(
                        again.declarations.first().map(|d| &d.object),
                        Some(&declaration.object),
                        "what is printed is read as the same"
                    );
                }
            }
        }
        Err(report) => {
            let _ = report.to_string();
        }
    }
}
