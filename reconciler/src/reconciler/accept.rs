//! Judges the newest revision: it is accepted whole or held whole, and the last good one stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gix::ObjectId as Oid;
use wasmbed_api::declarations::Problem;
use wasmbed_api::{FleetSpec, Held};

use super::deletions::Window;
use super::{Accepted, Question, Reconciler};
use crate::build::Builds;
use crate::cluster::{FleetView, View};
use crate::declarations::{Declarations, Reader};
use crate::error::ReconcileError;
use crate::plan::{
    Action, Deletion, DeletionGuard, DeletionSet, Input, Kind, ObjectId, TRAILER, Verdict, allowed_hashes, plan,
};
use crate::source::Repository;

/// Commits searched for a word that allows a deletion, and for a good revision after a restart.
const MOST_COMMITS: usize = 100;
/// The reference in the mirror that remembers the last good revision over a restart.
const ACCEPTED_REF: &str = "refs/wasmbed/accepted";
/// Problems of one revision that a status lists.
const MOST_PROBLEMS: usize = 100;

impl Reconciler {
    /// Judges the head that was last heard, if it was not judged yet.
    pub(super) async fn judge(&mut self, fleet: &Arc<str>, view: &FleetView) -> Result<(), ReconcileError> {
        let spec = Arc::clone(&view.spec);
        let (Some(mirror), Some(head)) = (&self.heard.mirror, self.heard.head) else {
            return Ok(());
        };
        if self.heard.of.as_ref().is_none_or(|(url, branch)| *url != spec.url || branch != spec.branch()) {
            return Ok(());
        }
        let question = Question::new(&spec, head);
        if self.judged.as_ref() == Some(&question) {
            return Ok(());
        }
        let repository = mirror.repository().clone();
        match &mut self.builds {
            Some(builds) => builds.set_repository(repository.clone()),
            None => {
                let label = format!("{}/{fleet}", self.cluster.namespace());
                let builds = Builds::new(self.client.clone(), repository.clone(), label, Arc::clone(&self.built));
                self.builds = Some(builds);
            }
        }
        let held = match self.consider(&repository, fleet, &spec, head).await? {
            Ok(accepted) => {
                self.accept(&repository, accepted);
                Vec::new()
            }
            Err(held) => {
                let last_good = view.status.applied_revision.clone();
                if self.accepted.is_none() {
                    self.find_last_good(&repository, fleet, &spec, head, last_good).await?;
                }
                held
            }
        };
        for held in &held {
            tracing::warn!(revision = %head, reason = held.reason, "held: {}", crate::status::describe(held));
        }
        self.held = held;
        self.judged = Some(question);
        Ok(())
    }

    fn accept(&mut self, repository: &Repository, accepted: Accepted) {
        let id = accepted.revision.id;
        if repository.reference(ACCEPTED_REF) != Some(id)
            && let Err(error) = repository.set_reference(ACCEPTED_REF, id)
        {
            tracing::warn!(%error, "the accepted revision is not remembered over a restart");
        }
        if self.accepted.as_ref().is_none_or(|before| before.revision.id != id) {
            tracing::info!(revision = %id, "accepted");
        }
        self.accepted = Some(accepted);
    }

    /// Reads a revision and decides whether it may be applied.
    async fn consider(
        &mut self,
        repository: &Repository,
        fleet: &Arc<str>,
        spec: &FleetSpec,
        id: Oid,
    ) -> Result<Result<Accepted, Vec<Held>>, ReconcileError> {
        if spec.verify.is_some() {
            // Asked for and not there yet: to follow without looking would be worse than to stand still.
            return Ok(Err(vec![unverified(&id.to_string())]));
        }
        let revision = repository.revision(id)?;
        let reader = Reader {
            repository: repository.clone(),
            fleet: fleet.to_string(),
            namespace: Some(self.cluster.namespace().to_owned()),
            path: spec.path().to_owned(),
        };
        let before = self.loaded.take();
        let tree = revision.tree;
        let loaded = tokio::task::spawn_blocking(move || reader.load(tree, before.as_ref())).await??;
        self.loaded = Some(loaded.clone());
        let declarations = loaded.declarations();
        if !declarations.errors.is_empty() {
            let held =
                declarations.errors.iter().take(MOST_PROBLEMS).map(|p| held_problem(&id.to_string(), p)).collect();
            return Ok(Err(held));
        }
        if let Some(held) = self.guard(repository, fleet, spec, id, declarations).await? {
            return Ok(Err(vec![held]));
        }
        Ok(Ok(Accepted { revision, loaded, folder: spec.path().to_owned() }))
    }

