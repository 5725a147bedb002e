//! What a revision would change, from a clone alone or against a cluster; what is wrong with it.

mod folder;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use gix::ObjectId as Oid;
use serde::Serialize;
use wasmbed_api::declarations::{Problem, Report};
use wasmbed_builder::Closure;

use crate::build::{GitTree, join};
use crate::cluster::Cluster;
use crate::declarations::{Declarations, Loaded, Reader};
use crate::error::ReconcileError;
use crate::plan::{
    Action, Deletion, DeletionGuard, DeletionSet, Input, Kind, ObjectId, Observed, Reason, Verdict, allowed_hashes,
    plan,
};
use crate::source::{Repository, Revision, SourceError};

pub use folder::validate_folder;

/// Commits whose trailers are read.
const MOST_COMMITS: usize = 100;

/// Which revision to look at, and against what.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// A clone, or a folder inside one.
    pub repository: PathBuf,
    /// The revision that would be applied, as `git rev-parse` understands it.
    pub head: String,
    /// The revision that is applied, where no cluster is asked; the first parent of `head` if absent, nothing if it has none.
    pub base: Option<String>,
    /// The fleet's folder in the repository; empty for its root.
    pub path: String,
    /// The fleet's name.
    pub fleet: String,
    /// The fleet's namespace, where it is known.
    pub namespace: Option<String>,
    /// Whether what leaves the repository is deleted.
    pub prune: bool,
}

/// What a revision would change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The commit looked at.
    pub head: String,
    /// The commit it is compared with; `None` for nothing, or for a cluster.
    pub base: Option<String>,
    /// What keeps it from being applied.
    pub errors: Vec<Problem>,
    /// Old forms, and what has no effect.
    pub notes: Vec<Problem>,
    /// What would be written.
    pub changes: Vec<PlannedChange>,
    /// Applications whose sources differ, and would be built.
    pub builds: Vec<PlannedBuild>,
    /// The word that is needed because much would be deleted.
    pub deletion: Option<PlannedDeletion>,
}

/// One object that would be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// What would be done.
    pub action: Action,
    /// The object's kind.
    pub kind: Kind,
    /// The object's name.
    pub name: String,
    /// Why.
    pub reason: Reason,
    /// Where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// An application that would be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedBuild {
    /// The application.
    pub application: String,
    /// Why its sources are refused before anything is compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A deletion that needs a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedDeletion {
    /// For the trailer `Allow-Deletion: <hash>`.
    pub hash: String,
    /// What is too much.
    pub why: String,
    /// Whether a commit says the word already.
    pub allowed: bool,
}

impl Preview {
    /// Whether the revision would be applied as it is.
    #[must_use]
    pub fn is_applicable(&self) -> bool {
        self.errors.is_empty() && self.deletion.as_ref().is_none_or(|deletion| deletion.allowed)
    }
}

/// What `request.head` would change against `request.base`, from the clone alone.
///
/// # Errors
/// When the clone or a revision cannot be read.
pub fn preview(request: &PreviewRequest) -> Result<Preview, SourceError> {
    let look = Look::new(request)?;
    let base = match &request.base {
        Some(base) => Some(look.repository.resolve(base)?),
        None => look.head.parents.first().map(|id| look.repository.revision(*id)).transpose()?,
    };
    let before = base.as_ref().map(|base| look.reader.load(base.tree, None)).transpose()?;
    let after = look.reader.load(look.head.tree, before.as_ref())?;
    let observed = before.as_ref().map(|before| as_observed(before.declarations(), &request.fleet)).unwrap_or_default();
    let lost = before.as_ref().map_or_else(BTreeSet::new, |b| losses(b.declarations(), after.declarations()));
    let placed = before.as_ref().map_or(0, |b| placements(b.declarations()));
    look.preview(&after, before.as_ref(), base.map(|base| base.id), &observed, lost, placed)
}

