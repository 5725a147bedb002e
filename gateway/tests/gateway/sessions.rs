//! Who is let in, who wins, who leaves.

use std::net::SocketAddr;
use std::time::Duration;

use wasmbed_api::{DevicePhase, GatewayPhase, GatewaySpec};
use wasmbed_gateway::Limits;
use wasmbed_protocol::message::{EnrollmentState, GatewayMessage, Heartbeat, Phase, Report};
use wasmbed_protocol::{Credential, KeySet, Nonce, ReleaseDigest};
use wasmbed_streams::live::LiveKind;
use wasmbed_streams::sessions::SessionEvent;

use crate::device::{Device, hello, key};
use crate::fleet::{FLEET, Fleet, NAME, ROOT, TLS, times};
use crate::signer::Signer;

#[tokio::test]
async fn the_gateway_shows_what_root_and_the_gateway_ca_signed_for_this_very_connection() {
    let fleet = Fleet::start().await;
    let (device, introduction) = Device::connect(&fleet.address, &key(1)).await;
    let keyset = KeySet::verify(&introduction.keyset, &key(ROOT).public(), FLEET, 1).unwrap();
    let credential = Credential::verify(&introduction.credential, &keyset, &device.gateway_key()).unwrap();
    assert_eq!(credential.gateway, NAME);
    assert_eq!(device.gateway_key(), key(TLS).public());
}

#[tokio::test]
async fn a_declared_device_is_welcomed_and_signer_status_and_watchers_are_told() {
    let mut fleet = Fleet::with(times("10m", "5m"), Limits::default()).await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let report = Report {
        application: "hello".into(),
        release: ReleaseDigest([2; 32]),
        phase: Phase::Running,
        restarts: 1,
        error: None,
        fallback: None,
        throttled: None,
    };
    let hello = wasmbed_protocol::message::Hello { running: vec![report], ..hello() };
    let mut device = Device::hello(&fleet.address, &key(1), hello).await;
    let welcome = device.welcome().await;
    assert_eq!((welcome.name.as_str(), welcome.heartbeat_ms), ("sensor-1", 1000));

    let session = fleet.signer.opened().await;
    assert_eq!((session.device.as_str(), session.gateway.as_str()), ("sensor-1", NAME));
    assert_eq!(session.thumbprint, key(1).public().thumbprint().0);
    assert_eq!(session.nonce, [7; 16]);

    let status = fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    let seen = status.session.unwrap();
    assert_eq!((seen.replica.as_str(), seen.counter), (NAME, 1));
    assert_eq!((status.applications[0].name.to_string().as_str(), status.applications[0].restarts), ("hello", 1));
    assert!(status.last_heartbeat.is_some());
    let gateway = fleet.wait_gateway(|status| status.connected_devices == Some(1)).await;
    assert_eq!((gateway.phase, gateway.enrolled_devices), (Some(GatewayPhase::Running), Some(1)));

    device.send(Heartbeat { uptime_ms: 5, memory_free: 6, applications: vec![] }).await;
    assert!(matches!(device.receive().await, Some(GatewayMessage::HeartbeatAck(_))));
    fleet.wait_device("sensor-1", |status| status.applications.is_empty()).await;

    drop(device);
    fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
    assert_eq!(fleet.signer.event().await, SessionEvent::Closed { session: session.session });
    fleet.wait_gateway(|status| status.connected_devices == Some(0)).await;
    let (events, _) = fleet.live.subscribe();
    let phases: Vec<_> = events.iter().filter(|event| matches!(&event.event.kind, LiveKind::Phase { .. })).collect();
    assert!(phases.len() >= 2, "{events:?}");
}

#[tokio::test]
async fn the_newer_session_of_a_device_wins() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut old, _) = Device::join(&fleet.address, &key(1)).await;
    let (mut new, _) = Device::join(&fleet.address, &key(1)).await;
    old.closed().await;
    let status = fleet.wait_device("sensor-1", |status| status.session.as_ref().is_some_and(|s| s.counter == 2)).await;
    assert_eq!(status.phase, Some(DevicePhase::Connected));
    new.send(Heartbeat { uptime_ms: 5, memory_free: 6, applications: vec![] }).await;
    assert!(matches!(new.receive().await, Some(GatewayMessage::HeartbeatAck(_))), "the new one lives");
}

