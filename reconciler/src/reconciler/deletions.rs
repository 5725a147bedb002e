//! What was deleted within the last day, kept in a ConfigMap: deletions add up, and one that was begun goes on after a restart.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cluster::{Cluster, MANAGER};
use crate::error::ReconcileError;
use crate::plan::{Deletion, DeletionSet};

/// How long a deletion counts, in seconds.
const DAY: i64 = 24 * 60 * 60;
/// The entry of the ConfigMap.
const ENTRY: &str = "window.json";

/// The deletions of the last day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Window {
    batches: Vec<Batch>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Batch {
    revision: String,
    /// Unix seconds.
    at: i64,
    /// What went without a word; absent where a person allowed it, whatever it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<String>>,
}

impl Window {
    pub(super) async fn read(cluster: &Cluster, fleet: &str) -> Result<Self, ReconcileError> {
        let found = api(cluster).get_opt(&name(fleet)).await?;
        let text = found.and_then(|map| map.data?.remove(ENTRY));
        let mut window: Self = match text.as_deref().map(serde_json::from_str) {
            None => Self::default(),
            Some(Ok(window)) => window,
            Some(Err(error)) => {
                tracing::warn!(%error, "the record of recent deletions cannot be read; it begins anew");
                Self::default()
            }
        };
        let now = Timestamp::now().as_second();
        window.batches.retain(|batch| now - batch.at < DAY);
        Ok(window)
    }

    /// Whether the deletions of this revision were allowed before.
    pub(super) fn allows(&self, revision: &str) -> bool {
        self.batches.iter().any(|batch| batch.revision == revision && batch.objects.is_none())
    }

    /// What went without a word and `still` counts.
    pub(super) fn lately(&self, still: impl Fn(&Deletion) -> bool) -> BTreeSet<Deletion> {
        let objects = self.batches.iter().filter_map(|batch| batch.objects.as_ref()).flatten();
        objects.filter_map(|text| Deletion::parse(text)).filter(|deletion| still(deletion)).collect()
    }

    /// Writes down what is about to go; `None` for what a person allowed.
    pub(super) async fn record(
        mut self,
        cluster: &Cluster,
        fleet: &str,
        revision: &str,
        going: Option<&DeletionSet>,
    ) -> Result<(), ReconcileError> {
        let objects = going.map(|set| set.0.iter().map(ToString::to_string).collect::<Vec<_>>());
        let same = |batch: &Batch| batch.revision == revision && batch.objects == objects;
        if self.batches.iter().any(same) {
            return Ok(());
        }
        let at = Timestamp::now().as_second();
        self.batches.push(Batch { revision: revision.to_owned(), at, objects });
        let text = serde_json::to_string(&self).expect("plain data");
        let name = name(fleet);
        // Without the fleet's label: it is no module, and pruning leaves it alone.
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": cluster.namespace() },
            "data": { ENTRY: text },
        });
        api(cluster).patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(manifest)).await?;
        Ok(())
    }
}

fn api(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client().clone(), cluster.namespace())
}

fn name(fleet: &str) -> String {
    format!("wasmbed-deletions-{fleet}")
}
