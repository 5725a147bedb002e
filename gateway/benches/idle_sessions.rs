//! What an idle session costs in memory: opens many from another process and looks at this one's resident set.
//!
//! `cargo bench -p wasmbed-gateway` prints one line; `WASMBED_BENCH_SESSIONS` sets how many (500 if absent).
#![allow(clippy::unwrap_used)]

#[path = "../tests/gateway/device.rs"]
#[allow(dead_code)]
mod device;
#[path = "../tests/gateway/fleet.rs"]
#[allow(dead_code)]
mod fleet;
#[path = "../tests/gateway/signer.rs"]
#[allow(dead_code)]
mod signer;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use device::Device;
use fleet::Fleet;
use wasmbed_api::DeviceSpec;
use wasmbed_gateway::Limits;
use wasmbed_protocol::SigningKey;

/// Address that the child process is to connect to.
const ADDRESS: &str = "WASMBED_BENCH_ADDRESS";
const SESSIONS: &str = "WASMBED_BENCH_SESSIONS";

#[tokio::main]
async fn main() {
    let sessions = std::env::var(SESSIONS).ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    match std::env::var(ADDRESS) {
        Ok(address) => devices(&address, sessions).await,
        Err(_) => gateway(sessions).await,
    }
}

/// The process that is measured.
async fn gateway(sessions: u32) {
    let fleet = Fleet::with(Default::default(), Limits::default()).await;
    for number in 0..sessions {
        let public_key = Some(wasmbed_api::PublicKey::from_bytes(key(number).public().0));
        fleet.declare(&format!("device-{number}"), DeviceSpec { public_key, ..DeviceSpec::default() }).await;
    }
    fleet.wait_gateway(|status| status.enrolled_devices == Some(sessions)).await;
    // The allocator and the caches are warm before anything is measured.
    let warm = Device::join(&fleet.address, &key(0)).await;
    drop(warm);
    fleet.wait_gateway(|status| status.connected_devices == Some(0)).await;
    let before = resident();

    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(ADDRESS, &fleet.address)
        .env(SESSIONS, sessions.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    fleet.wait_gateway(|status| status.connected_devices == Some(sessions)).await;
    let per_session = resident().saturating_sub(before) / u64::from(sessions);
    println!("idle_session_bytes {per_session} ({sessions} sessions, resident set, statuses written)");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(per_session < 128 << 10, "an idle session costs {per_session} bytes");
}

/// The process with the devices.
async fn devices(address: &str, sessions: u32) {
    let mut joined = Vec::new();
    for number in 0..sessions {
        joined.push(Device::join(address, &key(number)).await);
    }
    println!("ready");
    // The parent closes its end when it has measured.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn key(number: u32) -> SigningKey {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
