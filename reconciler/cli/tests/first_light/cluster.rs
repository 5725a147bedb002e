//! The API of `wasmbed up`, as a person with another tool than `wasmbed` uses it.

use std::fmt::Debug;
use std::path::Path;

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A kind of the fleet.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize
{
}

pub struct Cluster {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Cluster {
    /// The API that a kubeconfig names.
    pub fn at(kubeconfig: &Path) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        Self { runtime, client }
    }

    fn api<K: Kind>(&self) -> Api<K> {
        Api::default_namespaced(self.client.clone())
    }

    /// An object; null if there is none of this name.
    pub fn get<K: Kind>(&self, name: &str) -> Value {
        let object = self.runtime.block_on(self.api::<K>().get_opt(name)).unwrap();
        serde_json::to_value(object).unwrap()
    }

    /// Changes an object as `kubectl patch` does.
    pub fn patch<K: Kind>(&self, name: &str, patch: Value) {
        let by_hand = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
        self.runtime.block_on(self.api::<K>().patch(name, &by_hand, &Patch::Merge(patch))).unwrap();
    }

    /// Deletes an object.
    pub fn delete<K: Kind>(&self, name: &str) {
        self.runtime.block_on(self.api::<K>().delete(name, &DeleteParams::default())).unwrap();
    }

    /// Deletes a status.
    pub fn wipe_status<K: Kind>(&self, name: &str) {
        let nothing = Patch::Merge(json!({ "status": null }));
        self.runtime.block_on(self.api::<K>().patch_status(name, &PatchParams::default(), &nothing)).unwrap();
    }
}
