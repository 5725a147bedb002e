//! The embedded Kubernetes API for one machine.
//!
//! It serves the kinds of the CustomResourceDefinitions it is given, and namespaces, configmaps, secrets, leases and events, as
//! kube-apiserver does, as far as kube-rs and kubectl ask: see `docs/embedded-api.md` for what it does not do. Objects are kept in
//! one file; a write that was answered survives `kill -9`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use wasmbed_control_plane::{ControlPlane, Options};
//!
//! let control_plane = ControlPlane::open(Options::new("/var/lib/wasmbed", Vec::new())).await?;
//! // In the process, without sockets.
//! let maps: kube::Api<ConfigMap> = kube::Api::default_namespaced(control_plane.client("default"));
//! // For kubectl, by HTTPS on loopback.
//! let served = control_plane.serve("127.0.0.1:0".parse()?).await?;
//! served.write_kubeconfig("/var/lib/wasmbed/kubeconfig".as_ref(), "default")?;
//! # drop(maps); Ok(())
//! # }
//! ```

mod api;
mod json_path;
mod names;
mod ownership;
mod patch;
mod resource;
mod schema;
mod selector;
mod serve;
mod status;
mod storage;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiService, Collector, Shared, create_namespace};
use crate::resource::Registry;
use crate::storage::Store;

pub use crate::resource::DefinitionError;
pub use crate::serve::{ServeError, Served};
pub use crate::storage::StorageError;

/// The name of the file in the data folder that holds all objects.
pub const DATA_FILE: &str = "api.redb";

/// What a control plane is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds the objects (`api.redb`) and the keys of the HTTPS port (`pki/`). Made if it is missing.
    pub data: PathBuf,
    /// The kinds to serve besides the built-in ones. Each serves exactly one version.
    pub crds: Vec<CustomResourceDefinition>,
    /// Namespaces to make if they are missing; `default` and `kube-system` always are.
    pub namespaces: Vec<String>,
}

impl Options {
    /// The objects of a folder and the kinds to serve.
    pub fn new(data: impl Into<PathBuf>, crds: Vec<CustomResourceDefinition>) -> Self {
        Self { data: data.into(), crds, namespaces: Vec::new() }
    }

    /// Also makes a namespace if it is missing.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }
}

/// Why a control plane cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error(
        "{path}: {source}: the folder for the state cannot be made; check its place and rights, or choose another with --state"
    )]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The objects cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A definition cannot be served.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A namespace cannot be made.
    #[error("namespace {name:?} cannot be made: {why}")]
    Namespace {
        /// The namespace.
        name: String,
        /// What the API said.
        why: String,
    },
}

/// A running control plane. Dropping it ends watches and the HTTPS port; every answered write is on the disk already.
#[derive(Debug)]
pub struct ControlPlane {
    shared: Arc<Shared>,
    data: PathBuf,
}

impl ControlPlane {
    /// Opens the objects of a folder, or makes a new folder.
    ///
    /// # Errors
    /// When the folder or the file in it cannot be used, is damaged or in use, or a definition cannot be served. A damaged file is
    /// left as it is.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        std::fs::create_dir_all(&options.data)
            .map_err(|source| OpenError::Folder { path: options.data.display().to_string(), source })?;
        let (registry, kinds) = Registry::new(&options.crds)?;
        let file = options.data.join(DATA_FILE);
        let opened = tokio::task::spawn_blocking(move || Store::open(&file, kinds)).await;
        let store = opened.expect("opening a file does not panic")?;
        let (collector, tasks) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { store, registry, collector, closing: CancellationToken::new() });
        let first = ["default", "kube-system"].map(str::to_owned);
        for name in first.into_iter().chain(options.namespaces) {
            if let Err(error) = create_namespace(&shared, &name).await {
                return Err(OpenError::Namespace { name, why: error.to_string() });
            }
        }
        tokio::spawn(Collector::new(shared.clone(), tasks).run());
        Ok(Self { shared, data: options.data })
    }

    /// A client in this process, without sockets. Must be called inside a tokio runtime.
    pub fn client(&self, namespace: &str) -> kube::Client {
        kube::Client::new(ApiService(self.shared.clone()), namespace)
    }

    /// Serves HTTPS on a loopback address (port 0 takes a free one) until the control plane is dropped or closed.
    ///
    /// # Errors
    /// When the address is not a loopback address or is in use, or the keys in the data folder cannot be read or made.
    pub async fn serve(&self, address: SocketAddr) -> Result<Served, ServeError> {
        serve::serve(self.shared.clone(), &self.data.join("pki"), address).await
    }

    /// Ends watches and the HTTPS port, and closes the file. Clients of this process get errors from then on.
    pub async fn close(self) {
        self.shared.closing.cancel();
        self.shared.store.close().await;
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}
