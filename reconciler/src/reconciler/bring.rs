//! Brings an accepted revision about: build, plan, write. Repeating it changes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use wasmbed_api::declarations::Object;
use wasmbed_api::{ApplicationSpec, FleetSpec, Held};
use wasmbed_keys::NoKey;
use wasmbed_protocol::SigningKey;

use super::large::is_large;
use super::{Accepted, Reconciler, Work};
use crate::boards::too_much;
use crate::build::{BuildState, Module, Wanted};
use crate::cluster::Watched;
use crate::declarations::{Declarations, manifest};
use crate::error::ReconcileError;
use crate::plan::{Action, Change, Desired, Fingerprint, Input, Kind, ObjectId, plan};
use crate::release::{Signed, module_manifest};
use crate::tally::Targeting;
use crate::{rollout, status};

/// Writes on the way at once.
pub(super) const CONCURRENT_WRITES: usize = 16;

/// How long what is in the build cache may take to come from there.
const MOMENT: Duration = Duration::from_millis(100);

/// What was written to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Objects created.
    pub created: usize,
    /// Objects updated.
    pub updated: usize,
    /// Objects deleted.
    pub deleted: usize,
    /// Releases signed and written.
    pub releases: usize,
    /// Rollouts moved on.
    pub rollouts: usize,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) written: Written,
    pub(super) building: Vec<String>,
    pub(super) held: Vec<Held>,
    pub(super) failures: Vec<String>,
}

/// A change and, if it was written, the fingerprint it should have now.
type WriteResult<'c> = (&'c Change, kube::Result<Option<Fingerprint>>);

/// How the build of an application stands, for its status.
pub(super) struct Standing {
    pub(super) build: BuildState,
    /// Why there is no Release though there is a module.
    pub(super) refused: Option<String>,
}

impl Reconciler {
    pub(super) async fn bring_about(
        &mut self,
        fleet: &Arc<str>,
        spec: &FleetSpec,
        accepted: &Accepted,
    ) -> Result<Outcome, ReconcileError> {
        let mut outcome = Outcome::default();
        let declarations = Arc::clone(accepted.loaded.declarations());
        let standings = self.build_or_find(fleet, accepted, &declarations).await?;
        let revision = accepted.revision.id.to_string();
        for (name, standing) in &standings {
            match (&standing.build, &standing.refused) {
                (BuildState::Building, _) => outcome.building.push(name.to_string()),
                (_, Some(refused)) => {
                    let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
                    let place = declarations.desired.get(&id).map(|desired| &desired.place);
                    outcome.held.push(Held {
                        revision: revision.clone(),
                        application: name.parse().ok(),
                        reason: "ReleaseRefused".to_owned(),
                        message: refused.clone(),
                        file: place.map(|place| place.file.to_string()),
                        line: place.map(|place| place.line).filter(|line| *line > 0),
                    });
                }
                (BuildState::Failed(failure), None) => {
                    outcome.held.push(status::held_application(&revision, name, failure));
                }
                (BuildState::Built(_), None) => {}
            }
        }
        self.works.retain(|name, _| standings.contains_key(name));
        self.write_releases(fleet, &mut outcome).await;
        self.sign_again(fleet, accepted, &declarations, &mut outcome).await?;
        let changes = self.changes(fleet, spec, &declarations);
        self.write_changes(fleet, &declarations, changes, &mut outcome).await;
        self.write_rollouts(fleet, &declarations, &mut outcome).await;
        self.prune(fleet, spec.prunes(), &declarations, &mut outcome).await;
        self.reported.standings = standings;
        Ok(outcome)
    }

    /// Builds, and gives what is in the cache a moment to come from there, once for a revision: so that nothing is called
    /// building, in a status, that has not to be built.
    async fn build_or_find(
        &mut self,
        fleet: &Arc<str>,
        accepted: &Accepted,
        declarations: &Arc<Declarations>,
    ) -> Result<BTreeMap<Arc<str>, Standing>, ReconcileError> {
        let deadline = tokio::time::Instant::now() + MOMENT;
        loop {
            let standings = self.build(fleet, accepted, declarations)?;
            let is_building = standings.values().any(|standing| matches!(standing.build, BuildState::Building));
            if !is_building || self.awaited == Some(accepted.revision.id) {
                return Ok(standings);
            }
            if tokio::time::timeout_at(deadline, self.built.notified()).await.is_err() {
                self.awaited = Some(accepted.revision.id);
            }
        }
    }