#[tokio::test]
async fn a_device_that_is_no_longer_declared_leaves() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.api::<wasmbed_api::Device>().delete("sensor-1", &Default::default()).await.unwrap();
    device.closed().await;
    fleet.wait_gateway(|status| status.connected_devices == Some(0) && status.enrolled_devices == Some(0)).await;
}

#[tokio::test]
async fn a_device_given_another_key_must_come_again_with_it() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.declare_key("sensor-1", 2).await;
    device.closed().await;
    fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
    Device::join(&fleet.address, &key(2)).await;
}

#[tokio::test]
async fn a_full_gateway_says_so_and_serves_those_it_has() {
    let spec = GatewaySpec { max_devices: Some(1), ..GatewaySpec::default() };
    let fleet = Fleet::with(spec, Limits::default()).await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    fleet.wait_phase("sensor-2", DevicePhase::Enrolled).await;
    let (_first, _) = Device::join(&fleet.address, &key(1)).await;
    let mut second = Device::hello(&fleet.address, &key(2), hello()).await;
    let said = second.closed().await;
    let [GatewayMessage::Enrollment(enrollment)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(enrollment.state, EnrollmentState::Refused);
    assert!(enrollment.reason.contains("maxDevices"), "{}", enrollment.reason);
    let (_again, _) = Device::join(&fleet.address, &key(1)).await;
}

#[tokio::test]
async fn a_suspended_gateway_serves_nobody_until_it_is_resumed() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.change_gateway(GatewaySpec { suspend: Some(true), ..GatewaySpec::default() }).await;
    device.closed().await;
    fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Stopped)).await;
    assert!(crate::device::Connector::new(&key(1)).connect(&fleet.address).await.is_err());
    fleet.change_gateway(GatewaySpec::default()).await;
    fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Running)).await;
    Device::join(&fleet.address, &key(1)).await;
}

#[tokio::test]
async fn a_silent_device_is_unreachable() {
    // Long enough for it to come in on a busy machine.
    let fleet = Fleet::with(times("3s", "5m"), Limits::default()).await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    device.closed().await;
    fleet.wait_phase("sensor-1", DevicePhase::Unreachable).await;
}

#[tokio::test]
async fn a_new_keyset_is_shown_to_new_sessions_and_ends_those_that_were_shown_the_old_one() {
    let fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut old, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.write_keyset(2).await;
    old.closed().await;
    // The watch brings it in its own time; how many connections that takes does not matter.
    let epoch = async {
        loop {
            let (_device, introduction) = Device::connect(&fleet.address, &key(1)).await;
            let keyset = KeySet::verify(&introduction.keyset, &key(ROOT).public(), FLEET, 1).unwrap();
            if keyset.epoch == 2 {
                return;
            }
        }
    };
    tokio::time::timeout(crate::device::PATIENCE, epoch).await.expect("the new KeySet is shown");
}

#[tokio::test]
async fn sessions_live_on_while_the_signer_is_away_and_it_is_told_of_all_when_it_is_back() {
    let mut fleet = Fleet::start().await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    fleet.wait_phase("sensor-2", DevicePhase::Enrolled).await;
    let (mut first, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.signer.opened().await;

    let socket = fleet.socket();
    let Fleet { signer, .. } = &mut fleet;
    let away = std::mem::replace(signer, Signer::start(&socket.with_extension("elsewhere")).await);
    drop(away);
    first.send(Heartbeat { uptime_ms: 5, memory_free: 6, applications: vec![] }).await;
    assert!(matches!(first.receive().await, Some(GatewayMessage::HeartbeatAck(_))), "the session lives on");
    let (_second, _) = Device::join(&fleet.address, &key(2)).await;

    fleet.signer = Signer::start(&socket).await;
    let mut told = [fleet.signer.opened().await, fleet.signer.opened().await];
    told.sort_by(|a, b| a.device.cmp(&b.device));
    assert_eq!((told[0].device.as_str(), told[1].device.as_str()), ("sensor-1", "sensor-2"));

    let release = fleet.release("hello", b"module", true).await;
    let assignment = fleet.assignment(1, Nonce([7; 16]), 1, &[("hello", release)]);
    fleet.signer.push(told[0].session, assignment.clone(), vec![release.to_string()]).await;
    assert!(matches!(first.receive().await, Some(GatewayMessage::SignedRelease(_))));
    let Some(GatewayMessage::SignedAssignment(carried)) = first.receive().await else { panic!("no Assignment") };
    assert_eq!(carried.cose, assignment);
}

/// A free port below those that the kernel draws from; where the search begins differs from process to process.
fn port_of_our_own() -> SocketAddr {
    let first = std::process::id() % 20_000;
    let ports = (0..20_000).map(|step| 10_000 + u16::try_from((first + step) % 20_000).unwrap());
    let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).expect("one of them is free")
}

