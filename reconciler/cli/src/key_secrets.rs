//! The keys of a tenant on a cluster: Secrets in the system namespace, as `wasmbed keys publish` writes them.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use wasmbed_protocol::SigningKey;

/// The entry with the 32 bytes of an Ed25519 seed.
const SEED: &str = "seed";

/// Name of the Secret of the tenant `namespace` with `what`: `release`, `assignment`, or `gateway-<name>`.
#[must_use]
pub(crate) fn name(namespace: &str, what: &str) -> String {
    format!("wasmbed-{namespace}-{what}")
}

/// Reads the key in the Secret `name` of `namespace`, once.
///
/// # Errors
/// When it cannot be read, or holds no seed.
pub(crate) async fn read(client: &Client, namespace: &str, name: &str) -> Result<SigningKey> {
    let what = || format!("the key in Secret {name} of namespace {namespace}");
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get(name).await;
    let secret = secret.with_context(|| format!("cannot read {}; `wasmbed keys publish` writes it", what()))?;
    let seed = secret.data.as_ref().and_then(|data| data.get(SEED)).map(|bytes| bytes.0.as_slice());
    match seed.map(<&[u8; 32]>::try_from) {
        Some(Ok(seed)) => Ok(SigningKey::from_seed(seed)),
        Some(Err(_)) => bail!("{}: its entry {SEED:?} is no 32-byte seed; `wasmbed keys publish` writes it", what()),
        None => bail!("{}: there is no entry {SEED:?}; `wasmbed keys publish` writes it", what()),
    }
}
