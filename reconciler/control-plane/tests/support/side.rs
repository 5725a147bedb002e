//! A server of either side, and one list of tests for both.

use std::path::{Path, PathBuf};

use super::{Plane, kubernetes};
use crate::contract::Door;

/// A server with a namespace for one test.
pub struct Side {
    pub door: Door,
    /// For kubectl.
    pub kubeconfig: PathBuf,
    folder: tempfile::TempDir,
    /// The embedded one's; the real one is every test's.
    _plane: Option<Plane>,
}

impl Side {
    /// The embedded API, served.
    pub async fn embedded() -> Option<Self> {
        let plane = Plane::open().await;
        let served = plane.control_plane.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        served.write_kubeconfig(&kubeconfig, "test").unwrap();
        Some(Self { door: plane.door(), kubeconfig, folder, _plane: Some(plane) })
    }

    /// The real one; `None` if a person chose to leave it out.
    pub async fn kubernetes() -> Option<Self> {
        let kubernetes = kubernetes::kubernetes().await?;
        let door = kubernetes::door(kubernetes).await;
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubernetes.kubeconfig(&door.namespace)).unwrap();
        Some(Self { door, kubeconfig, folder, _plane: None })
    }

    pub fn client(&self) -> kube::Client {
        self.door.client.clone()
    }

    /// A folder of this test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Makes of each function that takes a [`Side`] a test on the embedded API and one on the real one.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        $crate::on_both!(@ embedded $($name),*);
        $crate::on_both!(@ kubernetes $($name),*);
    };
    (@ $side:ident $($name:ident),*) => {
        mod $side {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(side) = $crate::support::side::Side::$side().await else { return };
                    super::$name(side).await;
                }
            )*
        }
    };
}