/// What `request.head` would change in a cluster.
///
/// # Errors
/// When the clone, the revision or the API cannot be read.
pub async fn preview_against(request: &PreviewRequest, client: kube::Client) -> Result<Preview, ReconcileError> {
    let look = Look::new(request)?;
    let after = look.reader.load(look.head.tree, None)?;
    let cluster = Cluster::new(client, request.namespace.as_deref().unwrap_or("default"));
    cluster.list().await?;
    let view = cluster.view().clone();
    let applied = view.fleets.values().find_map(|fleet| fleet.status.applied_revision.as_deref()?.parse::<Oid>().ok());
    let applied = applied.filter(|id| look.repository.has(*id));
    let before = match applied {
        Some(id) => Some(look.reader.load(look.repository.revision(id)?.tree, Some(&after))?),
        None => None,
    };
    let lost = before.as_ref().map_or_else(BTreeSet::new, |b| losses(b.declarations(), after.declarations()));
    let placed = before.as_ref().map_or(0, |b| placements(b.declarations()));
    let mut preview = look.preview(&after, before.as_ref(), applied, &view.objects, lost, placed)?;
    preview.base = None;
    Ok(preview)
}

/// What is wrong with a revision.
///
/// # Errors
/// When the clone or the revision cannot be read.
pub fn validate(request: &PreviewRequest) -> Result<Report, SourceError> {
    let look = Look::new(request)?;
    let loaded = look.reader.load(look.head.tree, None)?;
    let Declarations { errors, notes, .. } = &**loaded.declarations();
    Ok(Report { errors: errors.clone(), notes: notes.clone() })
}

struct Look<'a> {
    request: &'a PreviewRequest,
    repository: Repository,
    reader: Reader,
    head: Revision,
}

impl<'a> Look<'a> {
    fn new(request: &'a PreviewRequest) -> Result<Self, SourceError> {
        let repository = Repository::discover(&request.repository)?;
        let head = repository.resolve(&request.head)?;
        let reader = Reader {
            repository: repository.clone(),
            fleet: request.fleet.clone(),
            namespace: request.namespace.clone(),
            path: request.path.trim_matches('/').to_owned(),
        };
        Ok(Self { request, repository, reader, head })
    }

    fn preview(
        &self,
        after: &Loaded,
        before: Option<&Loaded>,
        base: Option<Oid>,
        observed: &BTreeMap<ObjectId, Observed>,
        lost: BTreeSet<Deletion>,
        placements: usize,
    ) -> Result<Preview, SourceError> {
        let declarations = after.declarations();
        let changes = plan(&Input {
            fleet: &self.request.fleet,
            desired: &declarations.desired,
            applied: before.map(|before| &before.declarations().desired),
            observed,
            prune: self.request.prune,
        });
        let gone = changes.iter().filter(|change| change.action == Action::Delete);
        let mut going: BTreeSet<Deletion> = gone.map(|change| Deletion::Object(change.id.clone())).collect();
        going.extend(lost);
        let planned = changes.iter().map(|change| PlannedChange {
            action: change.action,
            kind: change.id.kind,
            name: change.id.name.to_string(),
            reason: change.reason,
            place: declarations.desired.get(&change.id).map(|desired| desired.place.to_string()),
        });
        let is_valid = declarations.errors.is_empty();
        Ok(Preview {
            head: self.head.id.to_string(),
            base: base.map(|id| id.to_string()),
            errors: declarations.errors.clone(),
            notes: declarations.notes.clone(),
            // A revision that is held changes nothing; what it leaves out may just not have been readable.
            changes: if is_valid { planned.collect() } else { Vec::new() },
            builds: if is_valid { self.builds(after, before) } else { Vec::new() },
            deletion: if is_valid { self.deletion(going, base, observed, declarations, placements)? } else { None },
        })
    }

