//! A control plane in a folder of its own.

#![allow(dead_code, missing_docs, unreachable_pub)]

use std::path::Path;

use wasmbed_control_plane::{ControlPlane, Options};

use crate::contract::Door;
use crate::contract::door::widget_definition;

/// A control plane that serves widgets.
pub struct Plane {
    pub control_plane: ControlPlane,
    pub folder: tempfile::TempDir,
}

/// What a control plane for tests is opened with.
pub fn options(folder: &Path) -> Options {
    let definition = serde_json::from_value(widget_definition()).unwrap();
    Options::new(folder, vec![definition]).namespace("test")
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

    pub fn door(&self) -> Door {
        Door { client: self.control_plane.client("test"), namespace: "test".into() }
    }
}
