//! An emulator of its own.

use kube::api::Api;
use wasmbed_api::{Device, DevicePhase};

use super::cluster::{Cluster, FLEET};
use super::lines::wait_for;
use super::running::{Running, program};
use super::tenant::{ask, free};

const PLAYED: &str = "\
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: played}
spec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: true}}
";

#[test]
fn an_emulator_plays_what_is_declared_says_how_it_is_and_ends_its_devices_when_told() {
    let cluster = Cluster::start();
    let root = cluster.keys(&["show"])["root"].as_str().unwrap().to_owned();
    let health = free();
    let folder = cluster.path("emulator");
    let mut command = program();
    command.args(["emulator", "--namespace", FLEET, "--fleet", FLEET, "--root", &root]);
    command.arg("--kubeconfig").arg(cluster.path("kubeconfig")).arg("--dir").arg(&folder);
    command.args(["--listen-health", &health.to_string()]);
    let emulator = Running::start("the emulator", &mut command);
    let is_ready = |answer: &Option<(u16, String)>| answer.as_ref().is_some_and(|(status, _)| *status == 200);
    let (_, text) = wait_for("it is ready", || ask(health, "/readyz"), is_ready).unwrap();
    assert!(text.contains("[+] playing: 0 of 0 emulated devices run"), "{text}");

    cluster.repository.write("played.yaml", PLAYED);
    cluster.repository.push("An emulated device");
    let devices = Api::<Device>::namespaced(cluster.client.clone(), FLEET);
    let device = || cluster.wait(devices.get_opt("played"));
    let phase = || device()?.status?.phase;
    wait_for("the device is in session", phase, |phase| *phase == Some(DevicePhase::Connected));
    let status = device().unwrap().status.unwrap();
    let condition = status.conditions.iter().find(|condition| condition.type_ == "Emulated").unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "HostProcess"));
    let counted = |answer: &Option<(u16, String)>| {
        let has = |line: &str| answer.as_ref().is_some_and(|(_, text)| text.lines().any(|said| said == line));
        has("wasmbed_emulator_devices 1") && has("wasmbed_emulator_devices_running 1")
    };
    wait_for("it counts the device", || ask(health, "/metrics"), counted);
    assert!(folder.join("logs/device-played.log").exists() && folder.join("devices/played").is_dir());

    assert!(emulator.interrupt(), "it ends well");
    wait_for("the device left", phase, |phase| phase.is_some_and(|phase| phase != DevicePhase::Connected));
    assert!(ask(health, "/healthz").is_none());
}

#[test]
fn a_root_key_that_can_sign_nothing_is_refused() {
    let mut command = program();
    command.args(["emulator", "--fleet", FLEET, "--dir", "/nowhere", "--kubeconfig", "/nowhere", "--root"]);
    // The neutral element of the curve.
    let output = command.arg("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("give the one that `wasmbed keys show` prints"), "{said}");
}
