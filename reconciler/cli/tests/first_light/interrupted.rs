//! Power that fails in the middle of a download: at the gateway, and at the device.

use std::path::Path;

use super::count::Count;
use super::lines::{Lines, wait_for};
use super::repository::Repository;
use super::running::{Running, Up, program};
use super::source::manifest;
use super::way::Way;

const FLEET: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.fleet.svc.cluster.local, config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: own}
spec: {mcuType: Host, gatewayId: gateway-1, publicKey: KEY}
---
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: large}
spec:
  source: {path: apps/large}
  targetDevices: [own]
";

/// Of the module's 24 KB, as much as gets through before the power fails.
const SOME: usize = 10_000;

/// Prints its word and a number; carries 24 KB that cannot be compressed or left out.
fn large(word: &str) -> String {
    format!(
        "static NOISE: [u8; 24_000] = noise();\n\nconst fn noise() -> [u8; 24_000] {{\n    let mut bytes = [0; 24_000];\n    \
         let mut state = {seed}u32;\n    let mut at = 0;\n    while at < bytes.len() {{\n        \
         state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);\n        bytes[at] = (state >> 24) as u8;\n        \
         at += 1;\n    }}\n    bytes\n}}\n\nfn main() {{\n    for number in 0u32.. {{\n        \
         println!(\"{word} {{number}} {{}}\", NOISE[number as usize % NOISE.len()]);\n        \
         wasmbed::sleep(core::time::Duration::from_millis(50));\n    }}\n}}\n",
        seed = word.bytes().fold(1_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte))),
    )
}

fn start(folder: &Path) -> (Running, Lines) {
    let mut command = program();
    command.env("RUST_LOG", "info").args(["device", "--dir"]).arg(folder);
    Running::start_with_errors("the device", &mut command)
}

fn says(log: &mut Lines, word: &str) {
    log.next(&format!("the word {word:?}"), |line| line.contains(&format!("{word} ")).then_some(()));
}

fn address(up: &Up) -> String {
    let gateway =
        wait_for("the gateway serves", || up.of("gateways", "gateway-1"), |it| it["status"]["phase"] == "Running");
    gateway["status"]["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_download_that_power_loss_interrupts_is_taken_up_again() {
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let repository = Repository::create(folder.path());
    repository.write("apps/large/Cargo.toml", &manifest("large"));
    let push = |word: &str| {
        repository.write("apps/large/src/main.rs", &large(word));
        repository.push(&format!("Say {word}"));
    };
    repository.write("fleet.yaml", FLEET.split("---").next().unwrap());
    push("nothing yet");
    let state = folder.path().join("s");
    let mut up = Up::start(&state, &repository.bare);
    up.wait_until_ready();
    let way = Way::to(&address(&up));

    let own = folder.path().join("own");
    let provision =
        up.command(&["provision", "--output", "json", "--gateway", way.address()]).arg(&own).output().unwrap();
    let provisioned: serde_json::Value = serde_json::from_slice(&provision.stdout).unwrap();
    repository.write("fleet.yaml", &FLEET.replace("KEY", provisioned["publicKey"].as_str().unwrap()));
    push("one");
    let (mut device, mut log) = start(&own);
    says(&mut log, "one");

    // Everything on the machine but the device.
    let mut count = Count::of("one", &mut log);
    way.carry_only(SOME);
    push("two");
    wait_for("the download stands still", || way.left(), |left| *left == Some(0));
    count.goes_on(&mut log);
    up.process.kill();
    count.goes_on(&mut log);
    up = Up::start(&state, &repository.bare);
    way.leads_to(&address(&up));
    way.carry_all();
    says(&mut log, "two");

    // The device.
    way.carry_only(SOME);
    push("three");
    wait_for("the download stands still", || way.left(), |left| *left == Some(0));
    device.kill();
    way.carry_all();
    (device, log) = start(&own);
    says(&mut log, "three");
    assert!(device.interrupt(), "a device ends well when asked");
    assert!(up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
}
