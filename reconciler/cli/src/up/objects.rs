//! What `wasmbed up` puts into the API before anything else runs: the Fleet and the KeySet.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use wasmbed_api::{Fleet, labels};

use crate::arguments::Up;

/// The field manager of these objects.
const MANAGER: &str = "wasmbed-up";

/// Applies the Fleet that follows `url`, and the signed KeySet.
///
/// # Errors
/// When the API refuses one.
pub(super) async fn apply(client: &Client, arguments: &Up, url: &str, key_set: &[u8]) -> Result<()> {
    let name = arguments.fleet.as_str();
    let parameters = PatchParams::apply(MANAGER).force();
    let fleets = Api::<Fleet>::namespaced(client.clone(), name);
    // One Fleet a namespace; one of another name is left from before, when this state was started with another --fleet.
    for other in fleets.list(&Default::default()).await?.items.iter().filter(|fleet| fleet.name_any() != name) {
        fleets.delete(&other.name_any(), &DeleteParams::default()).await?;
    }
    let mut fleet = json!({
        "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": name },
        "spec": {
            "url": url, "branch": arguments.branch, "path": arguments.path,
            "interval": format!("{}s", arguments.interval),
        },
    });
    for (field, secret) in [("secretRef", &arguments.repo_secret), ("webhookTokenRef", &arguments.hooks_secret)] {
        if let Some(secret) = secret {
            fleet["spec"][field] = json!({ "name": secret });
        }
    }
    fleets
        .patch(name, &parameters, &Patch::Apply(fleet))
        .await
        .with_context(|| format!("cannot make the Fleet {name} that follows {url}"))?;

    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key_set);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": labels::KEYSET },
        "binaryData": { labels::KEYSET_ENTRY: encoded },
    });
    Api::<ConfigMap>::namespaced(client.clone(), name)
        .patch(labels::KEYSET, &parameters, &Patch::Apply(map))
        .await
        .context("cannot store the KeySet")?;
    Ok(())
}