#[tokio::test]
async fn a_gateway_that_starts_again_is_found_where_it_was() {
    let mut fleet = Fleet::with(
        GatewaySpec::default(),
        Limits { reconnect_grace: Duration::from_millis(200), ..Limits::default() },
    )
    .await;
    // Port 0 drew one that the kernel may give to anybody while the gateway is away: it moves to one that it does not.
    fleet.stop_gateway().await;
    fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Pending)).await;
    let drawn = std::mem::replace(&mut fleet.listen, port_of_our_own());
    fleet.start_gateway().await;
    assert_eq!(fleet.address, fleet.listen.to_string());
    fleet.listen = drawn;

    fleet.declare_key("sensor-1", 1).await;
    fleet.declare_key("sensor-2", 2).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    let before = fleet.address.clone();
    fleet.stop_gateway().await;
    device.closed().await;
    fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
    fleet.wait_gateway(|status| status.phase == Some(GatewayPhase::Pending)).await;
    // As if it had been killed: the last words of the process before are missing.
    fleet.patch_device_status("sensor-2", serde_json::json!({ "phase": "Connected" })).await;
    fleet.start_gateway().await;
    assert_eq!(fleet.address, before);
    Device::join(&fleet.address, &key(1)).await;
    fleet.wait_device("sensor-1", |status| status.session.as_ref().is_some_and(|session| session.counter == 2)).await;
    fleet.wait_phase("sensor-2", DevicePhase::Disconnected).await;
}

#[tokio::test]
async fn a_gateway_that_is_told_to_end_lets_its_sessions_go_one_after_another() {
    const DEVICES: u8 = 24;
    let mut fleet = Fleet::start().await;
    fleet.stop_gateway().await;
    fleet.drain = Duration::from_secs(3);
    fleet.start_gateway().await;
    let mut devices = Vec::new();
    for number in 1..=DEVICES {
        let name = format!("sensor-{number}");
        fleet.declare_key(&name, number).await;
        fleet.wait_phase(&name, DevicePhase::Enrolled).await;
        devices.push(Device::join(&fleet.address, &key(number)).await.0);
    }
    fleet.wait_gateway(|status| status.connected_devices == Some(u32::from(DEVICES))).await;
    let metrics = fleet.health.to_metrics().unwrap();
    assert!(metrics.contains(&format!("wasmbed_gateway_sessions {DEVICES}\n")), "{metrics}");
    assert!(fleet.health.is_ready(), "{}", fleet.health.to_text());

    let ends = devices.into_iter().map(|mut device| {
        tokio::spawn(async move {
            device.closed().await;
            std::time::Instant::now()
        })
    });
    let ends: Vec<_> = ends.collect();
    let address = fleet.address.clone();
    let (health, began) = (fleet.health.clone(), std::time::Instant::now());
    let stopping = fleet.stop_gateway();
    let looking = async {
        // Not ready at once, and no door any more, while sessions are still there.
        crate::fleet::until(|| !health.is_ready()).await;
        assert!(health.to_text().contains("[-] serving: the gateway stops"), "{}", health.to_text());
        crate::fleet::until(|| std::net::TcpStream::connect(&address).is_err()).await;
        assert!(!health.to_metrics().unwrap().contains("wasmbed_gateway_sessions 0\n"), "sessions are still there");
    };
    tokio::join!(stopping, looking);
    let mut after = Vec::new();
    for end in ends {
        after.push(end.await.unwrap() - began);
    }
    after.sort_unstable();
    let (first, last) = (after[0], after[after.len() - 1]);
    assert!(last - first > Duration::from_millis(1000), "they do not end in one wave: {after:?}");
    assert!(last < Duration::from_secs(10), "they end within the time: {after:?}");
    let metrics = fleet.health.to_metrics().unwrap();
    let closed = format!("wasmbed_gateway_connections_closed_total{{reason=\"shutdown\"}} {DEVICES}\n");
    assert!(metrics.contains(&closed), "{metrics}");
    for number in 1..=DEVICES {
        fleet.wait_phase(&format!("sensor-{number}"), DevicePhase::Disconnected).await;
    }
}