    /// Deleting much needs a word from a person.
    async fn guard(
        &self,
        repository: &Repository,
        fleet: &Arc<str>,
        spec: &FleetSpec,
        id: Oid,
        declarations: &Declarations,
    ) -> Result<Option<Held>, ReconcileError> {
        let scene = {
            let view = self.cluster.view();
            Scene::of(&view, fleet, spec, declarations)
        };
        if scene.going.0.is_empty() {
            return Ok(None);
        }
        let window = Window::read(&self.cluster, fleet).await?;
        let revision = id.to_string();
        if window.allows(&revision) {
            return Ok(None);
        }
        let base = self.accepted.as_ref().map(|accepted| accepted.revision.id);
        let messages = repository.messages_since(id, base.filter(|base| *base != id), MOST_COMMITS)?;
        let lately = window.lately(|deletion| !is_back(deletion, declarations));
        let guard = DeletionGuard {
            now: &scene.going,
            lately: &lately,
            population: &scene.population,
            placements: scene.placements,
            declared: declarations.desired.len(),
            allowed: &allowed_hashes(messages.iter().map(String::as_str)),
        };
        let verdict = guard.verdict();
        match verdict {
            // Written down before anything goes, so that a restart in the middle comes to the same.
            Verdict::Little => window.record(&self.cluster, fleet, &revision, Some(&scene.going)).await?,
            Verdict::Allowed => window.record(&self.cluster, fleet, &revision, None).await?,
            Verdict::Held { hash, why } => {
                let sample: Vec<String> = scene.going.0.iter().take(5).map(ToString::to_string).collect();
                let message = format!(
                    "{why}: {}{}. If that is meant, push a commit with the trailer `{TRAILER}: {hash}` (git commit --allow-empty --trailer '{TRAILER}: {hash}')",
                    sample.join(", "),
                    if scene.going.0.len() > sample.len() { ", ..." } else { "" },
                );
                return Ok(Some(Held {
                    revision,
                    application: None,
                    reason: "DeletionHeld".to_owned(),
                    message,
                    file: None,
                    line: None,
                }));
            }
        }
        Ok(None)
    }

