//! How Cargo and the compiler are called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::sandbox::{Job, Mount, Sandbox};
use super::tools::Tools;
use crate::closure::Memory;
use crate::{Profile, Target};

/// The toolchain's programs, as jobs.
pub(super) struct Programs<'a> {
    tools: &'a Tools,
    pub(super) toolchain: Mount,
}

impl<'a> Programs<'a> {
    pub(super) fn new(tools: &'a Tools) -> Self {
        let toolchain = Mount { host: tools.toolchain.clone(), inside: "/toolchain".into(), writable: false };
        Self { tools, toolchain }
    }

    /// The toolchain's folder, as jobs see it.
    pub(super) fn place(&self) -> PathBuf {
        self.tools.sandbox.inside(&self.toolchain)
    }

    /// `cargo <command> --manifest-path <manifest>`, without the network.
    pub(super) fn cargo(&self, command: &str, manifest: &Path, mounts: &[Mount]) -> Job {
        let arguments = vec![command.into(), "--manifest-path".into(), manifest.as_os_str().to_owned()];
        let folder = manifest.parent().expect("a manifest stands in a folder").to_owned();
        self.job("cargo", arguments, folder, mounts)
    }

    /// `cargo fetch`, with the network: the only program that has it, and it runs nothing of the package's.
    pub(super) fn fetch(&self, manifest: &Path, mounts: &[Mount], crates: &Mount, target: Target) -> Job {
        let mut job = self.cargo("fetch", manifest, mounts);
        job.arguments
            .extend(["--locked", "--target", target.triple(), "--target", &self.tools.host].map(OsString::from));
        job.environment.push(("CARGO_HOME", self.tools.sandbox.inside(crates).into()));
        job.network = true;
        let passed = [
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "NO_PROXY",
            "no_proxy",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "CARGO_HTTP_CAINFO",
        ];
        for name in passed {
            if let Some(value) = std::env::var_os(name) {
                job.environment.push((name, value));
            }
        }
        job
    }

    /// The compiler.
    pub(super) fn rustc(&self, arguments: Vec<OsString>, mounts: &[Mount]) -> Job {
        self.job("rustc", arguments, "/tmp".into(), mounts)
    }

    fn job(&self, program: &str, arguments: Vec<OsString>, folder: PathBuf, mounts: &[Mount]) -> Job {
        let bin = self.place().join("bin");
        let mut path = bin.clone().into_os_string();
        path.push(":/usr/bin:/bin");
        let home = match self.tools.sandbox {
            Sandbox::Bubblewrap { .. } => "/tmp".into(),
            // Where nothing of the user's is read.
            Sandbox::None => "/nonexistent".into(),
        };
        Job {
            program: bin.join(program),
            arguments,
            environment: vec![
                ("PATH", path),
                ("HOME", home),
                ("TMPDIR", "/tmp".into()),
                ("LANG", "C.UTF-8".into()),
                ("RUSTC", bin.join("rustc").into()),
                // The flags that make modules small are not stable; the toolchain is pinned instead.
                ("RUSTC_BOOTSTRAP", "1".into()),
                ("CARGO_TERM_COLOR", "never".into()),
                ("CARGO_INCREMENTAL", "0".into()),
                ("CARGO_BUILD_JOBS", jobs().to_string().into()),
            ],
            mounts: mounts.to_vec(),
            folder,
            network: false,
        }
    }
}

/// Crates compiled at the same time: each takes memory, which all of a build's processes share.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// What happens on a panic: the standard library and everything on it have to agree.
pub(super) fn panic_flags(target: Target, profile: Profile) -> Vec<String> {
    match (target, profile) {
        (Target::Wasm32UnknownUnknown, Profile::Release) => {
            vec!["-Zunstable-options".to_owned(), "-Cpanic=immediate-abort".to_owned()]
        }
        _ => vec!["-Cpanic=abort".to_owned()],
    }
}

/// The flags an application is compiled with.
pub(super) fn application_flags(
    target: Target,
    profile: Profile,
    memory: Memory,
    sysroot: &Path,
    linker: &Path,
    heap: Option<&Path>,
) -> Vec<String> {
    let mut flags = vec![
        format!("--sysroot={}", sysroot.display()),
        format!("-Clinker={}", linker.display()),
        "--extern=wasmbed".to_owned(),
    ];
    flags.extend(panic_flags(target, profile));
    let mut link = vec![
        format!("-zstack-size={}", memory.stack),
        "--export=__heap_base".to_owned(),
        "--export=__data_end".to_owned(),
    ];
    if target == Target::Wasm32UnknownUnknown {
        link.push("--export=_start".to_owned());
        link.extend(heap.map(|heap| heap.display().to_string()));
    }
    flags.extend(link.into_iter().map(|argument| format!("-Clink-arg={argument}")));
    flags
}

/// How an application is compiled, whatever its manifest says.
pub(super) fn application_profile(profile: Profile) -> Vec<(&'static str, OsString)> {
    let checks = match profile {
        Profile::Release => "false",
        Profile::Dev => "true",
    };
    vec![
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z".into()),
        ("CARGO_PROFILE_RELEASE_DEBUG", "false".into()),
        ("CARGO_PROFILE_RELEASE_LTO", "fat".into()),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1".into()),
        ("CARGO_PROFILE_RELEASE_PANIC", "abort".into()),
        ("CARGO_PROFILE_RELEASE_STRIP", "false".into()),
        ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false".into()),
        ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", checks.into()),
        ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", checks.into()),
    ]
}

/// The end of what a program said, for a person: at most 20 lines.
pub(super) fn last_words(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
