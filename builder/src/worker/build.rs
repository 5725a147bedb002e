//! One build, from a closure to a module.

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cargo::{self, Programs};
use super::diagnostics::{Diagnostics, Places};
use super::place::Place;
use super::prepare::{self, Prepared};
use super::sandbox::{Job, Mount, RunError};
use super::tools::{self, Tools};
use super::{Options, mention, optimise, sources};
use crate::closure::File;
use crate::module::{Module, ModuleError};
use crate::outcome::{Failure, FailureReason, Location, Progress};
use crate::{BuildRequest, Digest, Target};

/// The largest module that is read at all, before it is optimised.
const RAW: u64 = 32 << 20;

/// Names the lock file whose crates were fetched, in an application's folder.
const FETCHED: &str = "fetched";

/// Builds requests.
#[derive(Debug)]
pub(super) struct Builder {
    options: Options,
    /// Found at the first build that finds them all, so that installing what is missing is enough.
    tools: Mutex<Option<Tools>>,
}

/// What was built.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) module: Vec<u8>,
    pub(super) warnings: Vec<String>,
    pub(super) duration: Duration,
}

impl Builder {
    pub(super) fn new(options: Options) -> Self {
        Self { options, tools: Mutex::new(None) }
    }

    pub(super) async fn build(
        &self,
        request: &BuildRequest,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Output, Failure> {
        let tools = self.tools()?;
        let prepared = prepare::prepare(&self.options, &tools, request.target, request.profile, &mut progress).await?;
        let place = Place::take(&self.options.folder, request, &mut progress).await.map_err(broken)?;
        let build = Build {
            options: &self.options,
            tools: &tools,
            prepared: &prepared,
            place: &place,
            request,
            started: Instant::now(),
        };
        build.run(&mut progress).await
    }

    fn tools(&self) -> Result<Tools, Failure> {
        let mut known = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(tools) => Ok(tools.clone()),
            None => Ok(known.insert(tools::find(&self.options)?).clone()),
        }
    }
}

struct Build<'a> {
    options: &'a Options,
    tools: &'a Tools,
    prepared: &'a Prepared,
    place: &'a Place,
    request: &'a BuildRequest,
    started: Instant,
}

