//! Signs again what devices may still be told to run, when the release key was replaced.
//!
//! Of the Release that the accepted revision makes, [`Reconciler::build_or_find`] sees to that. This is about the others that Rollouts
//! name: a stable Release while the next one is rolled out, or after the next one failed. What is in the cluster is never signed,
//! even if an old key signed it before, for that key may be a stolen one: a Release is made anew from the revision that first made it, which
//! has to be of the followed branch, and counts only if that comes to the same content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gix::ObjectId as Oid;
use wasmbed_api::{Digest, Held, Release};
use wasmbed_protocol::{KeySet, PublicKey, SigningKey};

use super::bring::Outcome;
use super::{Accepted, Reconciler};
use crate::build::{BuildState, Builds, Wanted};
use crate::cluster::{View, Watched};
use crate::declarations::{Declarations, Loaded, Reader};
use crate::error::ReconcileError;
use crate::plan::{Fingerprint, Kind, ObjectId};
use crate::release::Signed;
use crate::source::Repository;

/// What is known of Releases that only Rollouts name.
#[derive(Default)]
pub(super) struct Resigning {
    /// The key that is known to have signed a Release with this spec.
    signers: BTreeMap<Digest, (PublicKey, Fingerprint)>,
    /// Builds of Releases under way; each by itself, because two may be of one application.
    builds: BTreeMap<Digest, Builds>,
    /// What was read of an earlier revision last.
    loaded: Option<(Oid, Loaded)>,
}

/// A Release that devices may be told to run.
struct Named {
    application: Arc<str>,
    digest: Digest,
    revision: Option<Box<str>>,
    spec: Fingerprint,
}

/// How far it is.
enum Step {
    Building,
    Signed(Box<Signed>),
    Impossible(String),
}

impl Reconciler {
    /// # Errors
    /// When the repository cannot be read.
    pub(super) async fn sign_again(
        &mut self,
        fleet: &Arc<str>,
        accepted: &Accepted,
        declarations: &Declarations,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        // Without a key nothing can be done, and every application says so.
        let Ok(key) = self.release_key.get() else { return Ok(()) };
        let named = self.named(fleet, declarations);
        let digests: BTreeSet<Digest> = named.iter().map(|named| named.digest).collect();
        self.resigning.signers.retain(|digest, _| digests.contains(digest));
        self.resigning.builds.retain(|digest, _| digests.contains(digest));
        for named in named {
            let known = (key.public(), named.spec);
            if self.resigning.signers.get(&named.digest) == Some(&known) {
                continue;
            }
            if self.is_signed_by(fleet, &named, &key, outcome).await {
                self.resigning.signers.insert(named.digest, known);
                continue;
            }
            match self.make_again(fleet, accepted, &named, &key).await? {
                Step::Building => outcome.building.push(named.application.to_string()),
                Step::Signed(signed) => {
                    let revision = named.revision.as_deref().unwrap_or_default();
                    let manifest = signed.manifest(self.cluster.namespace(), revision);
                    match self.cluster.apply(Watched::Releases, &manifest).await {
                        Ok(()) => {
                            tracing::info!(application = %named.application, release = %named.digest, "signed again");
                            outcome.written.releases += 1;
                            self.resigning.builds.remove(&named.digest);
                        }
                        Err(error) => outcome.failures.push(format!("Release {}: {error}", named.digest)),
                    }
                }
                Step::Impossible(why) => outcome.held.push(Held {
                    revision: named.revision.as_deref().unwrap_or_default().to_owned(),
                    application: named.application.parse().ok(),
                    reason: "ReleaseNotSignedAgain".to_owned(),
                    message: format!(
                        "Release {}, which devices may be told to run, is signed by a key that was replaced, and cannot be made \
                         again from its revision: {why}. Devices that have it run on; push a change of the application, so that \
                         another Release takes its place",
                        named.digest
                    ),
                    file: None,
                    line: None,
                }),
            }
        }
        if self.resigning.builds.is_empty() {
            self.resigning.loaded = None;
        }
        Ok(())
    }

    /// What Rollouts name besides what the accepted revision makes.
    fn named(&self, fleet: &str, declarations: &Declarations) -> Vec<Named> {
        let view = self.cluster.view();
        let names = declarations.applications().map(|(name, _)| name);
        names
            .flat_map(|name| named_of(&view, fleet, name, self.works.get(name).map(|work| work.signed.digest)))
            .collect()
    }

