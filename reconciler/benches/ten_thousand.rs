//! What a revision costs where 10,000 things are declared: from the moment the branch moves to the moment the Fleet says that the
//! new revision is applied, with a real repository, the running reconciler and the embedded API. One JSON line a figure.
//!
//! ```sh
//! cargo bench -p wasmbed-reconciler --bench ten_thousand
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::watcher::{self, watcher};
use serde_json::json;
use support::declare::{application, device, gateway};
use support::git::git;
use support::world::{FLEET, World};
use wasmbed_api::Fleet;

const FOLDERS: usize = 100;
const FILES: usize = 100;
const ROUNDS: usize = 11;

#[tokio::main]
async fn main() {
    // `cargo test` runs benches too, to see that they start.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let folders = if is_bench { FOLDERS } else { 2 };
    let world = World::new().await;
    let files = declare(&world, folders);
    let head = world.repository.push("ten thousand devices");
    let running = world.run();
    let began = Instant::now();
    applied(&world, &head).await;
    print("reconcile_first_10k_ms", began.elapsed(), None, "the first revision: every one of them is read and created");
    let mut unchanged = Vec::new();
    let mut one = Vec::new();
    for round in 0..ROUNDS {
        world.repository.write("README.md", &format!("round {round}\n"));
        unchanged.push(follow(&world).await);
        let other = device("d-0-0").replace("kitchen", &format!("room-{round}"));
        world.repository.write("fleet/devices/0/0.yaml", &other);
        one.push(follow(&world).await);
    }
    let how =
        format!("median of {ROUNDS}, {files} files: branch moved -> Fleet.status.appliedRevision seen by a watch");
    print("reconcile_unchanged_10k_ms", median(unchanged), Some(50), &how);
    print("reconcile_one_of_10k_ms", median(one), Some(100), &how);
    running.stop().await;
}

/// One gateway, one application for all, and the devices, a file each.
fn declare(world: &World, folders: usize) -> usize {
    world.repository.write("fleet/devices.yaml", "").write("fleet/gateway.yaml", &gateway("gateway-1"));
    let everywhere = application("hello", &[], 1).replace("targetDevices: []", "targetSelector: {}");
    world.repository.write("fleet/hello.yaml", &everywhere);
    for folder in 0..folders {
        for file in 0..FILES {
            let path = format!("fleet/devices/{folder}/{file}.yaml");
            world.repository.write(&path, &device(&format!("d-{folder}-{file}")));
        }
    }
    folders * FILES + 2
}

/// Commits, and measures from the moment the branch moves: what `git push` itself does is not the reconciler's.
async fn follow(world: &World) -> Duration {
    let head = world.repository.commit("round");
    world.repository.git(&["push", "--quiet", "--force", "origin", "HEAD:next"]);
    // What the last round left to do is done before the next one begins.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let seen = tokio::spawn({
        let client = world.client.clone();
        let head = head.clone();
        async move { wait(client, &head).await }
    });
    let began = Instant::now();
    git(&world.repository.bare(), &["update-ref", "refs/heads/main", &head]);
    let at = seen.await.expect("seen");
    at - began
}

async fn applied(world: &World, head: &str) {
    wait(world.client.clone(), head).await;
}

/// When the Fleet said that `head` is applied.
async fn wait(client: kube::Client, head: &str) -> Instant {
    let fleets = kube::Api::<Fleet>::namespaced(client, FLEET);
    let mut events = watcher(fleets, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(fleet) | watcher::Event::InitApply(fleet)) = event else { continue };
        if fleet.status.is_some_and(|status| status.applied_revision.as_deref() == Some(head)) {
            return Instant::now();
        }
    }
    panic!("the watch ended")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn print(name: &str, value: Duration, goal: Option<u64>, how: &str) {
    let value = (value.as_secs_f64() * 10_000.0).round() / 10.0;
    println!("{}", json!({ "name": name, "value": value, "unit": "ms", "goal": goal, "how": how }));
}
