//! The chart, installed on a real API server for one test.

use std::path::{Path, PathBuf};

use kube::Client;
use tempfile::TempDir;
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::certificates;
use crate::chart::render;
use crate::objects::{apply_all, established};
use crate::pods::Pods;

/// What `helm install` leaves, and who plays the pods.
pub struct Installation {
    /// The administrator, in the first tenant's namespace.
    pub admin: Client,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    pub pods: Pods,
    pub kubernetes: Kubernetes,
    folder: TempDir,
}

impl Installation {
    /// Installs it with these values, which bring certificates as Secrets, and makes those; nothing where a person leaves the real API
    /// server out.
    pub async fn of(values: &str, tenants: &[&str], options: Options) -> Option<Self> {
        let kubernetes = Kubernetes::for_test(options).await?;
        let folder = tempfile::Builder::new().prefix("wasmbed-cluster-").tempdir().unwrap();
        let admin = kubernetes.client(tenants[0]).await;
        let file = folder.path().join("values.yaml");
        std::fs::write(&file, values).unwrap();
        let objects = render(kubernetes.programs(), &file);
        apply_all(&admin, &objects).await;
        established(&admin, &objects).await;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubernetes.kubeconfig(tenants[0])).unwrap();
        let of_anyone = kubernetes.kubeconfig_of("TOKEN", tenants[0]);
        let kubeconfig_of = move |token: &str| of_anyone.replace("TOKEN", token);
        let pods = Pods::new(admin.clone(), kubeconfig_of, folder.path(), &objects).await;
        let ca = certificates::of_streams(&admin, &pods, tenants).await;
        std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
        Some(Self { admin, kubeconfig, pods, kubernetes, folder })
    }

    /// A folder of the test's own, with the CA certificate of the streams' servers in `ca.crt`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
