//! The process that runs the compiler: no keys, no API rights, no Git credentials.
//!
//! ```text
//! <folder>/toolchains/<identity>/  the prebuilt standard library and the SDK, read-only in every build
//! <folder>/applications/<hash>/    sources, target and crates of one (fleet, application, trust)
//! ```

mod build;
mod cargo;
mod diagnostics;
mod mention;
mod metrics;
mod optimise;
mod place;
mod prepare;
mod sandbox;
mod sources;
mod standard_library;
mod tools;
mod usage;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use wasmbed_health::Health;
use wasmbed_streams::{Door, Receiver, Sender, Server, StreamError};

pub use sandbox::BuildLimits;

use crate::outcome::{Failure, FailureReason, Progress};
use crate::wire::{Ask, BUILD, Reply};
use crate::{Profile, Target, toolchain};
use build::Builder;
use metrics::Metrics;

/// Raised whenever the flags or steps of a build change in a way that changes modules.
pub(crate) const FLAGS_VERSION: &str = "1";

/// What a worker is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it serves, and whom.
    pub door: Door,
    /// Its folder. May be shared by workers; what is in it can be made again.
    pub folder: PathBuf,
    /// Whether builds run in a sandbox.
    pub sandboxing: Sandboxing,
    /// What one build may use.
    pub limits: BuildLimits,
    /// Builds at the same time.
    pub parallel: usize,
    /// The toolchain's folder; found by rustup if not given.
    pub toolchain: Option<PathBuf>,
    /// Where `bwrap`, `prlimit`, `wasm-opt` and `rustup` are looked for, as `PATH` has it; `PATH` itself if not given.
    pub search: Option<OsString>,
    /// A Cargo configuration of the operator, for a mirror of crates.io. Builds see it.
    pub registry_config: Option<PathBuf>,
    /// Where it says how it is: ready once what it needs of the machine was found.
    pub health: Health,
}

impl Options {
    /// The usual options: a sandbox is required.
    #[must_use]
    pub fn new(door: impl Into<Door>, folder: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            door: door.into(),
            folder: folder.into(),
            sandboxing: Sandboxing::Required,
            limits: BuildLimits::default(),
            // Two at least: one that never ends must not keep the others waiting until it is ended.
            parallel: cores.max(2),
            toolchain: None,
            search: None,
            registry_config: None,
            health: Health::default(),
        }
    }
}

/// Whether builds run in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandboxing {
    /// They do, or fail with [`FailureReason::NoSandbox`].
    Required,
    /// They do not: build scripts can read and send what the worker's user can. Only for sources one would run anyway.
    None,
}

/// Serves builds until `shutdown` completes.
///
/// # Errors
/// When the socket cannot be served. What is missing on the machine fails builds, with its name, and not the worker.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), StreamError> {
    let server = start(options).await?;
    shutdown.await;
    drop(server);
    Ok(())
}

/// Serves builds, from before this returns until the [`Server`] is dropped.
///
/// # Errors
/// As [`run`].
pub async fn start(options: Options) -> Result<Server, StreamError> {
    let builder = Arc::new(Builder::new(options.clone()));
    let places = Arc::new(Semaphore::new(options.parallel.max(1)));
    let metrics = Arc::new(Metrics::new(&options.health));
    let machine = options.health.tells("machine");
    match check_machine(&options) {
        Ok(()) => machine.holds("the toolchain and the sandbox's programs are there"),
        // Builds fail with the same words, where a person looks for them; to take the worker away would hide them.
        Err(missing) => machine.fails(missing.message),
    }
    let router = axum::Router::new().route(
        BUILD,
        wasmbed_streams::bidirectional(move |asks: Receiver<Ask>, replies: Sender<Reply>| {
            answer(Arc::clone(&builder), Arc::clone(&places), Arc::clone(&metrics), asks, replies)
        }),
    );
    if let Err(error) = place::sweep(&options.folder) {
        tracing::warn!(%error, folder = %options.folder.display(), "old build folders could not be removed");
    }
    let server = wasmbed_streams::serve(options.door.clone(), router).await?;
    options.health.requires("serving").holds("builds are served");
    tracing::info!(endpoint = %server.endpoint(), toolchain = toolchain::identity(), "builds are served");
    Ok(server)
}

/// Builds the standard library for `target` and `profile`, unless that was done. Takes about half a minute; every first
/// build does it by itself.
///
/// # Errors
/// What is missing, with what to do; or why the library could not be built.
pub async fn prepare(
    options: &Options,
    target: Target,
    profile: Profile,
    progress: impl FnMut(Progress) + Send,
) -> Result<(), Failure> {
    let tools = tools::find(options)?;
    prepare::prepare(options, &tools, target, profile, progress).await.map(drop)
}

/// What is missing on this machine to build, if anything; for `wasmbed doctor`.
///
/// # Errors
/// The first thing that is missing, with what to do.
pub fn check_machine(options: &Options) -> Result<(), Failure> {
    tools::find(options).map(drop)
}

async fn answer(
    builder: Arc<Builder>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    mut asks: Receiver<Ask>,
    replies: Sender<Reply>,
) {
    let ask = match asks.next().await {
        Some(Ok(ask)) => ask,
        Some(Err(error)) => {
            tracing::warn!(%error, "a build was asked for in words that are not understood");
            return;
        }
        None => return,
    };
    let application = ask.build.application.clone();
    // Whoever asked and left has no use for the answer: the build is dropped, and its programs with it.
    tokio::select! {
        () = replies.closed() => {
            metrics.count("given-up");
            tracing::info!(application, "a build is given up: nobody waits for it");
        }
        () = serve(&builder, &places, &metrics, ask, &replies) => {}
    }
}

async fn serve(builder: &Builder, places: &Semaphore, metrics: &Metrics, ask: Ask, replies: &Sender<Reply>) {
    let (news, mut heard) = mpsc::unbounded_channel();
    let build = async {
        if ask.toolchain != toolchain::identity() {
            return Err(Failure {
                reason: FailureReason::BuilderFailed,
                message: format!(
                    "the builder is of another version ({}) than what asks it ({}): restart the older one",
                    toolchain::identity(),
                    ask.toolchain
                ),
                location: None,
            });
        }
        if places.available_permits() == 0 {
            let _ = news.send(Progress::Waiting);
        }
        let _place = places.acquire().await.expect("it is never closed");
        let _running = metrics.running();
        builder.build(&ask.build, |progress| drop(news.send(progress))).await
    };
    tokio::pin!(build);
    let outcome = loop {
        tokio::select! {
            biased;
            Some(progress) = heard.recv() => {
                if replies.send(&Reply::Progress(progress)).await.is_err() {
                    return;
                }
            }
            outcome = &mut build => break outcome,
        }
    };
    let reply = match outcome {
        Ok(built) => {
            metrics.count("built");
            tracing::info!(
                application = ask.build.application,
                bytes = built.module.len(),
                milliseconds = built.duration.as_millis(),
                "built"
            );
            Reply::Built {
                module: built.module,
                warnings: built.warnings,
                milliseconds: u64::try_from(built.duration.as_millis()).unwrap_or(u64::MAX),
            }
        }
        Err(failure) => {
            metrics.count("failed");
            tracing::info!(application = ask.build.application, reason = %failure.reason, "not built");
            Reply::Failed(failure)
        }
    };
    if let Err(error) = replies.send(&reply).await {
        tracing::debug!(%error, "nobody waits for the outcome of a build");
    }
}
