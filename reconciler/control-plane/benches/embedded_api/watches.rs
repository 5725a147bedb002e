//! How long after a write was begun its event is seen.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, WatchParams};
use kube::core::WatchEvent;
use serde_json::json;

/// In milliseconds.
pub struct Delays {
    /// Half of them are no longer.
    pub half: f64,
    /// 99 of 100 are no longer.
    pub most: f64,
}

/// Changes the objects `map-0`... a thousand times a second and watches them.
pub async fn delays(maps: &Api<ConfigMap>, writes: usize) -> Delays {
    let list = maps.list(&ListParams::default().limit(1)).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let mut events = Box::pin(maps.watch(&WatchParams::default(), &version).await.unwrap());
    let epoch = Instant::now();
    let writer = maps.clone();
    let writing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        for index in 0..writes {
            tick.tick().await;
            let maps = writer.clone();
            tokio::spawn(async move {
                let patch = json!({"data": {"sent": epoch.elapsed().as_micros().to_string()}});
                let name = format!("map-{}", index % writes.min(1000));
                maps.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            });
        }
    });
    let mut delays = Vec::with_capacity(writes);
    while delays.len() < writes {
        let Some(WatchEvent::Modified(map)) = events.try_next().await.unwrap() else { panic!("no change is seen") };
        let sent: u128 = map.data.unwrap()["sent"].parse().unwrap();
        delays.push(epoch.elapsed().as_micros() - sent);
    }
    writing.await.unwrap();
    delays.sort_unstable();
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    Delays { half: at(0.5), most: at(0.99) }
}
