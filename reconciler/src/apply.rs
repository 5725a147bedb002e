//! Writing to the cluster: server-side apply under one field manager, and deletion.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, MANAGER, Watched};

impl Cluster {
    /// Applies an object whole, taking over what others changed of it. The view sees the result at once.
    pub(crate) async fn apply(&self, what: Watched, manifest: &Value) -> kube::Result<()> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let applied = self.api(what).patch(name, &parameters(), &Patch::Apply(manifest)).await?;
        self.view().put(what, applied);
        Ok(())
    }

    /// Applies the reconciler's part of a status. An object that is gone has none, which is no error.
    pub(crate) async fn apply_status(&self, what: Watched, name: &str, status: &Value) -> kube::Result<()> {
        let resource = what.resource();
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "name": name, "namespace": self.namespace() },
            "status": status,
        });
        match self.api(what).patch_status(name, &parameters(), &Patch::Apply(&body)).await {
            Ok(applied) => self.view().put(what, applied),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Deletes an object; one that is gone already is deleted.
    pub(crate) async fn delete(&self, what: Watched, name: &str) -> kube::Result<()> {
        match self.api(what).delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
        self.view().remove(what, name);
        Ok(())
    }
}

fn parameters() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}
