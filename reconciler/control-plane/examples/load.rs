//! How fast and how small: `cargo run --release -p wasmbed-control-plane --example load -- [OBJECTS]`.
//!
//! Prints what it measures with 100,000 (or OBJECTS) ConfigMaps of about a kilobyte, in this process, without TLS.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use wasmbed_control_plane::{ControlPlane, Options};

const IN_FLIGHT: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let objects: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let control_plane = ControlPlane::open(Options::new(folder.path(), Vec::new())).await?;
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client("default"), "default");

    let before = resident();
    let start = Instant::now();
    apply_all(&maps, objects, "first").await?;
    let rate = objects as f64 / start.elapsed().as_secs_f64();
    println!("apply_per_s (new, {IN_FLIGHT} in flight): {rate:.0}");
    println!("bytes_per_object: {}", (resident() - before) / objects);

    let changed = objects.min(20_000);
    let start = Instant::now();
    apply_all(&maps, changed, "second").await?;
    println!("apply_per_s (changed): {:.0}", changed as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    apply_all(&maps, changed, "second").await?;
    println!("apply_per_s (unchanged): {:.0}", changed as f64 / start.elapsed().as_secs_f64());

    let start = Instant::now();
    let page = maps.list(&ListParams::default().limit(10_000)).await?;
    println!("list_10k_ms: {} ({} objects)", start.elapsed().as_millis(), page.items.len());

    watch(&maps).await?;
    drop(maps);
    control_plane.close().await;
    let start = Instant::now();
    let control_plane = ControlPlane::open(Options::new(folder.path(), Vec::new())).await?;
    println!("open_ms: {}", start.elapsed().as_millis());
    control_plane.close().await;
    Ok(())
}

async fn apply_all(maps: &Api<ConfigMap>, objects: usize, value: &str) -> Result<(), kube::Error> {
    let params = PatchParams::apply("load");
    let filling = "x".repeat(400);
    futures::stream::iter(0..objects)
        .map(|index| {
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"labels": {"part": format!("p{}", index % 10)}},
                "data": {"value": value, "index": index.to_string(), "filling": filling}});
            let (maps, params) = (maps.clone(), params.clone());
            async move { maps.patch(&format!("map-{index:06}"), &params, &Patch::Apply(config)).await }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// How long after a write was begun its event is seen, at 1,000 writes a second.
async fn watch(maps: &Api<ConfigMap>) -> Result<(), Box<dyn std::error::Error>> {
    let version = maps.list(&ListParams::default().limit(1)).await?;
    let version = version.metadata.resource_version.unwrap_or_default();
    let mut events = Box::pin(maps.watch(&WatchParams::default(), &version).await?);
    let epoch = Instant::now();
    let writes = 3000;
    let writer = maps.clone();
    let writing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        for index in 0..writes {
            tick.tick().await;
            let maps = writer.clone();
            tokio::spawn(async move {
                let patch = json!({"data": {"sent": epoch.elapsed().as_micros().to_string()}});
                let name = format!("map-{:06}", index % 1000);
                maps.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await
            });
        }
    });
    let mut delays = Vec::with_capacity(writes);
    while delays.len() < writes {
        let Some(event) = events.try_next().await? else {
            break;
        };
        if let kube::core::WatchEvent::Modified(map) = event {
            let name = map.name_any();
            let sent: u128 = map
                .data
                .and_then(|data| data.get("sent")?.parse().ok())
                .ok_or(format!("{name} says not when it was sent"))?;
            delays.push(epoch.elapsed().as_micros() - sent);
        }
    }
    writing.await?;
    delays.sort_unstable();
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    println!("watch_p50_ms: {:.2}, watch_p99_ms: {:.2}", at(0.5), at(0.99));
    Ok(())
}

/// The resident size of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1024
}
