//! The reconciler: what it remembers between passes (all of it can be found again), and the order of one pass.

mod accept;
mod bring;
mod deletions;
mod enroll;
mod large;
mod prune;
mod report;
mod resign;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use wasmbed_api::declarations::Object;
use wasmbed_api::{FleetSpec, Held, Name, PublicKey};
use wasmbed_keys::CurrentKey;

use crate::build::Builds;
use crate::cluster::{Cluster, FleetView};
use crate::declarations::{Declarations, Loaded};
use crate::error::ReconcileError;
use crate::follow::{Fetcher, Heard};
use crate::options::Options;
use crate::plan::{Desired, Fingerprint, ObjectId};
use crate::release::Signed;
use crate::source::{Revision, SourceError};
use crate::tally::Targets;

pub use bring::Written;

/// Brings one namespace to what its Fleet's repository declares, a pass at a time.
pub struct Reconciler {
    cluster: Cluster,
    fetcher: Fetcher,
    client: wasmbed_builder::Client,
    release_key: CurrentKey,
    /// Rung when the repository was asked.
    wake: Arc<Notify>,
    /// Rung when a build ended.
    built: Arc<Notify>,
    /// The revision whose builds were given a moment to come from the cache.
    awaited: Option<gix::ObjectId>,
    /// Rings for the repository to be asked at once.
    ask: Arc<Notify>,
    builds: Option<Builds>,
    heard: Heard,
    /// What was read last, for what it shares with the next revision.
    loaded: Option<Loaded>,
    /// What was judged last; it is judged again only when it differs.
    judged: Option<Question>,
    accepted: Option<Accepted>,
    /// The last revision that was brought about whole.
    applied: Option<(String, Arc<Declarations>)>,
    /// Why the newest revision is held whole.
    held: Vec<Held>,
    works: BTreeMap<Arc<str>, Work>,
    resigning: resign::Resigning,
    large: large::LargeModules,
    settled: HashMap<ObjectId, (Fingerprint, Fingerprint)>,
    targets: Targets,
    reported: report::Reported,
    /// The head and the keys of the last attempt to commit keys.
    enrolled: Option<(gix::ObjectId, BTreeMap<Name, PublicKey>)>,
}

/// A revision that may be applied.
#[derive(Clone)]
struct Accepted {
    revision: Revision,
    loaded: Loaded,
    folder: String,
}

/// What a verdict depends on.
#[derive(Clone, PartialEq)]
struct Question {
    source: (String, String),
    head: gix::ObjectId,
    folder: String,
    prune: bool,
    verify: bool,
}

/// The last state of an application for which there is a module.
struct Work {
    object: Object,
    desired: Desired,
    signed: Arc<Signed>,
    /// The revision it is of.
    revision: String,
}

/// What a pass came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The newest revision of the branch.
    pub observed: Option<String>,
    /// The revision the cluster was brought to.
    pub applied: Option<String>,
    /// What was written.
    pub written: Written,
    /// What is held and why.
    pub held: Vec<Held>,
    /// Applications being built.
    pub building: Vec<String>,
    /// What could not be written; it is tried again.
    pub failures: Vec<String>,
    /// Why the repository gave no revision.
    pub source_error: Option<String>,
    /// Modules compiled since the start.
    pub compiled: u64,
}

