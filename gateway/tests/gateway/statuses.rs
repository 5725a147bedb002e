//! Statuses are views: what is deleted comes back, what is somebody else's stays.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use wasmbed_api::labels::GATEWAY;
use wasmbed_api::{DevicePhase, GatewayPhase};
use wasmbed_protocol::ReleaseDigest;
use wasmbed_protocol::message::{GatewayMessage, Heartbeat, Phase, Report};

use crate::device::{Device, key};
use crate::fleet::Fleet;

fn report(phase: Phase) -> Report {
    Report {
        application: "hello".into(),
        release: ReleaseDigest([2; 32]),
        phase,
        restarts: 0,
        error: (phase == Phase::Failed).then(|| "trap: unreachable".into()),
        fallback: None,
        throttled: None,
    }
}

#[tokio::test]
async fn a_status_deleted_by_hand_comes_back() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    fleet.patch_device_status("sensor-1", json!(null)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;

    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    device.send(report(Phase::Running)).await;
    let before = fleet.wait_device("sensor-1", |status| status.applications.len() == 1).await;
    fleet.patch_device_status("sensor-1", json!({ "phase": null, "session": null, "applications": null })).await;
    let after = fleet.wait_device("sensor-1", |status| status.applications.len() == 1 && status.phase.is_some()).await;
    assert_eq!((after.phase, after.session, after.applications), (before.phase, before.session, before.applications));

    let patch = kube::api::Patch::Merge(json!({ "status": { "address": null, "connectedDevices": 77 } }));
    let api = fleet.api::<wasmbed_api::Gateway>();
    api.patch_status(crate::fleet::NAME, &Default::default(), &patch).await.unwrap();
    fleet.wait_gateway(|status| status.address.is_some() && status.connected_devices == Some(1)).await;
}

#[tokio::test]
async fn an_applications_failure_is_in_the_status_with_its_reason() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    device.send(report(Phase::Failed)).await;
    let status = fleet.wait_device("sensor-1", |status| !status.applications.is_empty()).await;
    assert_eq!(status.applications[0].phase.as_str(), "Failed");
    assert_eq!(status.applications[0].error.as_deref(), Some("trap: unreachable"));
    device.send(report(Phase::Erased)).await;
    fleet.wait_device("sensor-1", |status| status.applications.is_empty()).await;
}

#[tokio::test]
async fn heartbeats_touch_no_database() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    fleet.wait_gateway(|status| status.connected_devices == Some(1)).await;
    let version = async || fleet.api::<wasmbed_api::Device>().get("sensor-1").await.unwrap().metadata.resource_version;
    let before = version().await;
    for uptime_ms in 0..50 {
        device.send(Heartbeat { uptime_ms, memory_free: 6, applications: vec![] }).await;
        assert!(matches!(device.receive().await, Some(GatewayMessage::HeartbeatAck(_))));
    }
    // A change that must be written comes after whatever the heartbeats would have caused.
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-2", DevicePhase::Enrolled).await;
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn a_gateway_without_a_credential_says_what_is_missing() {
    let fleet = Fleet::start().await;
    let name = format!("gateway-{}", crate::fleet::NAME);
    let api = fleet.api::<k8s_openapi::api::core::v1::Secret>();
    api.delete(&name, &Default::default()).await.unwrap();
    let status = fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Failed)).await;
    let ready = wasmbed_api::condition(&status.conditions, "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NoIdentity"));
    assert!(ready.message.contains("wasmbed keys"), "{}", ready.message);
    assert!(crate::device::Connector::new(&key(1)).connect(&fleet.address).await.is_err());
}

#[tokio::test]
async fn a_newer_session_at_another_replica_wins_and_its_status_is_left_alone() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    fleet.patch_device_status("sensor-1", json!({ "session": { "replica": "elsewhere", "counter": 9 } })).await;
    device.closed().await;
    // A change that must be written comes after whatever the end of the session would have caused.
    fleet.wait_gateway(|status| status.connected_devices == Some(0)).await;
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-2", DevicePhase::Enrolled).await;
    let status = fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    assert_eq!(status.session.unwrap().counter, 9);

    let (_device, _) = Device::join(&fleet.address, &key(1)).await;
    let ours =
        |status: &wasmbed_api::DeviceStatus| status.session.as_ref().is_some_and(|session| session.counter == 10);
    assert_eq!(fleet.wait_device("sensor-1", ours).await.session.unwrap().replica, crate::fleet::NAME);
}

#[tokio::test]
async fn a_device_that_goes_to_another_gateway_does_not_stay_connected() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    let status = fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    let label = Patch::Merge(json!({ "metadata": { "labels": { GATEWAY: "gateway-2" } } }));
    fleet.api::<wasmbed_api::Device>().patch("sensor-1", &PatchParams::default(), &label).await.unwrap();
    device.closed().await;
    let left = fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
    assert_eq!(left.session, status.session, "the other gateway counts on");
}

#[tokio::test]
async fn a_gateway_whose_port_is_taken_says_so_until_it_is_free() {
    let mut fleet = Fleet::start().await;
    fleet.stop_gateway().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let refused = wasmbed_gateway::run(fleet.options(port), std::future::pending()).await.unwrap_err();
    assert!(matches!(refused, wasmbed_gateway::Error::Listen { .. }), "{refused}");
    let status = fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Failed)).await;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "CannotListen"));
    assert!(ready.message.contains(&port.to_string()), "{}", ready.message);

    // Tried again and again, it writes that once.
    let version = fleet.api::<wasmbed_api::Gateway>().get(crate::fleet::NAME).await.unwrap().metadata.resource_version;
    wasmbed_gateway::run(fleet.options(port), std::future::pending()).await.unwrap_err();
    let again = fleet.api::<wasmbed_api::Gateway>().get(crate::fleet::NAME).await.unwrap().metadata.resource_version;
    assert_eq!(again, version);

    drop(taken);
    fleet.start_gateway().await;
    let serves = |status: &wasmbed_api::GatewayStatus| {
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        status.phase == Some(GatewayPhase::Running) && ready.is_some_and(|ready| ready.reason == "Serving")
    };
    fleet.wait_gateway(serves).await;
}
