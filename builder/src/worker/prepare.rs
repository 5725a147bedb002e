//! The standard library and the SDK, built once for a toolchain, target and profile.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::cargo::{self, Programs};
use super::sandbox::{BuildLimits, Mount};
use super::tools::Tools;
use super::{Options, standard_library};
use crate::embedded;
use crate::outcome::{Failure, FailureReason, Progress};
use crate::{Profile, Target, toolchain};

/// Written last; a folder with it is whole.
const DONE: &str = "done";

/// What the library may take; it is compiled from nothing, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(1800);

/// The prepared folder of the toolchain, which builds see as `/prepared`.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) mount: Mount,
}

impl Prepared {
    /// The system root for `target` and `profile`, as builds see it.
    pub(super) fn sysroot(&self, tools: &Tools, target: Target, profile: Profile) -> PathBuf {
        tools.sandbox.inside(&self.mount).join(name(target, profile))
    }
}

/// Prepares what is not prepared.
pub(super) async fn prepare(
    options: &Options,
    tools: &Tools,
    target: Target,
    profile: Profile,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Prepared, Failure> {
    let folder = options.folder.join("toolchains").join(toolchain::identity());
    let mount = Mount { host: folder.clone(), inside: "/prepared".into(), writable: false };
    let prepared = Prepared { mount };
    let place = folder.join(name(target, profile));
    if place.join(DONE).is_file() {
        return Ok(prepared);
    }
    progress(Progress::PreparingToolchain);
    make(options, tools, target, profile, &place).await.map_err(|error| Failure {
        reason: match error.downcast_ref::<Missing>() {
            Some(_) => FailureReason::NoToolchain,
            None => FailureReason::BuilderFailed,
        },
        message: format!("the standard library for {target} could not be prepared: {error:#}"),
        location: None,
    })?;
    Ok(prepared)
}

/// Something a person has to install.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Missing(String);

fn name(target: Target, profile: Profile) -> String {
    format!("{target}-{profile}")
}

async fn make(options: &Options, tools: &Tools, target: Target, profile: Profile, place: &Path) -> anyhow::Result<()> {
    let folder = place.parent().expect("it stands in the toolchain's folder");
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Another process may prepare the same; whoever comes second finds it done.
    let lock = File::create(folder.join(format!("{}.lock", name(target, profile))))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if place.join(DONE).is_file() {
        return Ok(());
    }
    let started = Instant::now();
    let work = tempfile::Builder::new().prefix(".preparing-").tempdir_in(folder)?;
    let root = work.path().join("root");
    let libraries = root.join("lib/rustlib").join(target.triple()).join("lib");
    std::fs::create_dir_all(&libraries)?;
    match target {
        Target::Wasm32UnknownUnknown => build_library(options, tools, profile, work.path(), &libraries).await?,
        Target::Wasm32Wasip1 => copy_library(tools, target, &libraries)?,
    }
    build_sdk(tools, target, profile, work.path(), &root, &libraries).await?;
    std::fs::write(root.join(DONE), "")?;
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::rename(&root, place)?;
    drop(lock);
    tracing::info!(%target, %profile, seconds = started.elapsed().as_secs(), "the standard library is prepared");
    Ok(())
}

/// Compiles `std` for `wasm32-unknown-unknown` from the changed sources.
async fn build_library(
    options: &Options,
    tools: &Tools,
    profile: Profile,
    work: &Path,
    libraries: &Path,
) -> anyhow::Result<()> {
    let target = Target::Wasm32UnknownUnknown;
    let source = Mount { host: work.join("library"), inside: "/library".into(), writable: false };
    let (from, to) = (tools.library(), source.host.clone());
    tokio::task::spawn_blocking(move || standard_library::write(&from, &to)).await??;
    let build = Mount { host: work.join("build"), inside: "/build".into(), writable: true };
    let crates = Mount { host: work.join("cargo"), inside: "/cargo".into(), writable: true };
    std::fs::create_dir_all(&build.host)?;
    std::fs::create_dir_all(&crates.host)?;
    if let Some(config) = &options.registry_config {
        std::fs::copy(config, crates.host.join("config.toml"))
            .with_context(|| format!("cannot read {}", config.display()))?;
    }
    let programs = Programs::new(tools);
    let manifest = tools.sandbox.inside(&source).join("std/Cargo.toml");
    let mounts = vec![programs.toolchain.clone(), source.clone(), build.clone(), crates.clone()];
    let fetch = programs.fetch(&manifest, &mounts, &crates, target);
    run(tools, fetch, "fetching its crates").await?;

    let mut mounts = mounts;
    mounts[3].writable = false;
    let mut job = programs.cargo("build", &manifest, &mounts);
    let arguments = ["--release", "--locked", "--offline", "--target", target.triple(), "--no-default-features"];
    job.arguments.extend(arguments.map(OsString::from));
    job.arguments.extend(["--features", "optimize_for_size"].map(OsString::from));
    let mut flags = vec!["-Zforce-unstable-if-unmarked".into(), "-Cembed-bitcode=yes".into()];
    flags.extend(cargo::panic_flags(target, profile));
    flags.push(format!("--remap-path-prefix={}=/rustc/library", tools.sandbox.inside(&source).display()));
    job.environment.extend([
        ("CARGO_HOME", tools.sandbox.inside(&crates).into()),
        ("CARGO_TARGET_DIR", tools.sandbox.inside(&build).into()),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z".into()),
        ("CARGO_PROFILE_RELEASE_DEBUG", "false".into()),
        ("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f").into()),
    ]);
    run(tools, job, "compiling it").await?;
    let built = build.host.join(target.triple()).join("release/deps");
    copy_files(&built, libraries, |name| name.ends_with(".rlib"))
}