    /// After a restart with a bad revision at the head: the last good one, as the mirror, the status or the history know it.
    async fn find_last_good(
        &mut self,
        repository: &Repository,
        fleet: &Arc<str>,
        spec: &FleetSpec,
        head: Oid,
        applied: Option<String>,
    ) -> Result<(), ReconcileError> {
        let mut candidates: Vec<Oid> = repository.reference(ACCEPTED_REF).into_iter().collect();
        candidates.extend(applied.and_then(|id| id.parse::<Oid>().ok()).filter(|id| repository.has(*id)));
        let mut ancestor = head;
        for _ in 0..MOST_COMMITS {
            let Some(parent) = repository.revision(ancestor)?.parents.first().copied() else { break };
            candidates.push(parent);
            ancestor = parent;
        }
        for id in candidates.into_iter().filter(|id| *id != head && repository.has(*id)) {
            if let Ok(accepted) = self.consider(repository, fleet, spec, id).await? {
                tracing::info!(revision = %id, "the last good revision stays");
                self.accept(repository, accepted);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What a revision would take away, and from how many.
struct Scene {
    going: DeletionSet,
    population: BTreeMap<Kind, usize>,
    placements: usize,
}

impl Scene {
    fn of(view: &View, fleet: &str, spec: &FleetSpec, declarations: &Declarations) -> Self {
        let input = Input {
            fleet,
            desired: &declarations.desired,
            applied: None,
            observed: &view.objects,
            prune: spec.prunes(),
        };
        let changes = plan(&input);
        let mut going: BTreeSet<Deletion> = changes
            .iter()
            .filter(|change| change.action == Action::Delete)
            .map(|change| Deletion::Object(change.id.clone()))
            .collect();
        let changed: BTreeSet<&ObjectId> =
            changes.iter().filter(|c| c.action == Action::Update).map(|change| &change.id).collect();
        going.extend(losses(view, fleet, declarations, &changed));
        let mut scene = Self { going: DeletionSet(going), population: BTreeMap::new(), placements: 0 };
        if !scene.going.0.is_empty() {
            for (id, object) in &view.objects {
                if object.fleet.as_deref() == Some(fleet) {
                    *scene.population.entry(id.kind).or_default() += 1;
                }
            }
            scene.placements = placements(view, fleet);
        }
        scene
    }
}

/// Devices that stay and lose an application that stays. Only what changed can lose anything.
fn losses(view: &View, fleet: &str, declarations: &Declarations, changed: &BTreeSet<&ObjectId>) -> Vec<Deletion> {
    let mut lost = Vec::new();
    if changed.is_empty() {
        return lost;
    }
    for (name, after) in declarations.applications() {
        let Some(before) = view.applications.get(name).filter(|a| a.fleet.as_deref() == Some(fleet)) else {
            continue;
        };
        let all = changed.contains(&ObjectId { kind: Kind::Application, name: Arc::clone(name) });
        for (device_name, device) in declarations.devices() {
            let id = ObjectId { kind: Kind::Device, name: Arc::clone(device_name) };
            if !all && !changed.contains(&id) {
                continue;
            }
            let Some(now) = view.devices.get(device_name) else { continue };
            let nothing = BTreeMap::new();
            let labels = device.metadata.labels.as_ref().unwrap_or(&nothing);
            if before.spec.targets(device_name, &now.labels) && !after.targets(device_name, labels) {
                lost.push(Deletion::Placement { application: name.to_string(), device: device_name.to_string() });
            }
        }
    }
    lost
}

fn placements(view: &View, fleet: &str) -> usize {
    let ours = |of: &Option<String>| of.as_deref() == Some(fleet);
    let devices: Vec<_> = view.devices.iter().filter(|(_, device)| ours(&device.fleet)).collect();
    view.applications
        .values()
        .filter(|application| ours(&application.fleet))
        .map(|application| devices.iter().filter(|(name, d)| application.spec.targets(name, &d.labels)).count())
        .sum()
}

fn is_back(deletion: &Deletion, declarations: &Declarations) -> bool {
    match deletion {
        Deletion::Object(id) => declarations.desired.contains_key(id),
        Deletion::Placement { .. } => false,
    }
}

fn unverified(revision: &str) -> Held {
    Held {
        revision: revision.to_owned(),
        application: None,
        reason: "CannotVerify".to_owned(),
        message: "Fleet.spec.verify asks for signed commits, which cannot be verified yet; remove it to follow the branch without"
            .to_owned(),
        file: None,
        line: None,
    }
}

fn held_problem(revision: &str, problem: &Problem) -> Held {
    let finding = &problem.finding;
    let mut message = finding.message.clone();
    if let Some(object) = &finding.object {
        message = format!("{object}: {message}");
    }
    for (word, more) in [("expected", &finding.expected), ("help:", &finding.help)] {
        if let Some(more) = more {
            message.push_str(&format!("; {word} {more}"));
        }
    }
    Held {
        revision: revision.to_owned(),
        application: None,
        reason: "InvalidDeclaration".to_owned(),
        message,
        file: Some(problem.file.clone()),
        line: Some(finding.position.line),
    }
}
