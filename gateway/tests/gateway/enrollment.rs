//! The ways in for a key that is not known.

use serde_json::json;
use wasmbed_api::{DevicePhase, DeviceSpec, Emulation, Time};
use wasmbed_gateway::Limits;
use wasmbed_protocol::message::{Enrollment, EnrollmentState, GatewayMessage, Hello, Pairing};
use wasmbed_protocol::pairing::{Code, Proof};

use crate::device::{Device, hello, key};
use crate::fleet::{Fleet, times};

fn public(number: u8) -> wasmbed_api::PublicKey {
    wasmbed_api::PublicKey::from_bytes(key(number).public().0)
}

fn pairing(code: &Code, until: Option<&str>) -> DeviceSpec {
    let until = until.map(|until| Time(until.parse().unwrap()));
    let public_key = wasmbed_api::PublicKey::from_bytes(code.key().public().0);
    DeviceSpec { pairing: Some(wasmbed_api::Pairing { public_key, until }), ..DeviceSpec::default() }
}

async fn enrollment(device: &mut Device) -> Enrollment {
    match device.receive().await {
        Some(GatewayMessage::Enrollment(enrollment)) => enrollment,
        other => panic!("no Enrollment but {other:?}"),
    }
}

/// Connects with a key and proves a code for `sensor-1`.
async fn pair(fleet: &Fleet, number: u8, code: &Code) -> (Device, Enrollment) {
    let (mut device, _) = Device::connect(&fleet.address, &key(number)).await;
    let proof = Proof::new(code, &device.exporter(), "sensor-1", &key(number).public());
    device.send(Hello { pairing: Some(Pairing { device: "sensor-1".into(), proof }), ..hello() }).await;
    let enrollment = enrollment(&mut device).await;
    (device, enrollment)
}

#[tokio::test]
async fn an_unknown_key_is_listed_and_comes_alive_in_the_same_session_when_it_is_declared() {
    let fleet = Fleet::start().await;
    let mut device = Device::hello(&fleet.address, &key(1), hello()).await;
    let told = enrollment(&mut device).await;
    assert_eq!(told.state, EnrollmentState::Pending);
    assert!(told.reason.contains("wasmbed enroll"));
    let status = fleet.wait_gateway(|status| !status.pending.is_empty()).await;
    let pending = &status.pending[0];
    assert_eq!((pending.public_key, pending.source.as_str()), (public(1), "127.0.0.1"));
    assert_eq!(pending.board.as_deref(), Some("Host"));

    fleet.declare_key("sensor-1", 1).await;
    assert_eq!(device.welcome().await.name, "sensor-1");
    fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    fleet.wait_gateway(|status| status.pending.is_empty() && status.connected_devices == Some(1)).await;
}

#[tokio::test]
async fn connections_of_unknown_keys_are_bounded_by_source_and_take_no_place_from_known_ones() {
    let limits = Limits { strangers_per_source: 1, ..Limits::default() };
    let fleet = Fleet::with(times("10m", "5m"), limits).await;
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-2", DevicePhase::Enrolled).await;
    let mut stranger = Device::hello(&fleet.address, &key(1), hello()).await;
    assert_eq!(enrollment(&mut stranger).await.state, EnrollmentState::Pending);
    let (mut another, _) = Device::connect(&fleet.address, &key(3)).await;
    assert_eq!(another.closed().await, []);
    let (_known, _) = Device::join(&fleet.address, &key(2)).await;

    fleet.declare_key("sensor-1", 1).await;
    stranger.welcome().await;
    let mut next = Device::hello(&fleet.address, &key(3), hello()).await;
    assert_eq!(enrollment(&mut next).await.state, EnrollmentState::Pending, "the place was given back");
}

#[tokio::test]
async fn an_emulated_device_is_known_by_the_key_its_emulator_wrote_while_emulation_is_declared() {
    let fleet = Fleet::start().await;
    fleet.declare("sensor-1", DeviceSpec { emulation: Some(Emulation::default()), ..DeviceSpec::default() }).await;
    fleet.wait_phase("sensor-1", DevicePhase::Pending).await;
    fleet.patch_device_status("sensor-1", json!({ "publicKey": public(1) })).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    let status = fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    assert_eq!(status.public_key, Some(public(1)), "what the emulator wrote is not ours to take away");
    fleet.declare("sensor-1", DeviceSpec::default()).await;
    device.closed().await;
    let mut device = Device::hello(&fleet.address, &key(1), hello()).await;
    assert_eq!(enrollment(&mut device).await.state, EnrollmentState::Pending);
}

