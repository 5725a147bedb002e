//! The programs a build needs, found once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::{Failure, FailureReason};
use crate::toolchain::RUST;

use super::sandbox::Sandbox;
use super::{Options, Sandboxing};

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    /// The toolchain's folder: `bin`, `lib`.
    pub(super) toolchain: PathBuf,
    /// The folder under `lib/rustlib` of this machine's own target.
    pub(super) host: String,
    pub(super) wasm_opt: PathBuf,
    pub(super) sandbox: Sandbox,
}

/// Finds the tools.
///
/// # Errors
/// The first one that is missing, with what to do.
pub(super) fn find(options: &Options) -> Result<Tools, Failure> {
    let search = Search(options.search.clone().or_else(|| std::env::var_os("PATH")).unwrap_or_default());
    let sandbox = sandbox(options.sandboxing, &search)?;
    let toolchain = match &options.toolchain {
        Some(folder) => folder.clone(),
        None => toolchain(&search).ok_or_else(|| {
            missing(format!("Rust {RUST} is missing here: run `rustup toolchain install {RUST} --profile minimal --component rust-src`"))
        })?,
    };
    let version = run(&toolchain.join("bin/rustc"), &["-vV"]).unwrap_or_default();
    let field = |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let (Some(release), Some(host)) = (field("release: "), field("host: ")) else {
        return Err(missing(format!("{} holds no working compiler; it should be Rust {RUST}", toolchain.display())));
    };
    if release != RUST {
        return Err(missing(format!(
            "{} is Rust {release}; modules are built with Rust {RUST}, so that one commit gives one digest: run `rustup toolchain install {RUST} --profile minimal --component rust-src`",
            toolchain.display()
        )));
    }
    let tools = Tools {
        wasm_opt: search
            .program("wasm-opt")
            .ok_or_else(|| missing("`wasm-opt` is missing here: install the package `binaryen`".to_owned()))?,
        toolchain,
        host,
        sandbox,
    };
    if !tools.library().join("std/src/lib.rs").is_file() {
        return Err(missing(format!(
            "the library sources of Rust {RUST} are missing here: run `rustup component add --toolchain {RUST} rust-src`"
        )));
    }
    Ok(tools)
}

impl Tools {
    /// The standard library's sources.
    pub(super) fn library(&self) -> PathBuf {
        self.toolchain.join("lib/rustlib/src/rust/library")
    }

    /// The linker's place below the toolchain.
    pub(super) fn linker(&self) -> String {
        format!("lib/rustlib/{}/bin/rust-lld", self.host)
    }
}

fn sandbox(sandboxing: Sandboxing, search: &Search) -> Result<Sandbox, Failure> {
    if sandboxing == Sandboxing::None {
        return Ok(Sandbox::None);
    }
    let no_sandbox = |message: &str| Failure {
        reason: FailureReason::NoSandbox,
        message: format!(
            "{message}; to build without a sandbox, which lets build scripts read everything you can read, start the builder with `--sandbox=none`"
        ),
        location: None,
    };
    let bwrap = search
        .program("bwrap")
        .ok_or_else(|| no_sandbox("`bwrap` is missing here: install the package `bubblewrap`"))?;
    let prlimit = search
        .program("prlimit")
        .ok_or_else(|| no_sandbox("`prlimit` is missing here: install the package `util-linux`"))?;
    let arguments = ["--unshare-all", "--unshare-user", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib"];
    let arguments =
        [&arguments[..], &["--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--", "/usr/bin/true"]].concat();
    match Command::new(&bwrap).args(&arguments).output() {
        Ok(output) if output.status.success() => Ok(Sandbox::Bubblewrap { bwrap, prlimit }),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("it failed").to_owned();
            Err(no_sandbox(&format!(
                "bubblewrap does not work here ({said}): allow unprivileged user namespaces (`sysctl kernel.unprivileged_userns_clone`, `kernel.apparmor_restrict_unprivileged_userns`)"
            )))
        }
        Err(error) => Err(no_sandbox(&format!("`bwrap` cannot be run: {error}"))),
    }
}

fn toolchain(search: &Search) -> Option<PathBuf> {
    let by_rustup = search.program("rustup").and_then(|rustup| run(&rustup, &["which", "--toolchain", RUST, "rustc"]));
    if let Some(rustc) = by_rustup {
        return Some(Path::new(rustc.trim()).parent()?.parent()?.to_owned());
    }
    run(&search.program("rustc")?, &["--print", "sysroot"]).map(|sysroot| sysroot.trim().into())
}

fn run(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// Where programs are looked for.
struct Search(OsString);

impl Search {
    fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.0).map(|folder| folder.join(name)).find(|place| place.is_file())
    }
}

fn missing(message: String) -> Failure {
    Failure { reason: FailureReason::NoToolchain, message, location: None }
}
