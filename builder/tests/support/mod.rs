//! A worker on a socket of its own and a client of it; sources in a folder.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmbed_builder::closure::FolderTree;
use wasmbed_builder::worker::{self, Options};
use wasmbed_builder::{
    BuildOutcome, BuildRequest, Built, Cache, Client, Closure, Failure, Limits, Profile, Target, Trust,
};

/// Longer than anything here takes that does not compile, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Says that a test is skipped, past what `cargo test` keeps of the output of a test that passes.
pub(crate) fn skipped(test: &str, why: &dyn std::fmt::Display) {
    writeln!(std::io::stderr(), "SKIPPED: {test}: {why}").expect("standard error is open");
}

/// Where the standard library is prepared, once for all tests.
pub(crate) fn prepared_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder")
}

/// Sources in a folder that goes away.
pub(crate) struct Sources(tempfile::TempDir);

impl Sources {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let file = self.0.path().join(path);
        std::fs::create_dir_all(file.parent().expect("it stands in a folder")).expect("folders can be made");
        std::fs::write(file, text).expect("files can be written");
        self
    }

    /// A package at `folder` with `main` as its program.
    pub(crate) fn package(&self, folder: &str, main: &str) -> &Self {
        let name = folder.rsplit('/').next().expect("it has a name");
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        self.write(&format!("{folder}/Cargo.toml"), &manifest).write(&format!("{folder}/src/main.rs"), main)
    }

    pub(crate) fn closure(&self, path: &str) -> Closure {
        Closure::of(&FolderTree::new(self.path()), path).expect("the sources are not refused")
    }

    pub(crate) fn request(&self, path: &str) -> BuildRequest {
        request(path, self.closure(path))
    }
}

pub(crate) fn request(application: &str, closure: Closure) -> BuildRequest {
    BuildRequest {
        fleet: "tests/fleet".to_owned(),
        application: application.replace('/', "-"),
        trust: Trust::Branch,
        closure,
        target: Target::Wasm32UnknownUnknown,
        profile: Profile::Release,
        limits: Limits::default(),
    }
}

/// A worker in this process, and its client.
pub(crate) struct Worker {
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
    _server: wasmbed_streams::Server,
}

impl Worker {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let socket = folder.path().join("builder.sock");
        // The library is shared; what applications leave behind is not.
        let work = folder.path().join("builder");
        std::fs::create_dir_all(&work).expect("folders can be made");
        std::fs::create_dir_all(prepared_folder().join("toolchains")).expect("folders can be made");
        std::os::unix::fs::symlink(prepared_folder().join("toolchains"), work.join("toolchains"))
            .expect("links can be made");
        let mut options = Options::new(&socket, work);
        change(&mut options);
        let server = worker::start(options).await.expect("the socket can be served");
        let cache = Cache::open(folder.path().join("cache")).expect("the cache can be made");
        Self { client: Client::new(socket, cache), folder, _server: server }
    }

    pub(crate) async fn build(&self, request: &BuildRequest) -> BuildOutcome {
        self.client.build(request, |_| {}).await.expect("the worker answers")
    }

    pub(crate) async fn built(&self, request: &BuildRequest) -> Built {
        match self.build(request).await {
            BuildOutcome::Built(built) => built,
            BuildOutcome::Failed(failure) => panic!("{}: {failure}", failure.reason),
        }
    }

    pub(crate) async fn failed(&self, request: &BuildRequest) -> Failure {
        match self.build(request).await {
            BuildOutcome::Failed(failure) => failure,
            BuildOutcome::Built(built) => panic!("it was built: {} bytes", built.module.bytes().len()),
        }
    }
}
