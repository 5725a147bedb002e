//! How large an image is: read from its ELF file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf::{SHF_ALLOC, SHF_WRITE};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};

use crate::budgets::Budget;

/// What an image takes of its board, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Code, constants, and what initialised memory begins with.
    pub flash: u64,
    /// The agent's heap: TLS, session, the mirror of the store's log.
    pub heap: u64,
    /// Memory of the applications, where the image sets it aside.
    pub applications: u64,
    /// Everything else that is static.
    pub fixed: u64,
    /// What is left to the stack.
    pub stack: u64,
}

impl Sizes {
    /// Reads them from an ELF file. What its heap and its applications have is known of `budget`, and looked for in the image.
    ///
    /// # Errors
    /// It cannot be read, or what it sets aside is not what `budget` says.
    pub fn read(image: &Path, budget: &Budget) -> Result<Self, String> {
        let at = |what: &dyn std::fmt::Display| format!("{}: {what}", image.display());
        let bytes = fs::read(image).map_err(|error| at(&error))?;
        let file = object::File::parse(&*bytes).map_err(|error| at(&error))?;
        let (mut flash, mut memory) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(SHF_ALLOC) == 0 {
                continue;
            }
            if sh_flags & u64::from(SHF_WRITE) != 0 {
                memory += section.size();
            }
            if !matches!(section.kind(), SectionKind::UninitializedData) {
                flash += section.size();
            }
        }
        // A static with a flag beside it, which says whether it was taken, and rounding.
        let set_aside = |name: &str, bytes: u64| {
            let is_it = |size: u64| (bytes..bytes + 16).contains(&size);
            match bytes {
                0 => Ok(()),
                _ if file.symbols().any(|symbol| is_it(symbol.size())) => Ok(()),
                _ => Err(at(&format!(
                    "no static of {bytes} bytes; if the board's {name} is another, say so in budgets.toml"
                ))),
            }
        };
        set_aside("heap", budget.heap)?;
        set_aside("applications", budget.applications)?;
        let symbol = |name: &str| {
            let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
            found.map(|symbol| symbol.address()).ok_or_else(|| at(&format!("no symbol {name}")))
        };
        Ok(Self {
            flash,
            heap: budget.heap,
            applications: budget.applications,
            fixed: memory - budget.heap - budget.applications,
            stack: symbol("_stack_start")? - symbol("_stack_end")?,
        })
    }
}

/// Builds every board's firmware, as `make firmware` does, and says in which folder the images are.
///
/// # Errors
/// What the build said.
pub fn build_firmware() -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace");
    let build = Command::new(workspace.join("build.sh")).output().map_err(|error| format!("build.sh: {error}"))?;
    if !build.status.success() {
        return Err(String::from_utf8_lossy(&build.stderr).into_owned());
    }
    Ok(workspace.join("../../target/firmware"))
}
