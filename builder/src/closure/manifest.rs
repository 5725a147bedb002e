//! What a `Cargo.toml` says that matters for a closure.

use cargo_toml::{Dependency, Manifest, OptionalFile};
use serde::Deserialize;

use super::error::Refusal;
use super::path;
use super::{Memory, tree::SourceTree, tree::TreeError};

/// The default stack: enough to format floats and keep a few buffers.
const STACK: u32 = 4 << 10;
/// The default heap.
const HEAP: u32 = 16 << 10;
/// The largest of either.
const MOST: u32 = 8 << 20;

/// A parsed `Cargo.toml`.
pub(super) struct Package {
    /// Its folder.
    pub(super) folder: String,
    pub(super) text: String,
    pub(super) manifest: Manifest<Metadata>,
}

/// `[package.metadata]`, as far as it is ours.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    wasmbed: Sizes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    stack: Option<Size>,
    heap: Option<Size>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Bytes(u32),
    Text(String),
}

/// One dependency, with its place.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) dependency: &'a Dependency,
    /// Whether only tests and examples use it.
    pub(super) dev: bool,
}

impl Package {
    /// The manifest in `folder`; `None` if there is none.
    pub(super) fn read(tree: &impl SourceTree, folder: &str) -> Result<Option<Result<Self, Refusal>>, TreeError> {
        let file = path::join(folder, "Cargo.toml");
        let Some(bytes) = tree.read(&file)? else {
            return Ok(None);
        };
        Ok(Some(Self::parse(folder, &file, bytes)))
    }

    pub(super) fn parse(folder: &str, file: &str, bytes: Vec<u8>) -> Result<Self, Refusal> {
        let text = String::from_utf8(bytes).map_err(|_| Refusal::new(file, 0, "it is not UTF-8"))?;
        match Manifest::<Metadata>::from_slice_with_metadata(text.as_bytes()) {
            Ok(manifest) => Ok(Self { folder: folder.to_owned(), text, manifest }),
            Err(cargo_toml::Error::Parse(error)) => {
                let line = error.span().map_or(0, |span| line_at(&text, span.start));
                Err(Refusal::new(file, line, format!("it is not a Cargo manifest: {}", error.message())))
            }
            Err(error) => Err(Refusal::new(file, 0, format!("it is not a Cargo manifest: {error}"))),
        }
    }

    /// `<folder>/Cargo.toml`.
    pub(super) fn file(&self) -> String {
        path::join(&self.folder, "Cargo.toml")
    }

    /// A refusal at the line of this manifest that mentions `needle`.
    pub(super) fn refusal(&self, needle: &str, message: impl Into<String>) -> Refusal {
        let line = self.text.lines().position(|line| line.contains(needle)).map_or(0, |line| line as u32 + 1);
        Refusal::new(self.file(), line, message)
    }