    /// Starts and collects builds; notes for each application the last state there is a module for.
    fn build(
        &mut self,
        fleet: &Arc<str>,
        accepted: &Accepted,
        declarations: &Arc<Declarations>,
    ) -> Result<BTreeMap<Arc<str>, Standing>, ReconcileError> {
        let Some(builds) = &mut self.builds else {
            return Ok(BTreeMap::new());
        };
        let declared: BTreeSet<Arc<str>> = declarations.applications().map(|(name, _)| Arc::clone(name)).collect();
        builds.keep_only(&declared);
        let key = self.release_key.get();
        let mut standings = BTreeMap::new();
        for (name, spec) in declarations.applications() {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            let desired = &declarations.desired[&id];
            let boards = declarations.boards_of(name);
            let build = builds.state(&Wanted {
                application: name,
                spec,
                fingerprint: desired.fingerprint,
                boards,
                tree: accepted.revision.tree,
                folder: &accepted.folder,
            })?;
            let mut refused = too_much(spec, boards);
            if let BuildState::Built(module) = &build {
                refused = refused.or_else(|| self.large.refusal(module));
            }
            if let BuildState::Built(module) = build
                && refused.is_none()
                && !self.works.get(name).is_some_and(|w| w.desired == *desired && w.is_of(&module, &key))
            {
                let signed = match &key {
                    Ok(key) => Signed::new(fleet, name, spec, module, key).map_err(|error| {
                        format!("the Release cannot be signed: {error}; shorten spec.config or spec.capabilities")
                    }),
                    Err(no_key) => Err(format!("the Release cannot be signed: {no_key}")),
                };
                match signed {
                    Ok(signed) => {
                        let work = Work {
                            object: declarations.object(&id).expect("every desired object is declared").clone(),
                            desired: desired.clone(),
                            signed: Arc::new(signed),
                            revision: accepted.revision.id.to_string(),
                        };
                        self.works.insert(Arc::clone(name), work);
                    }
                    Err(why) => refused = Some(why),
                }
            }
            standings.insert(Arc::clone(name), Standing { build, refused });
        }
        Ok(standings)
    }

    /// The plan, with applications that have no module yet left as they are.
    fn changes(&self, fleet: &str, spec: &FleetSpec, declarations: &Declarations) -> Vec<Change> {
        let view = self.cluster.view();
        let mut desired = Cow::Borrowed(&declarations.desired);
        for (name, _) in declarations.applications() {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            match (self.works.get(name), view.objects.get(&id)) {
                (Some(work), _) if work.desired == declarations.desired[&id] => {}
                (Some(work), _) => {
                    desired.to_mut().insert(id, work.desired.clone());
                }
                // Known from before a restart: what it was built from last is what the cluster has.
                (None, Some(there)) if there.fleet.as_deref() == Some(fleet) => {
                    let place = declarations.desired[&id].place.clone();
                    desired.to_mut().insert(id, Desired { fingerprint: there.fingerprint, place });
                }
                (None, _) => {}
            }
        }
        let applied = self.applied.as_ref().map(|(_, declarations)| &declarations.desired);
        let input = Input { fleet, desired: &desired, applied, observed: &view.objects, prune: spec.prunes() };
        let mut changes = plan(&input);
        changes.retain(|change| {
            let pair = (desired.get(&change.id).map(|d| d.fingerprint), view.objects.get(&change.id));
            let (Some(want), Some(have)) = pair else { return true };
            self.settled.get(&change.id) != Some(&(want, have.fingerprint))
        });
        changes
    }