impl Reconciler {
    /// A reconciler that remembers nothing yet. In a Tokio runtime, because a key in a Secret is watched by a task of its own.
    ///
    /// # Errors
    /// When its caches cannot be opened.
    pub fn new(options: &Options) -> Result<Self, ReconcileError> {
        let cache = &options.cache;
        let client = wasmbed_builder::Client::new(&options.builder, wasmbed_builder::Cache::open(cache.join("build"))?);
        let fetcher = Fetcher::new(options.client.clone(), &options.namespace, cache.join("repositories"));
        Ok(Self {
            cluster: Cluster::new(options.client.clone(), &options.namespace),
            fetcher,
            client,
            release_key: CurrentKey::of(options.release_key.clone(), &options.client),
            resigning: resign::Resigning::default(),
            large: large::LargeModules::new(options.registry.clone()),
            wake: Arc::new(Notify::new()),
            built: Arc::new(Notify::new()),
            awaited: None,
            ask: Arc::new(Notify::new()),
            builds: None,
            heard: Heard::default(),
            loaded: None,
            judged: None,
            accepted: None,
            applied: None,
            held: Vec::new(),
            works: BTreeMap::new(),
            settled: HashMap::new(),
            targets: Targets::default(),
            reported: report::Reported::default(),
            enrolled: None,
        })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The key that signs Releases.
    pub(crate) fn release_key(&self) -> &CurrentKey {
        &self.release_key
    }

    /// Rings when a build ended.
    pub(crate) fn built(&self) -> Arc<Notify> {
        Arc::clone(&self.built)
    }

    /// Rings when the repository was asked.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Rings when the repository is to be asked at once.
    pub(crate) fn ask(&self) -> Arc<Notify> {
        Arc::clone(&self.ask)
    }

    /// What is known of the repository from now on.
    pub(crate) fn hear(&mut self, heard: Heard) {
        self.heard = heard;
    }

    /// When a pass is due though nothing happens.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.builds.as_ref().and_then(Builds::next_retry)
    }

    /// The one Fleet of the namespace.
    pub(crate) fn fleet(&self) -> Option<(Arc<str>, FleetView)> {
        let view = self.cluster.view();
        let only = if view.fleets.len() == 1 { view.fleets.first_key_value() } else { None };
        only.map(|(name, fleet)| (Arc::clone(name), fleet.clone()))
    }

    /// Lists the cluster; without watches, this is how the view comes to be.
    ///
    /// # Errors
    /// When the API cannot be read.
    pub async fn list(&self) -> Result<(), ReconcileError> {
        Ok(self.cluster.list().await?)
    }

    /// Asks the repository once.
    pub async fn fetch(&mut self) {
        if let Some((_, fleet)) = self.fleet() {
            self.heard = self.fetcher.ask(&fleet.spec, self.heard.clone()).await;
        }
    }

    /// One pass: judge the newest revision, build, plan, write, prune, report.
    ///
    /// # Errors
    /// When the repository cache cannot be read. What the cluster refuses is in [`Summary::failures`].
    pub async fn pass(&mut self) -> Result<Summary, ReconcileError> {
        let Some((name, fleet)) = self.fleet() else {
            self.report_fleet_count().await;
            return Ok(Summary::default());
        };
        let mut summary = Summary::default();
        if !fleet.spec.is_suspended() {
            if let Err(error) = self.judge(&name, &fleet).await {
                if let ReconcileError::Source(SourceError::Cache { .. }) = error {
                    self.fetcher.discard();
                    self.ask.notify_one();
                }
                return Err(error);
            }
            if let Some(accepted) = self.accepted.clone() {
                let outcome = self.bring_about(&name, &fleet.spec, &accepted).await?;
                summary.written = outcome.written;
                summary.building = outcome.building;
                summary.failures = outcome.failures;
                summary.held = outcome.held;
                if summary.building.is_empty() && summary.failures.is_empty() {
                    let declarations = Arc::clone(accepted.loaded.declarations());
                    self.applied = Some((accepted.revision.id.to_string(), declarations));
                }
                self.enroll(&fleet.spec, &accepted).await;
            }
        }
        summary.held.splice(0..0, self.held.iter().cloned());
        summary.observed = self.heard.head.map(|id| id.to_string());
        summary.applied = self.applied.as_ref().map(|(id, _)| id.clone());
        summary.source_error = self.heard.error.as_ref().map(|(_, message)| message.clone());
        summary.compiled = self.builds.as_ref().map_or(0, |builds| builds.compiled);
        self.report(&name, &fleet, &mut summary).await;
        Ok(summary)
    }
}

impl Question {
    fn new(spec: &FleetSpec, head: gix::ObjectId) -> Self {
        Self {
            source: (spec.url.clone(), spec.branch().to_owned()),
            head,
            folder: spec.path().to_owned(),
            prune: spec.prunes(),
            verify: spec.verify.is_some(),
        }
    }
}