    /// Every dependency of every kind.
    pub(super) fn dependencies(&self) -> Vec<Wanted<'_>> {
        let manifest = &self.manifest;
        let mut all = Vec::new();
        let sets = [
            (&manifest.dependencies, false),
            (&manifest.build_dependencies, false),
            (&manifest.dev_dependencies, true),
        ];
        let by_target = manifest.target.values().flat_map(|target| {
            [(&target.dependencies, false), (&target.build_dependencies, false), (&target.dev_dependencies, true)]
        });
        for (set, dev) in sets.into_iter().chain(by_target) {
            all.extend(set.iter().map(|(name, dependency)| Wanted { name, dependency, dev }));
        }
        all
    }

    /// The stack and heap asked for in `[package.metadata.wasmbed]`.
    pub(super) fn memory(&self) -> Result<Memory, Refusal> {
        let sizes = self.manifest.package.as_ref().and_then(|package| package.metadata.as_ref());
        let sizes = sizes.map(|metadata| &metadata.wasmbed);
        let size = |key: &str, size: Option<&Size>, default: u32, least: u32| -> Result<u32, Refusal> {
            let wrong = |value: &str| {
                self.refusal(
                    key,
                    format!("`{key} = {value}` is no size: bytes (`8192`) or `\"8K\"`, `\"1M\"`, from {least} to {MOST} bytes"),
                )
            };
            let (bytes, written) = match size {
                None => return Ok(default),
                Some(Size::Bytes(bytes)) => (Some(*bytes), bytes.to_string()),
                Some(Size::Text(text)) => (parse_size(text), format!("\"{text}\"")),
            };
            match bytes {
                // Wasm stacks are aligned to 16 bytes.
                Some(bytes) if (least..=MOST).contains(&bytes) => Ok(bytes.next_multiple_of(16)),
                _ => Err(wrong(&written)),
            }
        };
        Ok(Memory {
            stack: size("stack", sizes.and_then(|sizes| sizes.stack.as_ref()), STACK, 512)?,
            heap: size("heap", sizes.and_then(|sizes| sizes.heap.as_ref()), HEAP, 256)?,
        })
    }

    /// The binary target to build.
    pub(super) fn binary(&self, tree: &impl SourceTree) -> Result<Result<String, Refusal>, TreeError> {
        let Some(package) = &self.manifest.package else {
            let message = "it is a workspace and no package; `source.path` names the folder of a package";
            return Ok(Err(self.refusal("[workspace]", message)));
        };
        if let Some(default) = &package.default_run {
            return Ok(Ok(default.clone()));
        }
        let mut names: Vec<String> = self.manifest.bin.iter().filter_map(|bin| bin.name.clone()).collect();
        if package.autobins {
            let is_listed = |path: &str| self.manifest.bin.iter().any(|bin| bin.path.as_deref() == Some(path));
            if tree.read(&path::join(&self.folder, "src/main.rs"))?.is_some() && !is_listed("src/main.rs") {
                names.push(package.name.clone());
            }
            for entry in tree.entries(&path::join(&self.folder, "src/bin"))?.unwrap_or_default() {
                let name = entry.name.strip_suffix(".rs").unwrap_or(&entry.name);
                if !is_listed(&format!("src/bin/{}", entry.name)) {
                    names.push(name.to_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(match &names[..] {
            [only] => Ok(only.clone()),
            [] => {
                Err(self.refusal("[package]", "the package has no program: write `src/main.rs` with `pub fn main()`"))
            }
            many => Err(self.refusal(
                "[package]",
                format!("the package has {} programs ({}): name one as `default-run`", many.len(), many.join(", ")),
            )),
        })
    }

    /// Paths of files, from the package's folder, that Cargo wants to see though it does not build them.
    pub(super) fn targets(&self) -> Vec<String> {
        let mut paths = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
        let manifest = &self.manifest;
        let named = [
            (&manifest.bin, "src/bin"),
            (&manifest.example, "examples"),
            (&manifest.test, "tests"),
            (&manifest.bench, "benches"),
        ];
        for (products, folder) in named {
            for product in products {
                match (&product.path, &product.name) {
                    (Some(path), _) => paths.push(path.clone()),
                    (None, Some(name)) => {
                        paths.push(format!("{folder}/{name}.rs"));
                        paths.push(format!("{folder}/{name}/main.rs"));
                    }
                    (None, None) => {}
                }
            }
        }
        paths.extend(manifest.lib.as_ref().and_then(|lib| lib.path.clone()));
        match manifest.package.as_ref().and_then(|package| package.build.as_ref()) {
            Some(OptionalFile::Path(path)) => paths.extend(path.to_str().map(str::to_owned)),
            _ => paths.push("build.rs".to_owned()),
        }
        paths
    }
}

/// The line, from 1, of the byte at `offset`.
fn line_at(text: &str, offset: usize) -> u32 {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() as u32 + 1
}

/// `8192`, `8K`, `8KiB`, `1M`, `1MiB`.
fn parse_size(text: &str) -> Option<u32> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u32 = match unit.trim() {
        "" => 1,
        "K" | "Ki" | "KiB" => 1 << 10,
        "M" | "Mi" | "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!(parse_size("8192"), Some(8192));
        assert_eq!(parse_size("8K"), Some(8192));
        assert_eq!(parse_size("1 MiB"), Some(1 << 20));
        for wrong in ["", "K", "-1", "8G", "4294967295M", "8k"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
