//! What must not be believed, and must not hurt those beside it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmbed_api::DevicePhase;
use wasmbed_gateway::Limits;
use wasmbed_protocol::PublicKey;

use crate::device::{Connector, Device, PATIENCE, hello, key};
use crate::fleet::Fleet;

/// Short, and yet enough for a device to come in on a busy machine.
const SHORT: Duration = Duration::from_secs(3);

async fn fleet(limits: Limits) -> Fleet {
    let fleet = Fleet::with(Default::default(), limits).await;
    fleet.declare_key("sensor-1", 1).await;
    fleet.wait_phase("sensor-1", DevicePhase::Enrolled).await;
    fleet
}

/// Everything the other side sends until it closes.
async fn ended(mut tcp: TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as good as any.
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await.expect("the gateway closes");
}

#[tokio::test]
async fn garbage_on_the_port_is_closed_and_hurts_nobody() {
    let fleet = fleet(Limits::default()).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 5000], &[0x16, 3, 1, 0xff, 0xff], &[0xff; 100]] {
        let mut tcp = TcpStream::connect(&fleet.address).await.unwrap();
        let _ = tcp.write_all(garbage).await;
        let _ = tcp.shutdown().await;
        ended(tcp).await;
    }
    device.send(wasmbed_protocol::message::Heartbeat { uptime_ms: 1, memory_free: 1, applications: vec![] }).await;
    assert!(device.receive().await.is_some());
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_not_waited_for() {
    {
        let fleet = fleet(Limits { handshake_timeout: SHORT, ..Limits::default() }).await;
        ended(TcpStream::connect(&fleet.address).await.unwrap()).await;
    }
    let fleet = fleet(Limits { hello_timeout: SHORT, ..Limits::default() }).await;
    let (mut silent, _) = Device::connect(&fleet.address, &key(1)).await;
    silent.closed().await;
}

#[tokio::test]
async fn a_frame_that_never_ends_is_not_waited_for() {
    let fleet = fleet(Limits { stall_timeout: SHORT, ..Limits::default() }).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    device.send_bytes(&[0, 100, 1, 2, 3]).await;
    device.closed().await;
    fleet.wait_phase("sensor-1", DevicePhase::Unreachable).await;
}

#[tokio::test]
async fn an_oversized_frame_ends_the_session_at_its_header() {
    let fleet = fleet(Limits::default()).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    device.send_bytes(&[0x10, 0x01]).await;
    device.closed().await;
    fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
}

#[tokio::test]
async fn a_truncated_frame_at_the_end_of_a_connection_is_no_message() {
    let fleet = fleet(Limits::default()).await;
    let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
    fleet.wait_phase("sensor-1", DevicePhase::Connected).await;
    device.send_bytes(&[0, 50, 0x83, 1, 3]).await;
    drop(device);
    let status = fleet.wait_phase("sensor-1", DevicePhase::Disconnected).await;
    assert!(status.applications.is_empty());
}

#[tokio::test]
async fn a_frame_that_is_no_message_ends_the_session() {
    let fleet = fleet(Limits::default()).await;
    for body in [&[0xff; 3][..], b"hello", &[0x83, 2, 0, 0xa0], &[0x83, 1, 1, 0xa0]] {
        let (mut device, _) = Device::join(&fleet.address, &key(1)).await;
        let mut frame = Vec::new();
        wasmbed_protocol::frame::write(body, &mut frame).unwrap();
        device.send_bytes(&frame).await;
        device.closed().await;
    }
}

#[tokio::test]
async fn a_key_that_is_shown_but_not_proven_opens_nothing() {
    let fleet = fleet(Limits::default()).await;
    let liar = Connector { proves: key(66), ..Connector::new(&key(1)) };
    // In TLS 1.3 the client is done before the server has judged its key: the first byte tells.
    if let Ok(mut device) = liar.connect(&fleet.address).await {
        assert!(device.receive().await.is_none());
    }
    Device::join(&fleet.address, &key(1)).await;
}

#[tokio::test]
async fn a_weak_key_opens_nothing() {
    let fleet = fleet(Limits::default()).await;
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak = Connector { shown: PublicKey(neutral), ..Connector::new(&key(1)) };
    if let Ok(mut device) = weak.connect(&fleet.address).await {
        assert!(device.receive().await.is_none());
    }
}

#[tokio::test]
async fn another_protocol_over_tls_is_refused() {
    let fleet = fleet(Limits::default()).await;
    let other = Connector { alpn: b"h2".to_vec(), ..Connector::new(&key(1)) };
    if let Ok(mut device) = other.connect(&fleet.address).await {
        assert!(device.receive().await.is_none());
    }
}

#[tokio::test]
async fn handshakes_that_do_not_end_take_no_place_from_devices_for_long() {
    let fleet =
        fleet(Limits { handshakes: 4, handshakes_per_source: 4, handshake_timeout: SHORT, ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(&fleet.address).await.unwrap());
    }
    for tcp in idle {
        ended(tcp).await;
    }
    let mut device = Device::hello(&fleet.address, &key(1), hello()).await;
    device.welcome().await;
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    let fleet = fleet(Limits::default()).await;
    if let Ok(mut device) = Connector::new(&key(1)).connect_without_key(&fleet.address).await {
        assert!(device.receive().await.is_none());
    }
    Device::join(&fleet.address, &key(1)).await;
}
