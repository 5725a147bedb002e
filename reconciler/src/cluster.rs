//! What the cluster has, as far as the reconciler needs it: projections, kept by watches, that can be rebuilt at any time.

mod fingerprint;
mod projection;
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use tokio::sync::Notify;
use wasmbed_api::{Application, Device, Digest, Fleet, Gateway, Release, Rollout};

pub(crate) use fingerprint::{MANAGER, fingerprint, observed_fingerprint};
pub(crate) use projection::{
    ApplicationView, DeviceRun, DeviceView, FleetView, GatewayView, Names, ReleaseView, RolloutView,
};

use crate::plan::{ObjectId, Observed};

/// A snapshot of one namespace.
#[derive(Clone, Default)]
pub(crate) struct View {
    /// At most one is expected.
    pub(crate) fleets: BTreeMap<Arc<str>, FleetView>,
    /// For the plan.
    pub(crate) objects: BTreeMap<ObjectId, Observed>,
    pub(crate) gateways: BTreeMap<Arc<str>, GatewayView>,
    pub(crate) devices: BTreeMap<Arc<str>, DeviceView>,
    pub(crate) applications: BTreeMap<Arc<str>, ApplicationView>,
    pub(crate) releases: BTreeMap<Digest, ReleaseView>,
    pub(crate) rollouts: BTreeMap<Arc<str>, RolloutView>,
    /// ConfigMaps of modules, with the fleet label of each.
    pub(crate) modules: BTreeMap<Digest, Option<String>>,
    /// Rises when a device comes, goes or changes its labels.
    pub(crate) labels_generation: u64,
    /// Rises when anything of a device changes.
    pub(crate) devices_generation: u64,
    known_labels: HashSet<Arc<projection::Labels>>,
}

/// What is listed and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    Fleets,
    Gateways,
    Devices,
    Applications,
    Releases,
    Rollouts,
    Modules,
}

impl Watched {
    pub(crate) const ALL: [Self; 7] = [
        Self::Fleets,
        Self::Gateways,
        Self::Devices,
        Self::Applications,
        Self::Releases,
        Self::Rollouts,
        Self::Modules,
    ];

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Fleets => ApiResource::erase::<Fleet>(&()),
            Self::Gateways => ApiResource::erase::<Gateway>(&()),
            Self::Devices => ApiResource::erase::<Device>(&()),
            Self::Applications => ApiResource::erase::<Application>(&()),
            Self::Releases => ApiResource::erase::<Release>(&()),
            Self::Rollouts => ApiResource::erase::<Rollout>(&()),
            Self::Modules => ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&()),
        }
    }

    /// Modules are told from other ConfigMaps by the fleet's label.
    fn label_selector(self) -> Option<&'static str> {
        (self == Self::Modules).then_some(wasmbed_api::labels::FLEET)
    }
}

/// The view shared between the watches and the reconciler.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    view: Arc<Mutex<View>>,
    changed: Arc<Notify>,
}

impl Cluster {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), view: Arc::default(), changed: Arc::new(Notify::new()) }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Rings when a watch brought something new.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// The view, for as long as nothing is awaited.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn api(&self, what: Watched) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &what.resource())
    }

    /// Lists everything once, page by page.
    ///
    /// # Errors
    /// When the API cannot be read.
    pub(crate) async fn list(&self) -> kube::Result<()> {
        for what in Watched::ALL {
            self.list_one(what).await?;
        }
        Ok(())
    }

    async fn list_one(&self, what: Watched) -> kube::Result<()> {
        let api = self.api(what);
        let mut params = ListParams::default().limit(500);
        params.label_selector = what.label_selector().map(ToOwned::to_owned);
        let mut seen = Vec::new();
        loop {
            let page = api.list(&params).await?;
            let more = page.metadata.continue_.filter(|token| !token.is_empty());
            let mut view = self.view();
            for object in page.items {
                seen.extend(object.metadata.name.as_deref().map(Arc::<str>::from));
                view.put(what, object);
            }
            drop(view);
            match more {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        self.view().retain(what, &seen.into_iter().collect());
        Ok(())
    }
}
