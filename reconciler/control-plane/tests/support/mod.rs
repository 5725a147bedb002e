//! The servers that tests ask: a control plane in a folder of its own, and a real Kubernetes API.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod kubernetes;
pub mod side;

use std::path::Path;

use wasmbed_control_plane::{ControlPlane, Options};

use crate::contract::Door;
use crate::contract::door::definitions;

/// A control plane that serves widgets.
pub struct Plane {
    pub control_plane: ControlPlane,
    pub folder: tempfile::TempDir,
}

/// What a control plane for tests is opened with.
pub fn options(folder: &Path) -> Options {
    Options::new(folder, definitions()).namespace("test")
}

impl Plane {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control_plane = ControlPlane::open(options(folder.path())).await.unwrap();
        Self { control_plane, folder }
    }

    /// Closes it and opens it again.
    pub async fn reopened(self) -> Self {
        self.control_plane.close().await;
        let control_plane = ControlPlane::open(options(self.folder.path())).await.unwrap();
        Self { control_plane, folder: self.folder }
    }

    /// A door to a new namespace.
    pub async fn door_to(&self, namespace: &str) -> Door {
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        self.door().post("/api/v1/namespaces", &object).await.ok();
        Door::new(self.control_plane.client(namespace), namespace)
    }

    pub fn door(&self) -> Door {
        Door::new(self.control_plane.client("test"), "test")
    }
}
