//! Takes away what the reconciler wrote and nobody needs: Rollouts of applications that are gone, old Releases, modules without one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wasmbed_api::{Digest, labels};

use super::Reconciler;
use super::bring::Outcome;
use crate::cluster::{View, Watched};
use crate::declarations::Declarations;

/// Releases kept of each application, besides those its Rollout names.
const KEPT: usize = 10;
/// Releases kept of all applications that are gone, so that bringing one back builds nothing.
const KEPT_OF_GONE: usize = 20;

impl Reconciler {
    /// `gone` says whether what left the repository goes; the history is kept short in any case.
    pub(super) async fn prune(&mut self, fleet: &str, gone: bool, declarations: &Declarations, outcome: &mut Outcome) {
        let declared: BTreeSet<Arc<str>> = declarations.applications().map(|(name, _)| Arc::clone(name)).collect();
        let wanted: BTreeSet<Digest> = self.works.values().map(|work| work.signed.digest).collect();
        let wanted_modules: BTreeSet<Digest> = self.works.values().map(|work| work.signed.module.digest).collect();
        let (rollouts, releases) = {
            let view = self.cluster.view();
            let rollouts = if gone { stale_rollouts(&view, fleet, &declared) } else { Vec::new() };
            (rollouts, stale_releases(&view, fleet, &declared, &wanted))
        };
        for name in rollouts {
            self.remove(Watched::Rollouts, &name, outcome).await;
        }
        for digest in releases {
            self.remove(Watched::Releases, &digest.to_string(), outcome).await;
        }
        let modules = stale_modules(&self.cluster.view(), fleet, &wanted_modules);
        for digest in modules {
            self.remove(Watched::Modules, &labels::module_config_map(&digest), outcome).await;
        }
    }

    async fn remove(&self, what: Watched, name: &str, outcome: &mut Outcome) {
        match self.cluster.delete(what, name).await {
            Ok(()) => tracing::info!(?what, name, "pruned"),
            Err(error) => outcome.failures.push(format!("{name}: {error}")),
        }
    }
}

fn stale_rollouts(view: &View, fleet: &str, declared: &BTreeSet<Arc<str>>) -> Vec<Arc<str>> {
    let ours = view.rollouts.iter().filter(|(_, rollout)| rollout.fleet.as_deref() == Some(fleet));
    ours.map(|(name, _)| name).filter(|name| !declared.contains(*name)).cloned().collect()
}

fn stale_releases(view: &View, fleet: &str, declared: &BTreeSet<Arc<str>>, wanted: &BTreeSet<Digest>) -> Vec<Digest> {
    let mut by_application: BTreeMap<Option<&str>, Vec<Digest>> = BTreeMap::new();
    for (digest, release) in &view.releases {
        if release.fleet.as_deref() == Some(fleet) {
            let application = declared.contains(&*release.application).then_some(&*release.application);
            by_application.entry(application).or_default().push(*digest);
        }
    }
    let named: BTreeSet<Digest> = view
        .rollouts
        .values()
        .flat_map(|rollout| {
            let failed = rollout.spec.failed.iter().map(|failed| failed.release);
            rollout.spec.stable.into_iter().chain(rollout.spec.candidate).chain(failed)
        })
        .collect();
    let mut stale = Vec::new();
    for (application, mut releases) in by_application {
        let kept = if application.is_some() { KEPT } else { KEPT_OF_GONE };
        if releases.len() <= kept {
            continue;
        }
        releases.sort_by_key(|digest| std::cmp::Reverse(view.releases[digest].created.clone().map(|time| time.0)));
        let old = releases.into_iter().skip(kept);
        stale.extend(old.filter(|digest| !named.contains(digest) && !wanted.contains(digest)));
    }
    stale
}

fn stale_modules(view: &View, fleet: &str, wanted: &BTreeSet<Digest>) -> Vec<Digest> {
    let named: BTreeSet<Digest> = view.releases.values().flat_map(|release| release.modules.iter().copied()).collect();
    let ours = view.modules.iter().filter(|(_, of)| of.as_deref() == Some(fleet)).map(|(digest, _)| *digest);
    ours.filter(|digest| !named.contains(digest) && !wanted.contains(digest)).collect()
}
