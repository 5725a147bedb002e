//! The real Kubernetes API of this test program: one for all its tests, which ends with it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::OnceCell;
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::contract::Door;
use crate::contract::door::definitions;

static KUBERNETES: OnceCell<Option<Kubernetes>> = OnceCell::const_new();
static NAMESPACES: AtomicUsize = AtomicUsize::new(1);

/// It, serving widgets; started by the first test that asks. `None` if a person chose to leave it out.
pub async fn kubernetes() -> Option<&'static Kubernetes> {
    let start = || Kubernetes::for_test(Options { crds: definitions(), ..Options::default() });
    KUBERNETES.get_or_init(start).await.as_ref()
}

/// A door to a namespace of its own there.
pub async fn door(kubernetes: &Kubernetes) -> Door {
    let namespace = format!("scenario-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
    let mut config = kubernetes.config(&namespace).await;
    // A scenario sees the first answer, and not what comes of asking again.
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    Door::new(client.clone(), "default").post("/api/v1/namespaces", &object).await.ok();
    Door::new(client, &namespace)
}
