//! Settings of Cargo and rustup that a repository may not bring.

use super::error::Refusal;
use super::path;
use super::tree::{Entry, EntryKind};

/// What stands against `entry` in `folder`, if it is such a setting.
pub(super) fn refusal(folder: &str, entry: &Entry) -> Option<Refusal> {
    let place = path::join(folder, &entry.name);
    let in_cargo_folder = folder == ".cargo" || folder.ends_with("/.cargo");
    match entry.name.as_str() {
        "config" | "config.toml" if in_cargo_folder => Some(cargo_configuration(place)),
        // Whatever it points to, Cargo would look inside.
        ".cargo" if matches!(entry.kind, EntryKind::Symlink { .. }) => Some(cargo_configuration(place)),
        "rust-toolchain" | "rust-toolchain.toml" => Some(Refusal::new(
            place,
            0,
            format!(
                "a toolchain file is refused: modules are always built with Rust {}; remove it",
                crate::toolchain::RUST
            ),
        )),
        _ => None,
    }
}

pub(super) fn cargo_configuration(file: String) -> Refusal {
    Refusal::new(
        file,
        0,
        "Cargo configuration in the repository is refused, because it names programs that Cargo runs: remove it (size and target are set by the builder)",
    )
}
