//! Server-side applies, many at a time.

use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// How many are under way at once.
pub const IN_FLIGHT: usize = 64;

/// Applies new objects `PREFIX-0`, `PREFIX-1`, ...; gives how many a second.
pub async fn run(maps: &Api<ConfigMap>, prefix: &str, count: usize) -> f64 {
    let params = PatchParams::apply("bench");
    let filling = "x".repeat(400);
    let start = Instant::now();
    futures::stream::iter(0..count)
        .map(|index| {
            let name = format!("{prefix}-{index}");
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"part": format!("p{}", index % 10)}},
                "data": {"value": "first", "index": index.to_string(), "filling": filling}});
            let (maps, params) = (maps.clone(), params.clone());
            async move { maps.patch(&name, &params, &Patch::Apply(config)).await }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await
        .unwrap();
    count as f64 / start.elapsed().as_secs_f64()
}
