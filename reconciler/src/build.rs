//! Applications to modules: what has to be compiled is compiled beside the reconciler, and superseded when a newer revision wants
//! something else.

mod inputs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gix::ObjectId as Oid;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use wasmbed_api::{ApplicationSpec, BuildTarget, Config, Digest, INTERPRETER_STACK, Profile};
use wasmbed_builder::{
    BuildOutcome, BuildRequest, Client, ClientError, Closure, Failure, FailureReason, Limits, Needs, Trust,
};
use wasmbed_streams::StreamError;

use crate::boards::{DeclaredBoard, limits};
use crate::plan::Fingerprint;
use crate::source::{Repository, SourceError};
pub(crate) use inputs::GitTree;
use inputs::Inputs;

/// The wait before a build is asked for again that failed for a reason of the builder's own.
const RETRY: Duration = Duration::from_secs(5);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// How long a builder that nobody serves is waited for before that is said of the application.
const BUILDER_COMES: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
const KNOCK: Duration = Duration::from_millis(100);

/// A module, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// SHA-256 of its bytes.
    pub(crate) digest: Digest,
    /// How many there are.
    pub(crate) size: u32,
    /// Bytes of memory that suffice for it, where its declaration names no limit.
    pub(crate) memory: u64,
}

/// How the build of an application stands.
#[derive(Clone, Debug)]
pub(crate) enum BuildState {
    /// It goes on; the reconciler is woken when it ends.
    Building,
    /// There is a module.
    Built(Module),
    /// There is none.
    Failed(Arc<Failure>),
}

/// What one application is built from.
pub(crate) struct Wanted<'a> {
    pub(crate) application: &'a Arc<str>,
    pub(crate) spec: &'a ApplicationSpec,
    /// Of the declaration.
    pub(crate) fingerprint: Fingerprint,
    /// The boards it is for, and what they have.
    pub(crate) boards: &'a [DeclaredBoard],
    /// The root of the repository.
    pub(crate) tree: Oid,
    /// The fleet's folder, which `source.path` is relative to.
    pub(crate) folder: &'a str,
}

/// Builds under way, and what came of those before. Dropping it ends them.
pub(crate) struct Builds {
    client: Client,
    repository: Repository,
    fleet: String,
    tasks: JoinSet<()>,
    /// What ended builds come to. It is put here before the bell is rung: a task is not yet joined when it rings.
    finished: (UnboundedSender<Finished>, UnboundedReceiver<Finished>),
    entries: BTreeMap<Arc<str>, Entry>,
    done: Arc<Notify>,
    /// Compilations asked for, for tests and figures.
    pub(crate) compiled: u64,
}

struct Entry {
    recipe: Recipe,
    /// What the sources were read from: known as soon as they were read, long before the build ends.
    inputs: Arc<OnceLock<Inputs>>,
    tree: Oid,
    stage: Stage,
    attempts: u32,
    number: u64,
}

enum Stage {
    Running(AbortHandle),
    Built(Module),
    Failed { failure: Arc<Failure>, again: Option<Instant> },
}

/// Everything but the files.
#[derive(Clone, PartialEq)]
enum Recipe {
    Source {
        folder: String,
        target: BuildTarget,
        profile: Profile,
        limits: Limits,
    },
    /// `wasmBytes`, by the declaration that carries them, for these boards.
    Given(Fingerprint, Limits),
}

struct Finished {
    application: Arc<str>,
    number: u64,
    outcome: Result<Outcome, String>,
}

enum Outcome {
    Built { module: Module, cached: bool },
    Failed(Failure),
}

impl Builds {
    /// `done` is rung whenever a build ended.
    pub(crate) fn new(client: Client, repository: Repository, fleet: String, done: Arc<Notify>) -> Self {
        Self {
            client,
            repository,
            fleet,
            tasks: JoinSet::new(),
            finished: unbounded_channel(),
            entries: BTreeMap::new(),
            done,
            compiled: 0,
        }
    }

    /// The repository the sources lie in changed place.
    pub(crate) fn set_repository(&mut self, repository: Repository) {
        self.repository = repository;
    }

