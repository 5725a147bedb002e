//! What the embedded API does with 100,000 objects held, and how fast it takes applies beside a real kube-apiserver with etcd on the
//! same disk. One JSON line a figure; what cannot be measured is said on standard error.
//!
//! ```sh
//! cargo bench -p wasmbed-control-plane --bench embedded_api
//! ```
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a measurement that cannot be made ends")]

mod applies;
mod watches;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client};
use serde_json::json;
use wasmbed_control_plane::{ControlPlane, Options};
use wasmbed_control_plane_testing::{Kubernetes, Options as KubernetesOptions, StartError};

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, to see that they start.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let scale = if is_bench { 10_000 } else { 50 };
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path(), Vec::new()).namespace("some").namespace("others").namespace("applied");
    let control_plane = ControlPlane::open(options).await.unwrap();
    let embedded = control_plane.client("applied");
    let maps = |namespace: &str| -> Api<ConfigMap> { Api::namespaced(control_plane.client(namespace), namespace) };

    let before = resident();
    applies::run(&maps("some"), "map", scale).await;
    applies::run(&maps("others"), "map", scale * 9).await;
    let held = scale * 10;
    let bytes = (resident().saturating_sub(before) / held) as f64;
    let how =
        format!("growth of the resident memory over {held} ConfigMaps of 0.5 KB of data, divided by their number");
    print("bytes_per_object", bytes, "bytes", None, &how);

    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(reflect(maps("some"), scale).await.as_secs_f64() * 1000.0);
    }
    let how = format!("median of {ROUNDS}: a reflector of {scale} ConfigMaps of {held} held, started -> ready");
    print("list_10k_ms", median(&mut times), "ms", Some(200.0), &how);

    let delays = watches::delays(&maps("some"), scale.min(3000)).await;
    let how =
        format!("merge patch begun -> event seen, 99th of 100, at 1,000 writes/s; half within {:.2} ms", delays.half);
    print("watch_p99_ms", delays.most, "ms", Some(5.0), &how);

    match beside(folder.path(), &embedded, scale / 2).await {
        Ok(()) => {}
        Err(why) => eprintln!("LEFT OUT: apply_per_s_over_kube_apiserver: {why}"),
    }
    control_plane.close().await;
}

/// Applies here and there, in turns, so that a disk that is busy for a while is busy for both.
async fn beside(disk: &std::path::Path, embedded: &Client, count: usize) -> Result<(), StartError> {
    let options = KubernetesOptions { durable: true, within: Some(disk.to_owned()), ..KubernetesOptions::default() };
    let kubernetes = Kubernetes::start(options).await?;
    let real: Api<ConfigMap> = Api::namespaced(kubernetes.client("default").await, "default");
    let embedded: Api<ConfigMap> = Api::namespaced(embedded.clone(), "applied");
    let (mut here, mut there) = (Vec::new(), Vec::new());
    // The first round warms both up, and does not count.
    for round in 0..=ROUNDS {
        let name = format!("round-{round}");
        here.push(applies::run(&embedded, &name, count).await);
        there.push(applies::run(&real, &name, count).await);
    }
    let (here, there) = (median(&mut here[1..]), median(&mut there[1..]));
    let how = format!(
        "medians of {ROUNDS} rounds of {count} new ConfigMaps, server-side applied, durable, {} in flight: {here:.0}/s in this process, \
         {there:.0}/s by a kube-apiserver and an etcd with fsync on the same disk",
        applies::IN_FLIGHT
    );
    let figure = json!({"name": "apply_per_s_over_kube_apiserver", "value": round(here / there), "unit": "times", "goal": 5.0,
        "more_is_better": true, "how": how});
    println!("{figure}");
    Ok(())
}

async fn reflect(maps: Api<ConfigMap>, count: usize) -> Duration {
    let start = Instant::now();
    let (reader, writer) = reflector::store();
    let stream = reflector(writer, watcher(maps, watcher::Config::default())).default_backoff();
    let running = tokio::spawn(stream.for_each(|_| async {}));
    reader.wait_until_ready().await.unwrap();
    let time = start.elapsed();
    assert_eq!(reader.len(), count);
    running.abort();
    time
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn print(name: &str, value: f64, unit: &str, goal: Option<f64>, how: &str) {
    println!("{}", json!({"name": name, "value": round(value), "unit": unit, "goal": goal, "how": how}));
}

/// The resident size of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
