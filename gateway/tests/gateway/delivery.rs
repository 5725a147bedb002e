//! Assignments, Releases and modules reach the device, as they were signed and stored.

use wasmbed_api::DevicePhase;
use wasmbed_protocol::limits::CHUNK;
use wasmbed_protocol::message::{Chunk, Fetch, GatewayMessage, Level, Log, Output};
use wasmbed_protocol::signed::Expected;
use wasmbed_protocol::{Assignment, ModuleDigest, Nonce, Release};
use wasmbed_streams::live::LiveKind;

use crate::device::{Device, PATIENCE, key};
use crate::fleet::{Fleet, NAME};

async fn joined(fleet: &Fleet) -> Device {
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    Device::join(&fleet.address, &key(1)).await.0
}

async fn fetch(device: &mut Device, digest: ModuleDigest, offset: usize) -> Chunk {
    device.send(Fetch { digest, offset: u32::try_from(offset).unwrap(), length: CHUNK as u32 }).await;
    match device.receive().await {
        Some(GatewayMessage::Chunk(chunk)) => chunk,
        other => panic!("no Chunk but {other:?}"),
    }
}

#[tokio::test]
async fn an_assignment_its_release_and_the_module_reach_the_device() {
    let mut fleet = Fleet::start().await;
    let mut device = joined(&fleet).await;
    let session = fleet.signer.opened().await;
    let module: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    let release = fleet.release("hello", &module, true).await;
    let assignment = fleet.assignment(1, Nonce(session.nonce), 1, &[("hello", release)]);
    fleet.signer.push(session.session, assignment, vec![release.to_string()]).await;

    let keyset = fleet.write_keyset(1).await;
    let Some(GatewayMessage::SignedRelease(carried)) = device.receive().await else { panic!("no Release") };
    let understood = Release::verify_named(&carried.cose, &keyset, &release).unwrap();
    let Some(GatewayMessage::SignedAssignment(carried)) = device.receive().await else { panic!("no Assignment") };
    let own = key(1).public();
    let expected = Expected { device: &own, nonce: &Nonce([7; 16]), gateway: NAME, last: None };
    let accepted = Assignment::verify(&carried.cose, &keyset, &expected).unwrap();
    assert_eq!(accepted.entries[0].release, release);

    let artifact = &understood.artifacts[0];
    let mut bytes = Vec::new();
    while bytes.len() < artifact.size as usize {
        let chunk = fetch(&mut device, artifact.digest, bytes.len()).await;
        assert!(!chunk.bytes.is_empty());
        bytes.extend(chunk.bytes);
    }
    assert_eq!(bytes, module);
    assert!(fetch(&mut device, artifact.digest, module.len()).await.bytes.is_empty(), "past the end there is nothing");
}

#[tokio::test]
async fn a_module_that_is_not_there_is_an_empty_chunk_until_it_is() {
    let fleet = Fleet::start().await;
    let mut device = joined(&fleet).await;
    let digest = ModuleDigest::of(b"module");
    assert!(fetch(&mut device, digest, 0).await.bytes.is_empty());
    fleet.module(b"module").await;
    assert_eq!(fetch(&mut device, digest, 0).await.bytes, b"module");
    assert_eq!(fetch(&mut device, digest, 4).await.bytes, b"le");
}

#[tokio::test]
async fn a_module_whose_bytes_are_not_its_names_is_not_carried() {
    let fleet = Fleet::start().await;
    let mut device = joined(&fleet).await;
    let digest = ModuleDigest::of(b"module");
    let map: k8s_openapi::api::core::v1::ConfigMap = serde_json::from_value(serde_json::json!({
        "metadata": { "name": format!("module-{digest}") },
        "binaryData": { "module.wasm": k8s_openapi::ByteString(b"another".to_vec()) },
    }))
    .unwrap();
    fleet.api().create(&Default::default(), &map).await.unwrap();
    assert!(fetch(&mut device, digest, 0).await.bytes.is_empty());
}

#[tokio::test]
async fn an_assignment_waits_for_a_release_that_is_not_there_yet() {
    let mut fleet = Fleet::start().await;
    let mut device = joined(&fleet).await;
    let session = fleet.signer.opened().await;
    let elsewhere = Fleet::start().await;
    let release = elsewhere.release("hello", b"module", false).await;
    let assignment = fleet.assignment(1, Nonce(session.nonce), 1, &[("hello", release)]);
    fleet.signer.push(session.session, assignment, vec![release.to_string()]).await;
    assert!(fetch(&mut device, ModuleDigest([0; 32]), 0).await.bytes.is_empty(), "nothing else comes meanwhile");
    fleet.release("hello", b"module", false).await;
    assert!(matches!(device.receive().await, Some(GatewayMessage::SignedRelease(_))));
    assert!(matches!(device.receive().await, Some(GatewayMessage::SignedAssignment(_))));
}

#[tokio::test]
async fn a_device_that_asks_much_and_reads_late_gets_all_of_it_in_order() {
    let fleet = Fleet::start().await;
    let mut device = joined(&fleet).await;
    let module = vec![7; 4 * CHUNK];
    fleet.module(&module).await;
    let digest = ModuleDigest::of(&module);
    assert_eq!(fetch(&mut device, digest, 0).await.bytes.len(), CHUNK, "it is at hand now");
    let mut frames = Vec::new();
    for n in 0..2000usize {
        let offset = u32::try_from(n % 4 * CHUNK).unwrap();
        let fetch = Fetch { digest, offset, length: CHUNK as u32 };
        frames.extend(wasmbed_protocol::DeviceMessage::from(fetch).to_frame().unwrap());
    }
    // Four megabytes of answers fit no socket buffer: the gateway must stop reading, and go on when it is read.
    device.send_bytes(&frames).await;
    for n in 0..2000usize {
        let Some(GatewayMessage::Chunk(chunk)) = device.receive().await else { panic!("no Chunk") };
        assert_eq!(chunk.offset as usize, n % 4 * CHUNK);
    }
}

#[tokio::test]
async fn what_applications_say_reaches_those_who_watch() {
    let fleet = Fleet::start().await;
    let (_, mut live) = fleet.live.subscribe();
    let mut device = joined(&fleet).await;
    let log = Log { application: Some("hello".into()), level: Level::Stdout, text: "Hello!".into(), dropped: None };
    device.send(log).await;
    let output = Output { application: "hello".into(), topic: "t".into(), payload: vec![0x18, 0x2a], dropped: None };
    device.send(output).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = tokio::time::timeout(PATIENCE, live.recv()).await.expect("it is published").unwrap().event;
        assert_eq!((event.gateway.as_str(), event.device.as_str()), (NAME, "sensor-1"));
        if !matches!(event.kind, LiveKind::Phase { .. }) {
            seen.push(event.kind);
        }
    }
    assert_eq!(seen[0], LiveKind::Log { level: "output".into(), text: "Hello!".into() });
    assert_eq!(seen[1], LiveKind::Output { topic: "t".into(), payload: vec![0x18, 0x2a] });
}