    /// How the build of an application stands; starts it when it is not known yet.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(crate) fn state(&mut self, wanted: &Wanted<'_>) -> Result<BuildState, SourceError> {
        self.take_finished();
        let recipe = Recipe::of(wanted);
        if let Some(entry) = self.entries.get_mut(wanted.application) {
            if entry.recipe == recipe && entry.is_current(&self.repository, wanted.tree)? {
                match &entry.stage {
                    Stage::Running(_) => return Ok(BuildState::Building),
                    Stage::Built(module) => return Ok(BuildState::Built(*module)),
                    Stage::Failed { failure, again } if again.is_none_or(|at| at > Instant::now()) => {
                        return Ok(BuildState::Failed(Arc::clone(failure)));
                    }
                    Stage::Failed { .. } => {}
                }
            } else {
                entry.attempts = 0;
            }
        }
        match &recipe {
            Recipe::Given(_, limits) => {
                let limits = limits.clone();
                Ok(self.take_given(wanted, recipe, &limits))
            }
            Recipe::Source { .. } => {
                self.start(wanted, recipe);
                Ok(BuildState::Building)
            }
        }
    }

    /// Forgets applications that are no longer declared, and ends their builds.
    pub(crate) fn keep_only(&mut self, applications: &BTreeSet<Arc<str>>) {
        self.entries.retain(|name, entry| {
            let keep = applications.contains(name);
            if !keep && let Stage::Running(task) = &entry.stage {
                task.abort();
            }
            keep
        });
    }

    /// When the first failed build is to be tried again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.entries
            .values()
            .filter_map(|entry| match &entry.stage {
                Stage::Failed { again, .. } => *again,
                _ => None,
            })
            .min()
    }

    /// The bytes of a module that was built before; `None` when the cache lost them.
    pub(crate) fn module_bytes(&self, digest: &Digest) -> Option<Vec<u8>> {
        let digest = wasmbed_builder::Digest::from(*digest.as_bytes());
        match self.client.module(digest) {
            Ok(module) => module.map(wasmbed_builder::Module::into_bytes),
            Err(error) => {
                tracing::warn!(%digest, %error, "a module cannot be read from the build cache");
                None
            }
        }
    }

    /// Asks again for modules whose bytes were lost.
    pub(crate) fn forget(&mut self, application: &str) {
        self.entries.remove(application);
    }

    fn start(&mut self, wanted: &Wanted<'_>, recipe: Recipe) {
        let (attempts, number) = match self.entries.get(wanted.application) {
            Some(entry) => {
                if let Stage::Running(task) = &entry.stage {
                    tracing::info!(application = %wanted.application, "a newer revision supersedes the build under way");
                    task.abort();
                }
                (entry.attempts, entry.number + 1)
            }
            None => (0, 0),
        };
        let application = Arc::clone(wanted.application);
        let client = self.client.clone();
        let repository = self.repository.clone();
        let fleet = self.fleet.clone();
        let (tree, task_recipe) = (wanted.tree, recipe.clone());
        let (finished, done) = (self.finished.0.clone(), Arc::clone(&self.done));
        let inputs = Arc::new(OnceLock::new());
        let task_inputs = Arc::clone(&inputs);
        let task = self.tasks.spawn(async move {
            let outcome = build(&client, repository, tree, &fleet, &application, task_recipe, &task_inputs).await;
            // Nobody takes it where the reconciler has ended.
            let _ = finished.send(Finished { application, number, outcome });
            done.notify_one();
        });
        let entry = Entry { recipe, inputs, tree: wanted.tree, stage: Stage::Running(task), attempts, number };
        self.entries.insert(Arc::clone(wanted.application), entry);
    }

    fn take_given(&mut self, wanted: &Wanted<'_>, recipe: Recipe, limits: &Limits) -> BuildState {
        let bytes = wanted.spec.wasm_bytes.clone().unwrap_or_default();
        let kept = self.client.keep_given(bytes.0, limits);
        let (stage, state) = match kept {
            Ok(Ok(module)) => {
                let module = Module::of(&module, limits);
                (Stage::Built(module), BuildState::Built(module))
            }
            Ok(Err(refused)) => failed(FailureReason::ModuleRefused, refused.to_string(), None),
            Err(error) => failed(FailureReason::BuilderFailed, error.to_string(), Some(Instant::now() + RETRY)),
        };
        let entry = Entry { recipe, inputs: Arc::default(), tree: wanted.tree, stage, attempts: 0, number: 0 };
        self.entries.insert(Arc::clone(wanted.application), entry);
        state
    }

    fn take_finished(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        while let Ok(finished) = self.finished.1.try_recv() {
            // A superseded build may have ended just before it was aborted.
            let Some(entry) = self.entries.get_mut(&finished.application).filter(|e| e.number == finished.number)
            else {
                continue;
            };
            entry.stage = match finished.outcome {
                Ok(Outcome::Built { module, cached }) => {
                    if !cached {
                        self.compiled += 1;
                        tracing::info!(application = %finished.application, module = %module.digest, bytes = module.size, "compiled");
                    }
                    entry.attempts = 0;
                    Stage::Built(module)
                }
                Ok(Outcome::Failed(failure)) => {
                    tracing::info!(application = %finished.application, reason = %failure.reason, "did not build");
                    let again = failure.reason.is_transient().then(|| entry.back_off());
                    Stage::Failed { failure: Arc::new(failure), again }
                }
                Err(message) => {
                    tracing::warn!(application = %finished.application, error = message, "the builder failed");
                    let again = Some(entry.back_off());
                    let failure = Failure { reason: FailureReason::BuilderFailed, message, location: None };
                    Stage::Failed { failure: Arc::new(failure), again }
                }
            };
        }
    }
}