    async fn write_changes(
        &mut self,
        fleet: &str,
        declarations: &Declarations,
        changes: Vec<Change>,
        outcome: &mut Outcome,
    ) {
        // One kind after another: what is named has to be there before what names it.
        let mut rest = &changes[..];
        while let Some(first) = rest.first() {
            let same = |change: &Change| {
                change.id.kind == first.id.kind && change.action.is_delete() == first.action.is_delete()
            };
            let (group, others) = rest.split_at(rest.iter().take_while(|change| same(change)).count());
            rest = others;
            // Boxed, because the compiler cannot tell that unboxed ones of many lifetimes may move between threads.
            let writes: Vec<BoxFuture<'_, WriteResult<'_>>> =
                group.iter().map(|change| self.write_change(fleet, declarations, change).boxed()).collect();
            let results: Vec<_> = futures::stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).collect().await;
            for (change, result) in results {
                match result {
                    Ok(wanted) => {
                        tracing::info!(object = %change.id, action = ?change.action, "{}", change.reason);
                        match change.action {
                            Action::Create => outcome.written.created += 1,
                            Action::Update => outcome.written.updated += 1,
                            Action::Delete => outcome.written.deleted += 1,
                        }
                        if let Some(wanted) = wanted {
                            self.settle(&change.id, wanted);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(object = %change.id, %error, "cannot be written");
                        outcome.failures.push(format!("{}: {error}", change.id));
                    }
                }
            }
        }
    }

