//! A module that no ConfigMap holds, from a push to the device, through a real registry.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

#[path = "../keys/cluster.rs"]
mod cluster;
#[path = "../first_light/lines.rs"]
mod lines;
#[path = "../first_light/repository.rs"]
mod repository;
#[path = "../first_light/running.rs"]
mod running;
#[path = "../../../registry/tests/docker_registry/server.rs"]
mod server;
#[path = "../first_light/source.rs"]
mod source;

use cluster::{Cluster, Device, says};
use repository::Repository;
use running::{Up, text};
use server::{AUTH, Server};
use source::manifest;

const APPLICATION: &str = "\
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: large}
spec:
  source: {path: apps/large}
  targetDevices: [own]
  config: {memoryLimit: 8Mi}
";

const ON_ONE_MACHINE: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: own}
spec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: true}}
";

const SOURCE: &str = "\
static NOISE: &[u8] = include_bytes!(\"noise.bin\");

fn main() {
    for number in 0usize.. {
        println!(\"large {} {}\", NOISE.len(), NOISE[number * 7919 % NOISE.len()]);
        wasmbed::sleep(core::time::Duration::from_millis(50));
    }
}
";

/// Bytes that cannot be left out or made smaller.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(1_300_000).collect()
}

/// A registry with credentials, and the arguments that name both.
fn registry() -> (Server, Vec<String>) {
    let server = Server::start_with_tls(true);
    let credentials = server.folder.path().join("config.json");
    let entry = format!(r#"{{"auths": {{"{}": {{"auth": "{AUTH}"}}}}}}"#, server.address);
    std::fs::write(&credentials, entry).unwrap();
    let arguments = [
        "--registry",
        &format!("{}/fleet/modules", server.address),
        "--registry-credentials",
        credentials.to_str().unwrap(),
        "--registry-ca",
        server.ca.as_ref().unwrap().to_str().unwrap(),
        "--registry-max-module",
        "4000000",
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    (server, arguments)
}

fn write_application(repository: &Repository) {
    repository.write("large.yaml", APPLICATION);
    repository.write("apps/large/Cargo.toml", &manifest("large"));
    repository.write("apps/large/src/main.rs", SOURCE);
    std::fs::write(repository.copy.join("apps/large/src/noise.bin"), noise()).unwrap();
}

#[test]
fn a_large_module_reaches_the_device_through_the_registry() {
    let (server, arguments) = registry();
    let cluster = Cluster::start_with(&arguments);
    let device = Device::provision(&cluster);
    write_application(&cluster.repository);
    cluster.push(&device, "small");
    let (awake, mut log) = device.start();
    says(&mut log, "large 1300000");
    says(&mut log, "small");
    assert_eq!(server.large_blobs(), 1, "it lies there");
    assert!(awake.interrupt(), "a device ends well when asked");
}

#[test]
fn on_one_machine_too_a_large_module_reaches_a_device_through_the_registry() {
    let (server, arguments) = registry();
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let repository = Repository::create(folder.path());
    repository.write("fleet.yaml", ON_ONE_MACHINE);
    write_application(&repository);
    repository.push("A large application");
    let up = Up::start_with(&folder.path().join("state"), |command| {
        command.arg("--repo").arg(&repository.bare).args(&arguments);
    });
    let mut logs = up.logs("large");
    logs.out.next("it runs", |line| text(line).filter(|text| text.starts_with("large 1300000 ")));
    assert_eq!(server.large_blobs(), 1, "it lies there");
    drop(logs);
    assert!(up.process.interrupt(), "it ends well");
}

#[test]
fn a_component_that_cannot_use_its_registry_says_so_at_once() {
    let said = |arguments: &[&str]| {
        let mut command = running::program();
        let output = command.arg("reconcile").args(["--kubeconfig", "/nowhere"]).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let no_host = said(&["--registry", "modules"]);
    assert!(no_host.contains("name the host, as in registry.example.org/team/modules"), "{no_host}");
    let no_file = said(&["--registry", "r.example/m", "--registry-credentials", "/nowhere/config.json"]);
    assert!(no_file.contains("--registry-credentials /nowhere/config.json cannot be read"), "{no_file}");
    let no_ca = said(&["--registry", "r.example/m", "--registry-ca", "/nowhere/ca.crt"]);
    assert!(no_ca.contains("--registry-ca /nowhere/ca.crt cannot be read"), "{no_ca}");
    let alone = said(&["--registry-credentials", "/nowhere/config.json"]);
    assert!(alone.contains("--registry <HOST/REPOSITORY>"), "{alone}");
    let beyond = said(&["--registry", "r.example/m", "--registry-max-module", "16777217"]);
    assert!(beyond.contains("is not in 1000000..=16777216"), "{beyond}");
}