impl Entry {
    /// Whether the files it was made from are the same in `tree`.
    fn is_current(&mut self, repository: &Repository, tree: Oid) -> Result<bool, SourceError> {
        if self.tree == tree {
            return Ok(true);
        }
        let same = match (&self.recipe, self.inputs.get()) {
            (Recipe::Given(..), _) => true,
            (Recipe::Source { .. }, Some(inputs)) => inputs.are_same_in(repository, tree)?,
            // It is still being read.
            (Recipe::Source { .. }, None) => false,
        };
        if same {
            self.tree = tree;
        }
        Ok(same)
    }

    fn back_off(&mut self) -> Instant {
        let wait = RETRY.saturating_mul(1 << self.attempts.min(10)).min(LONGEST_RETRY);
        self.attempts += 1;
        Instant::now() + wait
    }
}

impl Recipe {
    fn of(wanted: &Wanted<'_>) -> Self {
        match &wanted.spec.source {
            None => Self::Given(wanted.fingerprint, limits(wanted.spec, wanted.boards)),
            Some(source) => Self::Source {
                folder: join(wanted.folder, &source.path),
                target: source.target.unwrap_or_default(),
                profile: source.profile.unwrap_or_default(),
                limits: limits(wanted.spec, wanted.boards),
            },
        }
    }
}

impl Module {
    fn of(module: &wasmbed_builder::Module, limits: &Limits) -> Self {
        // That it fits was seen when it was checked.
        let most = limits.boards.iter().map(|room| room.bytes).min().unwrap_or(u64::MAX);
        Self {
            digest: Digest::from_bytes(*module.digest().as_bytes()),
            size: u32::try_from(module.bytes().len()).unwrap_or(u32::MAX),
            memory: sufficient(module.needs()).min(most),
        }
    }
}

async fn build(
    client: &Client,
    repository: Repository,
    tree: Oid,
    fleet: &str,
    application: &str,
    recipe: Recipe,
    known: &OnceLock<Inputs>,
) -> Result<Outcome, String> {
    let Recipe::Source { folder, target, profile, limits } = recipe else {
        return Err("given bytes are not built".to_owned());
    };
    let read = tokio::task::spawn_blocking(move || {
        let tree = GitTree::new(repository, tree);
        let closure = Closure::of(&tree, &folder);
        (closure, tree.into_inputs())
    })
    .await;
    let (closure, inputs) = match read {
        Ok(read) => read,
        Err(ended) => return Err(format!("reading the sources was cut short: {ended}")),
    };
    known.get_or_init(|| inputs);
    let closure = match closure {
        Ok(closure) => closure,
        Err(refused) => return Ok(Outcome::Failed(refused.failure())),
    };
    let request = BuildRequest {
        fleet: fleet.to_owned(),
        application: application.to_owned(),
        trust: Trust::Branch,
        closure,
        target: match target {
            BuildTarget::Unknown => wasmbed_builder::Target::Wasm32UnknownUnknown,
            BuildTarget::Wasip1 => wasmbed_builder::Target::Wasm32Wasip1,
        },
        profile: match profile {
            Profile::Release => wasmbed_builder::Profile::Release,
            Profile::Dev => wasmbed_builder::Profile::Dev,
        },
        limits,
    };
    let began = Instant::now();
    let built = loop {
        let built = client.build(&request, |progress| tracing::debug!(application, %progress, "building")).await;
        match &built {
            // It starts beside this process, or is being replaced.
            Err(ClientError::Stream(StreamError::Connect { .. })) if began.elapsed() < BUILDER_COMES => {
                tokio::time::sleep(KNOCK).await;
            }
            _ => break built,
        }
    };
    built
        .map(|outcome| match outcome {
            BuildOutcome::Built(built) => {
                Outcome::Built { module: Module::of(&built.module, &request.limits), cached: built.cached }
            }
            BuildOutcome::Failed(failure) => Outcome::Failed(failure),
        })
        .map_err(|error| error.to_string())
}

fn failed(reason: FailureReason, message: String, again: Option<Instant>) -> (Stage, BuildState) {
    let failure = Arc::new(Failure { reason, message, location: None });
    (Stage::Failed { failure: Arc::clone(&failure), again }, BuildState::Failed(failure))
}

/// Bytes of memory that suffice for a module: what it is known to take, and an eighth more, because pointers are larger on a
/// host. One that may grow is given what is given without a word.
fn sufficient(needs: &Needs) -> u64 {
    if needs.grows {
        return Config::DEFAULT_MEMORY;
    }
    let known = needs.footprint.total() + INTERPRETER_STACK;
    (known + known / 8).next_multiple_of(1024).min(Config::DEFAULT_MEMORY)
}

/// Joins two slash-separated paths below the root.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let parts = folder.split('/').chain(path.split('/'));
    parts.filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}