    async fn write_change<'c>(&self, fleet: &str, declarations: &Declarations, change: &'c Change) -> WriteResult<'c> {
        let what = watched(change.id.kind);
        let work = match change.id.kind {
            Kind::Application => self.works.get(&change.id.name),
            _ => None,
        };
        let declared = match work {
            Some(work) => Some((&work.object, work.desired.fingerprint)),
            None => declarations
                .object(&change.id)
                .and_then(|object| Some((object, declarations.desired.get(&change.id)?.fingerprint))),
        };
        let result = match (change.action, declared) {
            (Action::Delete, _) | (_, None) => self.cluster.delete(what, &change.id.name).await.map(|()| None),
            (_, Some((object, fingerprint))) => {
                let manifest = manifest(object, fleet, self.cluster.namespace());
                self.cluster.apply(what, &manifest).await.map(|()| Some(fingerprint))
            }
        };
        (change, result)
    }

    /// An API that stores something else than what was applied (a default, a webhook) is not asked for ever.
    fn settle(&mut self, id: &ObjectId, wanted: Fingerprint) {
        let stored = self.cluster.view().objects.get(id).map(|object| object.fingerprint);
        match stored {
            Some(stored) if stored != wanted => {
                tracing::debug!(object = %id, "the API stores another form of it than was applied");
                self.settled.insert(id.clone(), (wanted, stored));
            }
            _ => drop(self.settled.remove(id)),
        }
    }

    /// Modules, then the Releases that name them; all before anything leads devices to them.
    async fn write_releases(&mut self, fleet: &str, outcome: &mut Outcome) {
        let mut lost = Vec::new();
        for (name, work) in &self.works {
            let signed = &work.signed;
            let (has_module, known) = {
                let view = self.cluster.view();
                let is_ours = view.modules.get(&signed.module.digest).is_some_and(|of| of.as_deref() == Some(fleet));
                (is_ours || self.large.is_stored(&signed.module.digest), view.releases.get(&signed.digest).cloned())
            };
            // The revision that first made it stays beside it.
            let first = known.as_ref().and_then(|known| known.revision.clone());
            let revision = first.map_or_else(|| work.revision.clone(), String::from);
            let manifest = signed.manifest(self.cluster.namespace(), &revision);
            let spec = Fingerprint::of_value(&manifest["spec"]);
            let has_release = known.is_some_and(|known| known.spec == spec && known.fleet.as_deref() == Some(fleet));
            if !has_module {
                let bytes = self.builds.as_ref().and_then(|builds| builds.module_bytes(&signed.module.digest));
                let Some(bytes) = bytes else {
                    lost.push(Arc::clone(name));
                    continue;
                };
                let stored = if is_large(&signed.module) {
                    self.large.store(&signed.module.digest, bytes).await.map_err(|error| error.to_string())
                } else {
                    let manifest = module_manifest(self.cluster.namespace(), fleet, &signed.module.digest, bytes);
                    self.cluster.apply(Watched::Modules, &manifest).await.map_err(|error| error.to_string())
                };
                if let Err(error) = stored {
                    outcome.failures.push(format!("module of Application {name}: {error}"));
                    continue;
                }
            }
            if !has_release {
                match self.cluster.apply(Watched::Releases, &manifest).await {
                    Ok(()) => {
                        tracing::info!(application = %name, release = %signed.digest, "signed");
                        outcome.written.releases += 1;
                    }
                    Err(error) => outcome.failures.push(format!("Release of Application {name}: {error}")),
                }
            }
        }
        for name in lost {
            // Neither the cluster nor the cache has the bytes: they are built again.
            self.works.remove(&name);
            if let Some(builds) = &mut self.builds {
                builds.forget(&name);
            }
            outcome.building.push(name.to_string());
            self.built.notify_one();
        }
    }

    async fn write_rollouts(&mut self, fleet: &str, declarations: &Declarations, outcome: &mut Outcome) {
        let now = Timestamp::now();
        let mut writes: Vec<(Arc<str>, Value)> = Vec::new();
        for (name, spec) in declarations.applications() {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            let view = self.cluster.view();
            // Without its Application a Rollout would lead nobody.
            let Some(fingerprint) = view.objects.get(&id).map(|object| object.fingerprint) else { continue };
            let work = self.works.get(name);
            let before = view.rollouts.get(name);
            // What was built last counts; after a restart that is what the cluster has.
            let there = view.applications.get(name).map_or(spec, |application| &*application.spec);
            let spec = work.and_then(|work| spec_of(&work.object)).unwrap_or(there);
            let (release, retry) = match (work, before) {
                (Some(work), _) if view.releases.contains_key(&work.signed.digest) => {
                    (work.signed.digest, spec.retry())
                }
                (_, Some(before)) => match before.spec.candidate.or(before.spec.stable) {
                    Some(release) => (release, before.spec.retry),
                    None => continue,
                },
                _ => continue,
            };
            let of = Targeting { fleet, application: name, spec, fingerprint };
            let counts = |release: &_| self.targets.tally(&view, of, Some(release)).counts;
            let next = rollout::next(before.map(|b| &*b.spec), release, retry, counts, now);
            let is_written =
                before.is_some_and(|before| *before.spec == next && before.fleet.as_deref() == Some(fleet));
            if !is_written {
                writes.push((Arc::clone(name), rollout::manifest(self.cluster.namespace(), fleet, name, &next)));
            }
        }
        for (name, manifest) in writes {
            match self.cluster.apply(Watched::Rollouts, &manifest).await {
                Ok(()) => outcome.written.rollouts += 1,
                Err(error) => outcome.failures.push(format!("Rollout of Application {name}: {error}")),
            }
        }
    }
}

/// The spec of a declared Application.
pub(super) fn spec_of(object: &Object) -> Option<&ApplicationSpec> {
    match object {
        Object::Application(application) => Some(&application.spec),
        _ => None,
    }
}

fn watched(kind: Kind) -> Watched {
    match kind {
        Kind::Gateway => Watched::Gateways,
        Kind::Device => Watched::Devices,
        Kind::Application => Watched::Applications,
    }
}

impl Action {
    fn is_delete(self) -> bool {
        self == Self::Delete
    }
}

impl Work {
    /// Whether it is of this module, signed by this key.
    fn is_of(&self, module: &Module, key: &Result<SigningKey, NoKey>) -> bool {
        self.signed.module == *module && key.as_ref().is_ok_and(|key| key.public() == self.signed.signer)
    }
}

impl Written {
    /// Counts what another pass wrote.
    pub(crate) fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.releases += other.releases;
        self.rollouts += other.rollouts;
    }
}