/// `wasm32-wasip1` has a standard library that works as it is.
fn copy_library(tools: &Tools, target: Target, libraries: &Path) -> anyhow::Result<()> {
    let from = tools.toolchain.join("lib/rustlib").join(target.triple()).join("lib");
    if !from.is_dir() {
        let message = format!("run `rustup target add --toolchain {} {target}`", toolchain::RUST);
        return Err(Missing(message).into());
    }
    copy_files(&from, libraries, |name| name.ends_with(".rlib") || name.ends_with(".rmeta"))?;
    std::fs::create_dir_all(libraries.join("self-contained"))?;
    copy_files(&from.join("self-contained"), &libraries.join("self-contained"), |_| true)
}

fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(&wanted) {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Compiles the SDK into the library's folder, where every crate finds it.
async fn build_sdk(
    tools: &Tools,
    target: Target,
    profile: Profile,
    work: &Path,
    root: &Path,
    libraries: &Path,
) -> anyhow::Result<()> {
    let source = Mount { host: work.join("sdk"), inside: "/sdk".into(), writable: false };
    for (path, text) in embedded::SDK {
        let file = source.host.join(path);
        std::fs::create_dir_all(file.parent().expect("files stand in folders"))?;
        std::fs::write(file, text)?;
    }
    let sysroot = Mount { host: root.to_owned(), inside: "/sysroot".into(), writable: true };
    let inside = |mount: &Mount| tools.sandbox.inside(mount);
    let library = inside(&sysroot).join(libraries.strip_prefix(root).expect("it is below")).join("libwasmbed.rlib");
    let flags = [
        "--edition=2024",
        "--crate-name=wasmbed",
        "--crate-type=rlib",
        "-Copt-level=z",
        "-Cembed-bitcode=yes",
        "-Ccodegen-units=1",
        "-Cmetadata=wasmbed",
    ];
    let mut arguments: Vec<OsString> = flags.map(OsString::from).into();
    arguments.push(format!("--target={target}").into());
    arguments.extend(cargo::panic_flags(target, profile).into_iter().map(OsString::from));
    arguments.push(format!("--remap-path-prefix={}=/wasmbed/sdk", inside(&source).display()).into());
    arguments.extend(["--sysroot".into(), inside(&sysroot).into_os_string()]);
    arguments.push(inside(&source).join("src/lib.rs").into());
    arguments.extend(["-o".into(), library.into_os_string()]);
    let programs = Programs::new(tools);
    let mounts = vec![programs.toolchain.clone(), source, sysroot];
    run(tools, programs.rustc(arguments, &mounts), "compiling the SDK").await
}

async fn run(tools: &Tools, job: super::sandbox::Job, what: &str) -> anyhow::Result<()> {
    let limits = BuildLimits { wall_clock: LIMIT, ..BuildLimits::default() };
    let ran =
        tools.sandbox.run(&job, &limits, Instant::now() + LIMIT, |_| {}).await.with_context(|| what.to_owned())?;
    anyhow::ensure!(ran.success, "{what}: {}", cargo::last_words(&ran.errors));
    Ok(())
}

/// An object with `bytes` of heap, which the linker adds to modules that allocate. Made once for a size.
pub(super) async fn heap(tools: &Tools, prepared: &Prepared, bytes: u32) -> anyhow::Result<PathBuf> {
    let name = format!("heap-{bytes}.o");
    let place = prepared.mount.host.join(&name);
    if !place.is_file() {
        let work = tempfile::Builder::new().prefix(".heap-").tempdir_in(&prepared.mount.host)?;
        let source = format!(
            "#![no_std]\n#[unsafe(no_mangle)]\nstatic mut __wasmbed_heap: [u64; {}] = [0; {}];\n#[unsafe(no_mangle)]\nstatic __wasmbed_heap_size: usize = {};\n",
            bytes / 8,
            bytes / 8,
            bytes / 8 * 8
        );
        std::fs::write(work.path().join("heap.rs"), source)?;
        let folder = Mount { host: work.path().to_owned(), inside: "/heap".into(), writable: true };
        let inside = tools.sandbox.inside(&folder);
        let target = Target::Wasm32UnknownUnknown;
        let mut arguments: Vec<OsString> =
            ["--crate-type=lib", "--emit=obj", "-Copt-level=z", "-Ccodegen-units=1"].map(OsString::from).into();
        arguments.push(format!("--target={target}").into());
        arguments.extend(cargo::panic_flags(target, Profile::Release).into_iter().map(OsString::from));
        arguments.push("--sysroot".into());
        arguments.push(prepared.sysroot(tools, target, Profile::Release).into_os_string());
        arguments.extend([inside.join("heap.rs").into(), "-o".into(), inside.join("heap.o").into()]);
        let programs = Programs::new(tools);
        let mounts = vec![programs.toolchain.clone(), prepared.mount.clone(), folder];
        run(tools, programs.rustc(arguments, &mounts), "compiling the heap").await?;
        std::fs::rename(work.path().join("heap.o"), &place)?;
    }
    Ok(tools.sandbox.inside(&prepared.mount).join(name))
}
