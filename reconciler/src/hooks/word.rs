//! The word that a reconciler which does not lead leaves for the one that does: a ConfigMap that says when a webhook was last heard.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Notify;

/// The ConfigMap.
const NAME: &str = "wasmbed-hooks";
/// Its entry.
const HEARD: &str = "heardAt";
/// Who writes it: any replica.
const MANAGER: &str = "wasmbed-hooks";

/// Leaves the word, and listens for it.
#[derive(Clone)]
pub(super) struct Word {
    api: Api<ConfigMap>,
    namespace: String,
}

impl Word {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace), namespace: namespace.to_owned() }
    }

    /// A webhook was heard now.
    ///
    /// # Errors
    /// As the API answers.
    pub(super) async fn leave(&self) -> kube::Result<()> {
        // Without the fleet's label: it is no module, and pruning leaves it alone.
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": NAME, "namespace": self.namespace },
            "data": { HEARD: Timestamp::now().to_string() },
        });
        self.api.patch(NAME, &PatchParams::apply(MANAGER).force(), &Patch::Apply(manifest)).await.map(drop)
    }

    /// Rings `ask` for each word, for ever; for one that is there already, too, as it may have come a moment ago.
    pub(super) async fn listen(self, ask: &Notify) {
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = watcher(self.api, config).default_backoff().boxed();
        let mut last = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(word) | Event::InitApply(word)) => {
                    let heard = word.data.and_then(|mut data| data.remove(HEARD));
                    if heard.is_some() && heard != last {
                        last = heard;
                        ask.notify_one();
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "webhooks that other replicas hear are not heard of; trying again")
                }
            }
        }
    }
}
