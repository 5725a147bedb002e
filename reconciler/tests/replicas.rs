//! Gateways' replicas that end without a word.

mod support;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use support::PATIENCE;
use support::world::World;
use wasmbed_api::labels::{GATEWAY, gateway_lease};
use wasmbed_api::{Device, DevicePhase, Gateway, GatewayPhase};
use wasmbed_reconciler::Options;

async fn lease(world: &World, replica: &str) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": gateway_lease("gateway-1", replica), "labels": { GATEWAY: "gateway-1" } },
        "spec": {
            "holderIdentity": replica, "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z",
        },
    });
    let params = PatchParams::apply("wasmbed-gateway");
    let name = gateway_lease("gateway-1", replica);
    world.api::<Lease>().patch(&name, &params, &Patch::Apply(lease)).await.expect("a Lease");
}

async fn session(world: &World, device: &str, replica: &str) {
    let status = json!({ "phase": "Connected", "session": { "replica": replica, "counter": 3 } });
    say(world, "v0", "Device", device, "wasmbed-gateway", status).await;
}

async fn say(world: &World, version: &str, kind: &str, name: &str, manager: &str, status: Value) {
    let group = if kind == "Gateway" { "wasmbed.io" } else { "wasmbed.github.io" };
    let patch = Patch::Apply(json!({
        "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": { "name": name }, "status": status,
    }));
    let params = PatchParams::apply(manager).force();
    let written = match kind {
        "Gateway" => world.api::<Gateway>().patch_status(name, &params, &patch).await.map(drop),
        _ => world.api::<Device>().patch_status(name, &params, &patch).await.map(drop),
    };
    written.expect("a status");
}

fn phase(device: Option<&Device>) -> Option<DevicePhase> {
    device?.status.as_ref()?.phase
}

#[tokio::test]
async fn devices_of_a_replica_whose_lease_lapsed_cannot_be_reached_and_a_gateway_without_any_is_not_served() {
    let world = World::new().await;
    world.reconcile().await;
    lease(&world, "dead").await;
    session(&world, "d1", "dead").await;
    session(&world, "d2", "elsewhere").await;
    for (replica, devices) in [("dead", 1), ("elsewhere", 1)] {
        let own = json!({ "replicas": [{ "name": replica, "connectedDevices": devices }] });
        say(&world, "v1", "Gateway", "gateway-1", &format!("wasmbed-gateway/{replica}"), own).await;
    }

    let running = world.run_with(Options { gateway_leases: true, ..world.options() });
    let gone = await_condition(world.api::<Device>(), "d1", |device: Option<&Device>| {
        phase(device) == Some(DevicePhase::Unreachable)
    });
    tokio::time::timeout(PATIENCE, gone).await.expect("it is said in time").expect("the API answers");
    let served = |gateway: Option<&Gateway>| {
        let status = gateway.and_then(|gateway| gateway.status.clone()).unwrap_or_default();
        status.replicas.iter().map(|replica| replica.name.clone()).collect::<Vec<_>>() == ["elsewhere"]
    };
    let forgotten = await_condition(world.api::<Gateway>(), "gateway-1", served);
    tokio::time::timeout(PATIENCE, forgotten).await.expect("it is said in time").expect("the API answers");
    let unserved = await_condition(world.api::<Gateway>(), "gateway-1", |gateway: Option<&Gateway>| {
        gateway.and_then(|gateway| gateway.status.as_ref()?.phase) == Some(GatewayPhase::Pending)
    });
    let gateway = tokio::time::timeout(PATIENCE, unserved).await.expect("it is said in time");
    let status = gateway.expect("the API answers").expect("it is there").status.expect("it has one");
    let ready = wasmbed_api::condition(&status.conditions, "Ready").expect("it is said");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NotServed"));
    assert!(ready.message.contains("--name gateway-1"), "{}", ready.message);
    running.stop().await;

    let other = world.api::<Device>().get("d2").await.expect("it is there");
    assert_eq!(phase(Some(&other)), Some(DevicePhase::Connected), "another replica has it in session");
    let session = world.api::<Device>().get("d1").await.expect("it is there").status.expect("it has one").session;
    assert_eq!(session.map(|session| session.counter), Some(3), "the next session counts on");
    let lease = world.api::<Lease>().get_opt(&gateway_lease("gateway-1", "dead")).await.expect("the API answers");
    assert!(lease.is_none(), "it is taken down once");
}