impl Build<'_> {
    async fn run(&self, progress: &mut (impl FnMut(Progress) + Send)) -> Result<Output, Failure> {
        let request = self.request;
        let source = self.mount("source", "/src", false)?;
        let target = self.mount("target", "/build", true)?;
        let crates = self.mount("cargo", "/cargo", true)?;
        sources::write(&request.closure, &source.host).map_err(broken)?;

        let programs = Programs::new(self.tools);
        let mut mounts = vec![programs.toolchain.clone(), source.clone(), crates.clone()];
        mounts.extend(self.own_lock(&source)?);
        let manifest = self.inside(&source).join(request.closure.package()).join("Cargo.toml");
        if let Some(config) = &self.options.registry_config {
            std::fs::copy(config, crates.host.join("config.toml")).map_err(broken)?;
        }
        if request.closure.needs_registry() && !self.is_fetched() {
            progress(Progress::Fetching);
            let fetch = programs.fetch(&manifest, &mounts, &crates, request.target);
            self.fetch(&fetch).await?;
            std::fs::write(self.place.folder.join(FETCHED), self.lock_digest()).map_err(broken)?;
        }
        // What was fetched is read-only from here on.
        mounts[2].writable = false;
        mounts.extend([self.prepared.mount.clone(), target.clone()]);
        let job = self.compile_job(&programs, &manifest, &mounts, &target, &crates).await?;
        let diagnostics = self.compile(&job, progress).await?;

        progress(Progress::Optimising);
        let linked = self.linked(&target.host)?;
        let work = tempfile::Builder::new().prefix("module-").tempdir_in(&self.place.folder).map_err(broken)?;
        let module = optimise::optimise(
            self.tools,
            &linked,
            request.profile,
            work.path(),
            &self.options.limits,
            self.deadline(),
        )
        .await
        .map_err(|error| match error {
            optimise::OptimiseError::Run(error) => ended(&error),
            error => Failure { reason: FailureReason::ModuleRefused, message: error.to_string(), location: None },
        })?;
        let module = Module::check(module, &request.limits).map_err(|error| self.refused(&error))?;
        Ok(Output {
            module: module.into_bytes(),
            warnings: diagnostics.into_warnings(),
            duration: self.started.elapsed(),
        })
    }

    /// Whether the crates of this lock file are there.
    fn is_fetched(&self) -> bool {
        std::fs::read_to_string(self.place.folder.join(FETCHED)).is_ok_and(|digest| digest == self.lock_digest())
    }

    fn lock_digest(&self) -> String {
        match self.request.closure.files().get(&join(self.request.closure.root(), "Cargo.lock")) {
            Some(File::Regular { bytes, .. }) => Digest::of(bytes).to_string(),
            _ => String::new(),
        }
    }

    fn deadline(&self) -> Instant {
        self.started + self.options.limits.wall_clock
    }

    fn inside(&self, mount: &Mount) -> PathBuf {
        self.tools.sandbox.inside(mount)
    }

    fn mount(&self, name: &str, inside: &str, writable: bool) -> Result<Mount, Failure> {
        let host = self.place.folder.join(name);
        std::fs::create_dir_all(&host).map_err(broken)?;
        Ok(Mount { host, inside: inside.into(), writable })
    }

    /// Without a lock file (and so without crates to lock) Cargo writes one; it may write this file and no other.
    fn own_lock(&self, source: &Mount) -> Result<Option<Mount>, Failure> {
        let closure = &self.request.closure;
        let path = Path::new(closure.root()).join("Cargo.lock");
        if closure.files().contains_key(&*path.to_string_lossy()) {
            return Ok(None);
        }
        let own = self.place.folder.join("Cargo.lock");
        std::fs::write(&own, "").map_err(broken)?;
        std::fs::write(source.host.join(&path), "").map_err(broken)?;
        Ok(Some(Mount { host: own, inside: source.inside.join(path), writable: true }))
    }

    async fn fetch(&self, job: &Job) -> Result<(), Failure> {
        let ran = self.tools.sandbox.run(job, &self.options.limits, self.deadline(), |_| {}).await;
        let ran = ran.map_err(|error| ended(&error))?;
        if ran.success {
            return Ok(());
        }
        let said = cargo::last_words(&ran.errors);
        if said.contains("--locked") {
            return Err(self.stale_lock(&said));
        }
        let message = format!("the crates of the lock file could not be fetched:\n{said}");
        Err(Failure { reason: FailureReason::FetchFailed, message, location: None })
    }

    async fn compile_job(
        &self,
        programs: &Programs<'_>,
        manifest: &Path,
        mounts: &[Mount],
        target: &Mount,
        crates: &Mount,
    ) -> Result<Job, Failure> {
        let request = self.request;
        let heap = match request.target {
            Target::Wasm32UnknownUnknown => {
                // The object is compiled with the release library, whichever profile links it.
                let library =
                    prepare::prepare(self.options, self.tools, request.target, crate::Profile::Release, |_| {});
                let prepared = library.await?;
                let heap = prepare::heap(self.tools, &prepared, request.closure.memory().heap).await;
                Some(heap.map_err(|error| broken_because(&format!("{error:#}")))?)
            }
            Target::Wasm32Wasip1 => None,
        };
        let mut flags = cargo::application_flags(
            request.target,
            request.profile,
            request.closure.memory(),
            &self.prepared.sysroot(self.tools, request.target, request.profile),
            &programs.place().join(self.tools.linker()),
            heap.as_deref(),
        );
        // Inside a sandbox the paths are the same everywhere; without one they are made so.
        for (mount, name) in [(&self.source_mount(), "/src"), (crates, "/cargo")] {
            flags.push(format!("--remap-path-prefix={}={name}", self.inside(mount).display()));
        }
        let mut job = programs.cargo("build", manifest, mounts);
        let locked = request.closure.files().contains_key(&join(request.closure.root(), "Cargo.lock"));
        job.arguments.extend(["--release", "--offline", "--target", request.target.triple()].map(OsString::from));
        job.arguments.extend(["--message-format", "json", "--bin", request.closure.binary()].map(OsString::from));
        if locked {
            job.arguments.push("--locked".into());
        }
        job.environment.extend(cargo::application_profile(request.profile));
        job.environment.extend([
            ("CARGO_HOME", self.inside(crates).into()),
            ("CARGO_TARGET_DIR", self.inside(target).into()),
            ("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f").into()),
        ]);
        Ok(job)
    }

    fn source_mount(&self) -> Mount {
        Mount { host: self.place.folder.join("source"), inside: "/src".into(), writable: false }
    }

    async fn compile(&self, job: &Job, progress: &mut (impl FnMut(Progress) + Send)) -> Result<Diagnostics, Failure> {
        progress(Progress::Compiling(self.request.closure.binary().to_owned()));
        let places = Places {
            source: self.inside(&self.source_mount()).display().to_string(),
            root: self.request.closure.root().to_owned(),
        };
        let mut diagnostics = Diagnostics::default();
        let ran = self
            .tools
            .sandbox
            .run(job, &self.options.limits, self.deadline(), |line| {
                if let Some(name) = diagnostics.hear(line, &places) {
                    progress(Progress::Compiling(name));
                }
            })
            .await
            .map_err(|error| ended(&error))?;
        if ran.success {
            return Ok(diagnostics);
        }
        let said = cargo::last_words(&ran.errors);
        if said.contains("--locked") && diagnostics.failure().is_none() {
            return Err(self.stale_lock(&said));
        }
        if said.contains("No space left on device") || said.contains("os error 28") {
            return Err(broken_because("the disk is full; what is being built is not the reason"));
        }
        let (message, location) = diagnostics.failure().unwrap_or((said, None));
        Err(Failure { reason: FailureReason::CompileFailed, message, location })
    }

    /// The linked module, which a build script may have replaced by anything.
    fn linked(&self, target: &Path) -> Result<Vec<u8>, Failure> {
        use std::io::Read as _;
        let name = format!("{}.wasm", self.request.closure.binary());
        let path = target.join(self.request.target.triple()).join("release").join(&name);
        // Inside its own folder the build may have put links anywhere.
        let folder = path.parent().expect("it stands in a folder").canonicalize();
        let is_own = folder.is_ok_and(|folder| target.canonicalize().is_ok_and(|target| folder.starts_with(target)));
        let none = |message: String| Failure { reason: FailureReason::ModuleRefused, message, location: None };
        if !is_own {
            return Err(none(format!("the compiler made no {name}")));
        }
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits() | nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(&path)
            .map_err(|error| none(format!("the compiler made no {name}: {error}")))?;
        let metadata = file.metadata().map_err(broken)?;
        if !metadata.is_file() || metadata.len() > RAW {
            return Err(none(format!("{name} is {} bytes before it is optimised; {RAW} at most", metadata.len())));
        }
        let mut bytes = Vec::new();
        file.take(RAW).read_to_end(&mut bytes).map_err(broken)?;
        Ok(bytes)
    }

    fn stale_lock(&self, said: &str) -> Failure {
        let file = join(self.request.closure.root(), "Cargo.lock");
        Failure {
            reason: FailureReason::SourceRefused,
            message: format!(
                "the lock file is not the one of these manifests: run `cargo generate-lockfile` (or `cargo update`) and commit it\n{said}"
            ),
            location: Some(Location { file, line: 0 }),
        }
    }

    fn refused(&self, error: &ModuleError) -> Failure {
        let (reason, location) = match error {
            ModuleError::Unsupported { parts } => {
                let first = parts.first().map(String::as_str).unwrap_or_default();
                (FailureReason::Unsupported, mention::of(&self.request.closure, first))
            }
            _ => (FailureReason::ModuleRefused, None),
        };
        Failure { reason, message: error.to_string(), location }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn ended(error: &RunError) -> Failure {
    let (reason, message) = match error {
        RunError::TimedOut(_) => (
            FailureReason::TimedOut,
            format!(
                "the build was ended: {error}; look for a loop that never ends in a build script, a macro or a constant"
            ),
        ),
        RunError::Exceeded(_) => (FailureReason::LimitExceeded, format!("the build was ended: {error}")),
        RunError::Spawn { .. } => (FailureReason::BuilderFailed, error.to_string()),
    };
    Failure { reason, message, location: None }
}

fn broken(error: std::io::Error) -> Failure {
    broken_because(&error.to_string())
}

fn broken_because(error: &str) -> Failure {
    Failure { reason: FailureReason::BuilderFailed, message: format!("the builder: {error}"), location: None }
}
