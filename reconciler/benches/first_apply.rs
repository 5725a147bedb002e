//! The reconciler's first apply of 10,000 declarations at a real kube-apiserver with etcd, beside the bare calls: as many server-side
//! applies of the same objects by a client that does nothing else, as many at a time, at the same servers, before and after.
//! One JSON line a figure; what cannot be measured is said on standard error.
//!
//! ```sh
//! cargo bench -p wasmbed-reconciler --bench first_apply
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

mod fleet;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fleet::{FOLDERS, applied, declare, devices};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request};
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::{Api, Client};
use serde_json::{Value, json};
use support::declare::device;
use support::world::{FLEET, World};
use tower::util::MapRequestLayer;
use wasmbed_api::Device;
use wasmbed_control_plane_testing::{Kubernetes, Options, StartError};

/// As many as the reconciler has under way at once.
const IN_FLIGHT: usize = 16;

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, to see that they start.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let folders = if is_bench { FOLDERS } else { 1 };
    if let Err(why) = measure(folders).await {
        eprintln!("LEFT OUT: first_apply_10k_over_bound: {why}");
    }
}

async fn measure(folders: usize) -> Result<(), StartError> {
    let options = Options { crds: wasmbed_api::crds(), durable: true, ..Options::default() };
    let kubernetes = Kubernetes::start(options).await?;
    for namespace in ["warm", "before", "after", FLEET] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(kubernetes.client("default").await);
        namespaces.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }
    let client = kubernetes.client("default").await;
    // The first calls warm the servers up, and do not count.
    bare(&client, "warm", folders.div_ceil(10)).await;
    let before = bare(&client, "before", folders).await;

    let requests = Arc::new(Requests::default());
    let world = World::elsewhere(counted(&kubernetes, &requests).await).await;
    let declared = declare(&world, folders);
    let head = world.repository.push("ten thousand devices");
    requests.begin();
    let began = Instant::now();
    let running = world.run();
    let first = applied(client.clone(), &head).await - began;
    let counted = requests.to_string();
    let first_applied: Api<Device> = Api::namespaced(client.clone(), FLEET);
    assert_is_the_same(&first_applied.get("d-0-0").await.unwrap());
    running.stop().await;

    let after = bare(&client, "after", folders).await;
    let seconds = |time: Duration| time.as_secs_f64();
    let bound = f64::midpoint(seconds(before), seconds(after));
    let ratio = (seconds(first) / bound * 100.0).round() / 100.0;
    let how = format!(
        "{declared} declarations, kube-apiserver and an etcd with fsync: the reconciler started -> Fleet.status.appliedRevision seen, \
         {:.1} s, over server-side applies of the same devices by a bare client, {IN_FLIGHT} in flight, {:.1} s before and {:.1} s after; \
         the reconciler's requests: {counted}",
        seconds(first),
        seconds(before),
        seconds(after)
    );
    let figure =
        json!({"name": "first_apply_10k_over_bound", "value": ratio, "unit": "times", "goal": 1.3, "how": how});
    println!("{figure}");
    Ok(())
}

/// What the reconciler applies of a declared device.
fn manifest(name: &str, namespace: &str) -> Value {
    let mut manifest: Value = serde_yaml::from_str(&device(name)).unwrap();
    manifest["metadata"]["namespace"] = namespace.into();
    manifest["metadata"]["labels"][wasmbed_api::labels::FLEET] = FLEET.into();
    manifest["metadata"]["labels"][wasmbed_api::labels::GATEWAY] = "gateway-1".into();
    manifest
}

/// That the bare calls send no less.
fn assert_is_the_same(applied: &Device) {
    let applied = serde_json::to_value(applied).unwrap();
    let sent = manifest("d-0-0", FLEET);
    assert_eq!(applied["spec"], sent["spec"]);
    assert_eq!(applied["metadata"]["labels"], sent["metadata"]["labels"]);
}

/// The bare calls.
async fn bare(client: &Client, namespace: &str, folders: usize) -> Duration {
    let api: Api<Device> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams::apply("bench").force();
    let began = Instant::now();
    futures::stream::iter(devices(folders))
        .map(|name| {
            let (api, params) = (api.clone(), params.clone());
            async move { api.patch(&name, &params, &Patch::Apply(manifest(&name, namespace))).await }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
    began.elapsed()
}

/// What a client asked for.
#[derive(Default)]
struct Requests {
    applies: AtomicUsize,
    statuses: AtomicUsize,
    others: AtomicUsize,
}

impl Requests {
    fn begin(&self) {
        [&self.applies, &self.statuses, &self.others].iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    fn count(&self, request: &Request<Body>) {
        let counted = match *request.method() {
            Method::PATCH if request.uri().path().ends_with("/status") => &self.statuses,
            Method::PATCH => &self.applies,
            _ => &self.others,
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Requests {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [applies, statuses, others] =
            [&self.applies, &self.statuses, &self.others].map(|count| count.load(Ordering::Relaxed));
        write!(out, "{applies} applies, {statuses} of statuses, {others} others")
    }
}

/// A client that counts what it is asked for.
async fn counted(kubernetes: &Kubernetes, requests: &Arc<Requests>) -> Client {
    let requests = Arc::clone(requests);
    let layer = MapRequestLayer::new(move |request: Request<Body>| {
        requests.count(&request);
        request
    });
    ClientBuilder::try_from(kubernetes.config(FLEET).await).unwrap().with_layer(&layer).build()
}