    /// Whether the Release that the cluster has is one that the key signed.
    async fn is_signed_by(&self, fleet: &str, named: &Named, key: &SigningKey, outcome: &mut Outcome) -> bool {
        let api = kube::Api::<Release>::namespaced(self.cluster.client().clone(), self.cluster.namespace());
        match api.get_opt(&named.digest.to_string()).await {
            Ok(release) => release.is_some_and(|release| is_signed(fleet, &release.spec.cose.0, &named.digest, key)),
            Err(error) => {
                outcome.failures.push(format!("Release {}: {error}", named.digest));
                false
            }
        }
    }

    /// Makes a Release from the revision that first made it.
    async fn make_again(
        &mut self,
        fleet: &Arc<str>,
        accepted: &Accepted,
        named: &Named,
        key: &SigningKey,
    ) -> Result<Step, ReconcileError> {
        let Some(repository) = self.heard.mirror.as_ref().map(|mirror| mirror.repository().clone()) else {
            return Ok(Step::Building);
        };
        // Objects of the cluster only say where to look; that it was pushed to this branch is what counts.
        let revision = named.revision.as_deref().and_then(|revision| revision.parse::<Oid>().ok());
        let Some(revision) = revision.filter(|id| repository.is_in(accepted.revision.id, *id)) else {
            return Ok(Step::Impossible("it is no commit of the branch".to_owned()));
        };
        let loaded = self.load_revision(fleet, accepted, &repository, revision).await?;
        let declarations = loaded.declarations();
        let id = ObjectId { kind: Kind::Application, name: Arc::clone(&named.application) };
        let spec = declarations.applications().find(|(name, _)| **name == named.application).map(|(_, spec)| spec);
        let (Some(spec), Some(desired)) = (spec, declarations.desired.get(&id)) else {
            return Ok(Step::Impossible("the application is not declared there".to_owned()));
        };
        let label = format!("{}/{fleet}", self.cluster.namespace());
        let builds = self.resigning.builds.entry(named.digest);
        let builds = builds
            .or_insert_with(|| Builds::new(self.client.clone(), repository.clone(), label, Arc::clone(&self.built)));
        let state = builds.state(&Wanted {
            application: &named.application,
            spec,
            fingerprint: desired.fingerprint,
            boards: declarations.boards_of(&named.application),
            tree: repository.revision(revision)?.tree,
            folder: &accepted.folder,
        })?;
        let module = match state {
            BuildState::Building => return Ok(Step::Building),
            BuildState::Failed(failure) => return Ok(Step::Impossible(failure.message.clone())),
            BuildState::Built(module) => module,
        };
        Ok(match Signed::new(fleet, &named.application, spec, module, key) {
            Ok(signed) if signed.digest == named.digest => Step::Signed(Box::new(signed)),
            Ok(signed) => Step::Impossible(format!("that makes Release {} now", signed.digest)),
            Err(error) => Step::Impossible(error.to_string()),
        })
    }

    async fn load_revision(
        &mut self,
        fleet: &Arc<str>,
        accepted: &Accepted,
        repository: &Repository,
        revision: Oid,
    ) -> Result<Loaded, ReconcileError> {
        if let Some((id, loaded)) = &self.resigning.loaded
            && *id == revision
        {
            return Ok(loaded.clone());
        }
        let reader = Reader {
            repository: repository.clone(),
            fleet: fleet.to_string(),
            namespace: Some(self.cluster.namespace().to_owned()),
            path: accepted.folder.clone(),
        };
        let (tree, like) = (repository.revision(revision)?.tree, accepted.loaded.clone());
        let loaded = tokio::task::spawn_blocking(move || reader.load(tree, Some(&like))).await??;
        self.resigning.loaded = Some((revision, loaded.clone()));
        Ok(loaded)
    }
}

fn named_of(view: &View, fleet: &str, application: &Arc<str>, made: Option<Digest>) -> Vec<Named> {
    let Some(rollout) = view.rollouts.get(application) else { return Vec::new() };
    let digests: BTreeSet<Digest> = rollout.spec.stable.into_iter().chain(rollout.spec.candidate).collect();
    let others = digests.into_iter().filter(|digest| Some(*digest) != made);
    others
        .filter_map(|digest| {
            let release = view.releases.get(&digest).filter(|release| release.fleet.as_deref() == Some(fleet))?;
            Some(Named {
                application: Arc::clone(application),
                digest,
                revision: release.revision.clone(),
                spec: release.spec,
            })
        })
        .collect()
}

/// Whether these bytes are the Release of this name, signed by this key.
fn is_signed(fleet: &str, cose: &[u8], digest: &Digest, key: &SigningKey) -> bool {
    let only = KeySet {
        epoch: 0,
        fleet: fleet.to_owned(),
        release: vec![key.public()],
        assignment: Vec::new(),
        gateway_ca: key.public(),
    };
    wasmbed_protocol::Release::verify(cose, &only).is_ok_and(|(name, _)| name.0 == *digest.as_bytes())
}
