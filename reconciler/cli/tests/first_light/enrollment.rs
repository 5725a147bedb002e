//! The ways in for a device: a pending key that a person approves, and a one-time code. (The third, a key that stands in
//! the declaration, is part of the story.)

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;

use jiff::Timestamp;
use serde_json::Value;
use wasmbed_api::Device;

use super::cluster::Cluster;
use super::lines::wait_for;
use super::repository::Repository;
use super::running::{Running, Up, program};

const FLEET: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.fleet.svc.cluster.local, config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: approved}
spec: {mcuType: Host, gatewayId: gateway-1}
";

/// A Device that introduces its key by a one-time code.
fn paired(name: &str, pairing: &Value) -> String {
    format!(
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}}}\nspec:\n  mcuType: Host\n  \
         gatewayId: gateway-1\n  pairing: {{publicKey: {}, until: \"{}\"}}\n",
        pairing["publicKey"].as_str().unwrap(),
        pairing["until"].as_str().unwrap(),
    )
}

struct Enrollment {
    repository: Repository,
    up: Up,
    folder: std::path::PathBuf,
}

#[test]
fn a_device_gets_in_by_a_persons_approval_or_a_one_time_code_and_not_otherwise() {
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let repository = Repository::create(folder.path());
    repository.write("fleet.yaml", FLEET);
    repository.push("The fleet");
    let mut up = Up::start(&folder.path().join("s"), &repository.bare);
    up.wait_until_ready();
    let enrollment = Enrollment { repository, up, folder: folder.path().to_owned() };
    enrollment.garbage_on_the_port_changes_nothing();
    enrollment.a_pending_key_is_approved_by_a_commit();
    enrollment.a_one_time_code_lets_its_device_in();
    enrollment.a_guessed_code_does_not();
    enrollment.a_late_code_does_not();
    enrollment.a_device_of_another_fleet_says_nothing();
    assert!(enrollment.up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
}

impl Enrollment {
    fn garbage_on_the_port_changes_nothing(&self) {
        let gateway = self.up.of("gateways", "gateway-1");
        let address = gateway["status"]["address"].as_str().unwrap();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).unwrap();
            // It may be closed while we still write; that is the point.
            let _ = stream.write_all(&[0x5a; 4096]);
        }
        assert_eq!(self.up.of("gateways", "gateway-1")["status"]["phase"], "Running");
    }

    /// Provisions a device folder; returns it and the device's public key.
    fn provision(&self, name: &str, more: &[&str]) -> (std::path::PathBuf, String) {
        let folder = self.folder.join(name);
        let provisioned =
            json(&self.up.command(&["provision", "--output", "json"]).args(more).arg(&folder).output().unwrap());
        (folder, provisioned["publicKey"].as_str().unwrap().to_owned())
    }

    fn pending(&self) -> Vec<Value> {
        json(&self.up.command(&["enroll", "--output", "json"]).output().unwrap()).as_array().unwrap().clone()
    }

    fn wait_connected(&self, device: &str) {
        wait_for(
            &format!("{device} is connected"),
            || self.up.of("devices", device),
            |device| device["status"]["phase"] == "Connected",
        );
    }

    /// Starts a device whose log goes to a file.
    fn start_logging(&self, folder: &Path) -> (Running, std::path::PathBuf) {
        let log = folder.join("device.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = program();
        command.env("RUST_LOG", "info").args(["device", "--dir"]).arg(folder).stderr(file);
        (Running::start("a device", &mut command), log)
    }

    fn enroll(&self, arguments: &[&str]) -> Output {
        self.up.command(&["enroll"]).args(arguments).arg("--folder").arg(&self.repository.copy).output().unwrap()
    }

    fn a_pending_key_is_approved_by_a_commit(&self) {
        let (folder, key) = self.provision("one", &[]);
        let device = start(&folder);
        wait_for(
            "the key is pending",
            || self.pending(),
            |pending| pending.iter().any(|entry| entry["pending"]["publicKey"] == key.as_str()),
        );
        assert_ne!(self.up.of("devices", "approved")["status"]["phase"], "Connected", "nobody approved it yet");
        json(&self.enroll(&["approved", "--key", &key, "--output", "json"]));
        let declared = std::fs::read_to_string(self.repository.copy.join("fleet.yaml")).unwrap();
        assert!(declared.contains(&key), "the commit holds the key");
        self.repository.git(&["push", "-q", "origin", "main"]);
        self.wait_connected("approved");
        wait_for("it is pending no more", || self.pending(), Vec::is_empty);
        assert!(device.interrupt());
    }

    fn a_one_time_code_lets_its_device_in(&self) {
        let code = &*self.declare_with_code("with-code", "1h");
        let (folder, _) = self.provision("two", &["--device", "with-code", "--code", code]);
        let device = start(&folder);
        wait_for(
            "the code is proved",
            || self.pending(),
            |pending| pending.iter().any(|entry| entry["pending"]["pairedWith"] == "with-code"),
        );
        json(&self.enroll(&["with-code", "--output", "json"]));
        self.repository.git(&["push", "-q", "origin", "main"]);
        self.wait_connected("with-code");
        assert!(device.interrupt());
        // Whoever learned the code later has no use for it.
        let (folder, key) = self.provision("reused", &["--device", "with-code", "--code", code]);
        self.is_refused(&folder, &key, "the one-time code has been used: the Device has a key");
        assert_ne!(self.up.of("devices", "with-code")["status"]["phase"], "Connected");
    }

    /// Starts a device, and waits until it is told why it is not let in.
    fn is_refused(&self, folder: &Path, key: &str, why: &str) {
        let (device, log) = self.start_logging(folder);
        wait_for("the device is refused", || std::fs::read_to_string(&log).unwrap(), |log| log.contains(why));
        let knocked = self.pending().into_iter().find(|entry| entry["pending"]["publicKey"] == key);
        assert_eq!(knocked, None, "it does not even get a place among the pending keys");
        assert!(device.interrupt());
    }

    /// Declares a Device with a one-time code that is valid for `how_long`, and returns the code.
    fn declare_with_code(&self, name: &str, how_long: &str) -> String {
        let made = json(&self.enroll(&[name, "--pair", how_long, "--output", "json"]));
        self.repository.write(&format!("{name}.yaml"), &paired(name, &made["pairing"]));
        self.repository.push(&format!("A device with a code, {name}"));
        wait_for("it is declared", || self.up.of("devices", name), |device| !device.is_null());
        made["code"].as_str().unwrap().to_owned()
    }

    fn a_guessed_code_does_not(&self) {
        self.declare_with_code("guessed", "1h");
        let wrong = json(&self.enroll(&["guessed", "--pair", "1h", "--output", "json"]));
        let code = wrong["code"].as_str().unwrap();
        let (folder, key) = self.provision("three", &["--device", "guessed", "--code", code]);
        self.is_refused(&folder, &key, "this is not the one-time code of a Device \"guessed\"");
        assert_ne!(self.up.of("devices", "guessed")["status"]["phase"], "Connected");
        let refused = self.enroll(&["guessed"]);
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("no pending key proved a code of guessed"));
    }

    fn a_late_code_does_not(&self) {
        let code = self.declare_with_code("tardy", "1s");
        let (folder, key) = self.provision("four", &["--device", "tardy", "--code", &code]);
        // A push takes some of that second; what is left of it has to pass.
        let until: Timestamp = self.declared_until("tardy");
        wait_for("the code has expired", Timestamp::now, |now| *now > until);
        self.is_refused(&folder, &key, "the one-time code has expired; declare a new one");
        assert!(!self.enroll(&["tardy"]).status.success(), "there is nothing to enroll");
    }

    fn declared_until(&self, name: &str) -> Timestamp {
        let device = Cluster::at(&self.up.kubeconfig()).get::<Device>(name);
        device["spec"]["pairing"]["until"].as_str().unwrap().parse().unwrap()
    }

    /// A device that trusts another root key hears this gateway's first frame, and does not say `Hello` to it.
    fn a_device_of_another_fleet_says_nothing(&self) {
        let gateway = self.up.of("gateways", "gateway-1");
        let address = gateway["status"]["address"].as_str().unwrap().to_owned();
        let elsewhere = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let other = Repository::create(elsewhere.path());
        other.write("fleet.yaml", FLEET);
        other.push("Another fleet");
        let mut up = Up::start(&elsewhere.path().join("s"), &other.bare);
        up.wait_until_ready();
        let folder = elsewhere.path().join("device");
        let provisioned = up.command(&["provision", "--output", "json", "--gateway", &address]).arg(&folder).output();
        let key = json(&provisioned.unwrap())["publicKey"].as_str().unwrap().to_owned();
        let (device, log) = self.start_logging(&folder);
        wait_for(
            "it refuses the gateway",
            || std::fs::read_to_string(&log).unwrap(),
            |log| log.contains("no session: not signed as a KeySet by a key that may"),
        );
        let knocked = self.pending().iter().any(|entry| entry["pending"]["publicKey"] == key.as_str());
        assert!(!knocked, "a gateway that cannot be believed is told nothing");
        assert!(device.interrupt());
        assert!(up.process.interrupt());
    }
}

fn start(folder: &Path) -> Running {
    Running::start("a device", program().args(["device", "--dir"]).arg(folder))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
