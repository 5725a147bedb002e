//! Where Releases and modules are read from: the Kubernetes API, and a registry for what is large, through bounded caches.

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use wasmbed_api::Release;
use wasmbed_api::labels::MODULE_ENTRY;
use wasmbed_protocol::message::Fetch;
use wasmbed_protocol::{KeySet, ModuleDigest, ReleaseDigest};
use wasmbed_registry::Registry;

use crate::cache::{Cache, LoadError};
use crate::limits::Limits;

/// Reads from the API at once.
const LOADS: usize = 4;

/// Signed Releases and modules, by digest.
#[derive(Clone)]
pub(crate) struct Store {
    /// By the KeySet's epoch besides: what was signed by a key of one may have to be signed again for the next.
    releases: Arc<Cache<(ReleaseDigest, u64)>>,
    modules: Arc<Cache<ModuleDigest>>,
    client: Client,
    namespace: String,
    /// For what no ConfigMap holds.
    registry: Option<Registry>,
}

impl Store {
    pub(crate) fn new(client: Client, namespace: &str, registry: Option<Registry>, limits: &Limits) -> Self {
        Self {
            releases: Arc::new(Cache::new(limits.release_cache, LOADS)),
            modules: Arc::new(Cache::new(limits.module_cache, LOADS)),
            client,
            namespace: namespace.to_owned(),
            registry,
        }
    }

    /// The COSE bytes of a Release, signed by a key that counts for those who believe `keyset`.
    pub(crate) async fn release(&self, digest: ReleaseDigest, keyset: Arc<KeySet>) -> Result<Bytes, LoadError> {
        let epoch = keyset.epoch;
        let api = Api::<Release>::namespaced(self.client.clone(), &self.namespace);
        let load = move || async move {
            let release = api.get(&digest.to_string()).await.map_err(|error| LoadError::from(error.to_string()))?;
            let cose = release.spec.cose.0;
            // A courier judges nothing, but what does not bear its name would only be refused by the device.
            match wasmbed_protocol::Release::verify(&cose, &keyset) {
                Ok((name, _)) if name == digest => Ok(Bytes::from(cose)),
                Ok((name, _)) => Err(format!("Release {digest} holds the signed bytes of {name}").into()),
                // After a rotation for a moment: the reconciler signs it again.
                Err(error) => {
                    Err(format!("Release {digest} is none for the KeySet of epoch {}: {error}", keyset.epoch).into())
                }
            }
        };
        self.releases.find((digest, epoch), load).await
    }

    /// Bytes of a module if the module is in memory; `None` if it must be read.
    pub(crate) fn chunk_at_hand(&self, fetch: &Fetch) -> Option<Vec<u8>> {
        self.modules.at_hand(fetch.digest).map(|module| cut(&module, fetch))
    }

    /// Bytes of a module; empty past its end.
    pub(crate) async fn chunk(&self, fetch: &Fetch) -> Result<Vec<u8>, LoadError> {
        let digest = fetch.digest;
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let registry = self.registry.clone();
        let load = move || async move {
            let module = wasmbed_api::Digest::from_bytes(digest.0);
            let name = wasmbed_api::labels::module_config_map(&module);
            let map = match (api.get_opt(&name).await, registry) {
                (Ok(Some(map)), _) => map,
                (Ok(None), Some(registry)) => {
                    return registry.pull(&module).await.map_err(|error| LoadError::from(error.to_string()));
                }
                (Ok(None), None) => {
                    return Err(format!("there is no ConfigMap {name}, and no --registry to look in").into());
                }
                (Err(error), _) => return Err(LoadError::from(error.to_string())),
            };
            let module = map.binary_data.and_then(|mut data| data.remove(MODULE_ENTRY)).map(|bytes| bytes.0);
            match module {
                Some(module) if ModuleDigest::of(&module) == digest => Ok(Bytes::from(module)),
                Some(_) => Err(format!("ConfigMap {name} holds other bytes than its name says").into()),
                None => Err(format!("ConfigMap {name} has no {MODULE_ENTRY}").into()),
            }
        };
        self.modules.find(digest, load).await.map(|module| cut(&module, fetch))
    }
}

fn cut(module: &[u8], fetch: &Fetch) -> Vec<u8> {
    let start = (fetch.offset as usize).min(module.len());
    let end = start.saturating_add(fetch.length as usize).min(module.len());
    module[start..end].to_vec()
}
