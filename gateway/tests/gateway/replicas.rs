//! Several processes that serve one Gateway.

use std::net::{SocketAddr, TcpListener};

use k8s_openapi::api::coordination::v1::Lease;
use wasmbed_api::labels::gateway_lease;
use wasmbed_api::{DevicePhase, GatewayPhase, GatewayStatus};

use crate::device::{Device, key};
use crate::fleet::{Fleet, NAME};

/// Addresses that were free a moment ago.
fn free() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn counts(status: &GatewayStatus) -> Vec<(&str, u32)> {
    status.replicas.iter().map(|replica| (replica.name.as_str(), replica.connected_devices)).collect()
}

async fn enroll(fleet: &Fleet, names: &[&str]) {
    for (number, name) in (1..).zip(names) {
        fleet.declare_key(name, number).await;
        fleet.wait_phase(name, DevicePhase::Enrolled).await;
    }
}

#[tokio::test]
async fn replicas_tell_of_themselves_and_the_gateway_of_all() {
    let mut fleet = Fleet::start().await;
    fleet.stop_gateway().await;
    let [at_a, at_b] = free();
    let (a, b) = (fleet.start_replica("a", at_a), fleet.start_replica("b", at_b));
    fleet.wait_gateway(|status| counts(status) == [("a", 0), ("b", 0)]).await;
    let lease = fleet.api::<Lease>().get(&gateway_lease(NAME, "b")).await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some("b"));

    enroll(&fleet, &["one", "two", "three"]).await;
    let (_one, _) = Device::join(&a.address, &key(1)).await;
    let (two, _) = Device::join(&b.address, &key(2)).await;
    let (_three, _) = Device::join(&b.address, &key(3)).await;
    let status = fleet.wait_gateway(|status| status.connected_devices == Some(3)).await;
    assert_eq!((counts(&status), status.phase), (vec![("a", 1), ("b", 2)], Some(GatewayPhase::Running)));
    assert_eq!(status.address.unwrap().to_string(), "gateway-1.example.org:7443");
    let two_at_b = fleet.wait_phase("two", DevicePhase::Connected).await;
    assert_eq!(two_at_b.session.unwrap().replica, "b");

    // A device that moves takes nothing of its old session with it.
    let (_two, _) = Device::join(&a.address, &key(2)).await;
    let moved = fleet.wait_device("two", |status| status.session.as_ref().is_some_and(|s| s.replica == "a")).await;
    assert_eq!((moved.phase, moved.session.unwrap().counter), (Some(DevicePhase::Connected), 2));
    drop(two);
    fleet.wait_gateway(|status| counts(status) == [("a", 2), ("b", 1)] && status.connected_devices == Some(3)).await;
    assert_eq!(fleet.wait_phase("two", DevicePhase::Connected).await.session.unwrap().replica, "a");

    // One that ends in order leaves the other to serve.
    b.stop().await;
    let status = fleet.wait_gateway(|status| counts(status) == [("a", 2)] && status.connected_devices == Some(2)).await;
    assert_eq!(status.phase, Some(GatewayPhase::Running));
    fleet.wait_phase("three", DevicePhase::Disconnected).await;
    assert!(fleet.api::<Lease>().get_opt(&gateway_lease(NAME, "b")).await.unwrap().is_none());

    // The last one says that nobody is left.
    a.stop().await;
    let status = fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Pending)).await;
    assert_eq!((counts(&status), status.connected_devices), (vec![], Some(0)));
    let ready = wasmbed_api::condition(&status.conditions, "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NotServed"));
}

#[tokio::test]
async fn a_device_whose_replica_died_is_taken_up_by_another_though_the_dead_one_said_nothing() {
    let mut fleet = Fleet::start().await;
    fleet.stop_gateway().await;
    let [at_a, at_b] = free();
    let (a, b) = (fleet.start_replica("a", at_a), fleet.start_replica("b", at_b));
    fleet.wait_gateway(|status| counts(status) == [("a", 0), ("b", 0)]).await;
    enroll(&fleet, &["one"]).await;
    let (mut one, _) = Device::join(&b.address, &key(1)).await;
    let before = fleet.wait_phase("one", DevicePhase::Connected).await.session.unwrap();
    assert_eq!((before.replica.as_str(), before.counter), ("b", 1));

    b.kill().await;
    one.closed().await;
    let (_one, _) = Device::join(&a.address, &key(1)).await;
    let after = fleet.wait_device("one", |status| status.session.as_ref().is_some_and(|s| s.replica == "a")).await;
    assert_eq!((after.phase, after.session.unwrap().counter), (Some(DevicePhase::Connected), 2));
    // What the dead one said of itself is for a reconciler to take down, once its Lease lapsed.
    assert!(fleet.api::<Lease>().get_opt(&gateway_lease(NAME, "b")).await.unwrap().is_some());
    a.stop().await;
}