    fn deletion(
        &self,
        going: BTreeSet<Deletion>,
        base: Option<Oid>,
        observed: &BTreeMap<ObjectId, Observed>,
        declarations: &Declarations,
        placements: usize,
    ) -> Result<Option<PlannedDeletion>, SourceError> {
        let going = DeletionSet(going);
        let mut population: BTreeMap<Kind, usize> = BTreeMap::new();
        for (id, object) in observed {
            if object.fleet.as_deref() == Some(&*self.request.fleet) {
                *population.entry(id.kind).or_default() += 1;
            }
        }
        let guard = DeletionGuard {
            now: &going,
            lately: &BTreeSet::new(),
            population: &population,
            placements,
            declared: declarations.desired.len(),
            allowed: &BTreeSet::new(),
        };
        let Verdict::Held { hash, why } = guard.verdict() else {
            return Ok(None);
        };
        let messages = self.repository.messages_since(self.head.id, base, MOST_COMMITS)?;
        let allowed = allowed_hashes(messages.iter().map(String::as_str)).contains(&hash);
        Ok(Some(PlannedDeletion { hash, why, allowed }))
    }

    /// Applications whose closure differs from the base's.
    fn builds(&self, after: &Loaded, before: Option<&Loaded>) -> Vec<PlannedBuild> {
        let closure = |loaded: &Loaded, path: &str| {
            let tree = GitTree::new(self.repository.clone(), loaded.tree());
            Closure::of(&tree, &join(&self.reader.path, path))
        };
        let source = |declarations: &Declarations, name: &Arc<str>| {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            declarations.application(&id).and_then(|spec| spec.source.clone())
        };
        let mut builds = Vec::new();
        for (name, spec) in after.declarations().applications() {
            let Some(wanted) = &spec.source else { continue };
            let refused = match closure(after, &wanted.path) {
                Err(refused) => Some(refused.to_string()),
                Ok(now) => {
                    let was = before.and_then(|b| Some((b, source(b.declarations(), name)?)));
                    let same = was.is_some_and(|(before, was)| {
                        (was.target, was.profile) == (wanted.target, wanted.profile)
                            && closure(before, &was.path).is_ok_and(|was| was.digest() == now.digest())
                    });
                    if same {
                        continue;
                    }
                    None
                }
            };
            builds.push(PlannedBuild { application: name.to_string(), refused });
        }
        builds
    }
}

fn as_observed(declarations: &Declarations, fleet: &str) -> BTreeMap<ObjectId, Observed> {
    declarations
        .desired
        .iter()
        .map(|(id, desired)| (id.clone(), Observed { fingerprint: desired.fingerprint, fleet: Some(fleet.to_owned()) }))
        .collect()
}

/// Devices that stay and lose an application that stays.
fn losses(before: &Declarations, after: &Declarations) -> BTreeSet<Deletion> {
    let nothing = BTreeMap::new();
    let mut lost = BTreeSet::new();
    for (name, now) in after.applications() {
        let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
        let Some(was) = before.application(&id) else { continue };
        for (device, declared) in after.devices() {
            let id = ObjectId { kind: Kind::Device, name: Arc::clone(device) };
            if after.desired.get(&id).map(|d| d.fingerprint) == before.desired.get(&id).map(|d| d.fingerprint)
                && was == now
            {
                continue;
            }
            let Some(earlier) = before.device(&id) else { continue };
            let labels = |d: &'_ wasmbed_api::Device| d.metadata.labels.clone().unwrap_or_else(|| nothing.clone());
            if was.targets(device, &labels(earlier)) && !now.targets(device, &labels(declared)) {
                lost.insert(Deletion::Placement { application: name.to_string(), device: device.to_string() });
            }
        }
    }
    lost
}

fn placements(declarations: &Declarations) -> usize {
    let nothing = BTreeMap::new();
    declarations
        .applications()
        .map(|(_, spec)| {
            let meant = |(name, device): &(&Arc<str>, &wasmbed_api::Device)| {
                spec.targets(name, device.metadata.labels.as_ref().unwrap_or(&nothing))
            };
            declarations.devices().filter(meant).count()
        })
        .sum()
}
