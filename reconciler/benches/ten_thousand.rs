//! What a revision costs where 10,000 things are declared: from the moment the branch moves to the moment the Fleet says that the
//! new revision is applied, with a real repository, the running reconciler and the embedded API. One JSON line a figure.
//!
//! ```sh
//! cargo bench -p wasmbed-reconciler --bench ten_thousand
//! ```
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

mod fleet;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use fleet::{FOLDERS, applied, declare};
use serde_json::json;
use support::declare::device;
use support::git::git;
use support::world::World;

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
    applied(world.client.clone(), &head).await;
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

/// Commits, and measures from the moment the branch moves: what `git push` itself does is not the reconciler's.
async fn follow(world: &World) -> Duration {
    let head = world.repository.commit("round");
    world.repository.git(&["push", "--quiet", "--force", "origin", "HEAD:next"]);
    // What the last round left to do is done before the next one begins.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let seen = tokio::spawn({
        let client = world.client.clone();
        let head = head.clone();
        async move { applied(client, &head).await }
    });
    let began = Instant::now();
    git(&world.repository.bare(), &["update-ref", "refs/heads/main", &head]);
    let at = seen.await.expect("seen");
    at - began
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn print(name: &str, value: Duration, goal: Option<u64>, how: &str) {
    let value = (value.as_secs_f64() * 10_000.0).round() / 10.0;
    println!("{}", json!({ "name": name, "value": value, "unit": "ms", "goal": goal, "how": how }));
}
