//! A fleet of 10,000 declarations, and the moment it is applied.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its part")]

use std::time::Instant;

use futures::StreamExt;
use kube::runtime::watcher::{self, watcher};
use wasmbed_api::Fleet;

use super::support::declare::{application, device, gateway};
use super::support::world::{FLEET, World};

/// Folders of declared devices.
pub const FOLDERS: usize = 100;
const FILES: usize = 100;

/// The names of the devices that are declared.
pub fn devices(folders: usize) -> impl Iterator<Item = String> {
    (0..folders).flat_map(|folder| (0..FILES).map(move |file| format!("d-{folder}-{file}")))
}

/// One gateway, one application for all, and the devices, a file each.
pub fn declare(world: &World, folders: usize) -> usize {
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

/// When the Fleet said that `head` is applied.
pub async fn applied(client: kube::Client, head: &str) -> Instant {
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