#[tokio::test]
async fn the_right_one_time_code_is_recorded_with_its_proof_and_the_key_works_once_it_is_committed() {
    let fleet = Fleet::start().await;
    let code = Code::new([9; 16]);
    fleet.declare("sensor-1", pairing(&code, Some("2100-01-01T00:00:00Z"))).await;
    fleet.wait_phase("sensor-1", DevicePhase::Pending).await;
    let (mut device, told) = pair(&fleet, 1, &code).await;
    assert_eq!(told.state, EnrollmentState::Pending, "{}", told.reason);
    assert_eq!(device.exporter_from_key_log(), Some(device.exporter()), "both ways to the exporter agree");
    fleet.wait_phase("sensor-1", DevicePhase::Enrolling).await;

    let status = fleet.wait_gateway(|status| !status.pending.is_empty()).await;
    let pending = status.pending.into_iter().next().unwrap();
    assert_eq!(pending.paired_with.unwrap().to_string(), "sensor-1");
    let proof = Proof(pending.proof.unwrap().0.try_into().unwrap());
    let exporter = pending.exporter.unwrap().0.try_into().unwrap();
    assert!(proof.verify(&code.key().public(), &exporter, "sensor-1", &key(1).public()));

    fleet.declare("sensor-1", DeviceSpec { public_key: Some(public(1)), ..pairing(&code, None) }).await;
    assert_eq!(device.welcome().await.name, "sensor-1");

    let (mut thief, told) = pair(&fleet, 2, &code).await;
    assert_eq!(told.state, EnrollmentState::Refused);
    assert!(told.reason.contains("has been used"), "{}", told.reason);
    thief.closed().await;
}

#[tokio::test]
async fn wrong_late_and_guessed_codes_are_refused() {
    let fleet = Fleet::start().await;
    let code = Code::new([9; 16]);
    fleet.declare("sensor-1", pairing(&code, Some("2020-01-01T00:00:00Z"))).await;
    fleet.wait_phase("sensor-1", DevicePhase::Pending).await;
    let (mut device, told) = pair(&fleet, 1, &code).await;
    assert_eq!(told.state, EnrollmentState::Refused);
    assert!(told.reason.contains("expired"), "{}", told.reason);
    device.closed().await;
    let mut reasons = Vec::new();
    for guess in 0..8 {
        reasons.push(pair(&fleet, 1, &Code::new([100 + guess; 16])).await.1.reason);
    }
    assert!(reasons[0].contains("not the one-time code"), "{}", reasons[0]);
    assert!(reasons[7].contains("too many attempts"), "{}", reasons[7]);
    assert!(fleet.wait_gateway(|status| status.phase.is_some()).await.pending.is_empty());
}

#[tokio::test]
async fn a_proof_made_for_another_session_is_worth_nothing() {
    let fleet = Fleet::start().await;
    let code = Code::new([9; 16]);
    fleet.declare("sensor-1", pairing(&code, None)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Pending).await;
    let (first, _) = Device::connect(&fleet.address, &key(1)).await;
    let proof = Proof::new(&code, &first.exporter(), "sensor-1", &key(1).public());
    let replayed = Hello { pairing: Some(Pairing { device: "sensor-1".into(), proof }), ..hello() };
    let mut second = Device::hello(&fleet.address, &key(1), replayed).await;
    assert_eq!(enrollment(&mut second).await.state, EnrollmentState::Refused);
}

#[tokio::test]
async fn unknown_keys_from_one_source_are_kept_up_to_a_quota() {
    let fleet = Fleet::with(Default::default(), Limits { pending_per_source: 2, ..Limits::default() }).await;
    let mut waiting = Vec::new();
    for number in 1..=2 {
        let mut device = Device::hello(&fleet.address, &key(number), hello()).await;
        assert_eq!(enrollment(&mut device).await.state, EnrollmentState::Pending);
        waiting.push(device);
    }
    let mut third = Device::hello(&fleet.address, &key(3), hello()).await;
    let told = enrollment(&mut third).await;
    assert_eq!(told.state, EnrollmentState::Refused);
    assert!(told.retry_ms > 0);
    third.closed().await;
    fleet.declare_key("sensor-3", 3).await;
    fleet.wait_phase("sensor-3", DevicePhase::Enrolled).await;
    Device::join(&fleet.address, &key(3)).await;
}

#[tokio::test]
async fn who_is_not_approved_in_time_is_sent_away_and_stays_listed() {
    let fleet = Fleet::with(times("10m", "200ms"), Limits::default()).await;
    let mut device = Device::hello(&fleet.address, &key(1), hello()).await;
    let said = device.closed().await;
    assert!(matches!(said.last(), Some(GatewayMessage::Enrollment(e)) if e.state == EnrollmentState::Refused));
    fleet.wait_gateway(|status| status.pending.len() == 1).await;
}

#[tokio::test]
async fn a_restarted_gateway_still_lists_who_knocked_and_knows_which_codes_were_used() {
    let mut fleet = Fleet::start().await;
    let code = Code::new([9; 16]);
    fleet.declare("sensor-1", pairing(&code, None)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Pending).await;
    let (device, told) = pair(&fleet, 1, &code).await;
    assert_eq!(told.state, EnrollmentState::Pending);
    fleet.wait_gateway(|status| !status.pending.is_empty()).await;
    fleet.stop_gateway().await;
    drop(device);
    fleet.start_gateway().await;
    let status = fleet.wait_gateway(|status| status.pending.len() == 1).await;
    assert!(status.pending[0].paired_with.is_some());
    let (_thief, told) = pair(&fleet, 2, &code).await;
    assert!(told.reason.contains("has been used"), "{}", told.reason);
    let (_device, told) = pair(&fleet, 1, &code).await;
    assert_eq!(told.state, EnrollmentState::Pending, "its owner may come again");
}
