//! A key in a Secret, against the embedded API.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::timeout;
use wasmbed_control_plane::{ControlPlane, Options};
use wasmbed_keys::{CurrentKey, KeySource, NoKey, SecretPlace};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn write(secrets: &Api<Secret>, name: &str, seed: [u8; 32]) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": { "seed": ByteString(seed.to_vec()) },
    });
    secrets.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
}

#[tokio::test]
async fn a_key_follows_its_secret_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path(), wasmbed_api::crds()).namespace("wasmbed-system");
    let control_plane = ControlPlane::open(options).await.unwrap();
    let client = control_plane.client("wasmbed-system");
    let secrets = Api::<Secret>::namespaced(client.clone(), "wasmbed-system");
    let place = SecretPlace { namespace: "wasmbed-system".into(), name: "wasmbed-t-release".into() };
    let mut key = CurrentKey::of(KeySource::Secret(place.clone()), &client);
    let seed = |key: &CurrentKey| key.get().map(|key| *key.seed());
    assert_eq!(timeout(PATIENCE, key.read()).await.unwrap().unwrap_err(), NoKey::Missing(place.clone()));
    timeout(PATIENCE, key.changed()).await.unwrap();

    write(&secrets, "wasmbed-t-assignment", [9; 32]).await;
    write(&secrets, "wasmbed-t-release", [1; 32]).await;
    timeout(PATIENCE, key.changed()).await.unwrap();
    assert_eq!(seed(&key), Ok([1; 32]));
    write(&secrets, "wasmbed-t-release", [2; 32]).await;
    timeout(PATIENCE, key.changed()).await.unwrap();
    assert_eq!(seed(&key), Ok([2; 32]));
    secrets.delete("wasmbed-t-release", &DeleteParams::default()).await.unwrap();
    timeout(PATIENCE, key.changed()).await.unwrap();
    assert_eq!(seed(&key), Err(NoKey::Missing(place)));
}
