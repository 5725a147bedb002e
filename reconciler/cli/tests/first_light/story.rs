//! The story: what a newcomer sees, and what must not change it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::kubectl::Kubectl;
use super::lines::{Lines, wait_for};
use super::repository::Repository;
use super::running::{Running, Up, program, signal, text};

const FLEET: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.fleet.svc.cluster.local, config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: first, labels: {site: north}}
spec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: true}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: late, labels: {site: north}}
spec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: false}}
";

/// A third device, run by the test itself and not by `wasmbed up`: it stays when that is killed.
const OWN: &str = "\
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: own, labels: {site: north}}
spec: {mcuType: Host, gatewayId: gateway-1, publicKey: KEY}
";

const TICKER: &str = "\
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: ticker}
spec:
  source: {path: apps/ticker}
  targetSelector: {matchLabels: {site: north}}
";

const OTHER: &str = "\
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: other}
spec:
  source: {path: apps/other}
  targetDevices: [first]
";

/// Prints its word and a number, twenty times a second.
fn ticker(word: &str) -> String {
    format!(
        "fn main() {{\n    for number in 0u32.. {{\n        println!(\"{word} {{number}}\");\n        \
         wasmbed::sleep(core::time::Duration::from_millis(50));\n    }}\n}}\n"
    )
}

fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
}

/// One thing that happens, and what it shows.
type Step = (&'static str, fn(&mut Story));

struct Story {
    repository: Repository,
    up: Up,
    /// What each device says.
    first: Running,
    own: Running,
    /// What the own device says on its standard error, whoever else runs.
    own_log: Lines,
    state: std::path::PathBuf,
}

#[test]
fn a_push_reaches_the_devices_and_a_revert_takes_it_back() {
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let mut story = Story::begin(folder.path());
    let steps: [Step; 11] = [
        ("a push brings new output", Story::a_push_brings_new_output),
        ("a compile error is reported while the old module runs on", Story::a_compile_error_is_reported),
        ("a revert needs no build", Story::a_revert_needs_no_build),
        ("a device that was off catches up", Story::a_device_that_was_off_catches_up),
        ("drift is put back", Story::drift_is_put_back),
        ("deleted statuses come back", Story::deleted_statuses_come_back),
        ("kubectl sees all of it", Story::kubectl_sees_all_of_it),
        ("the signer and the builder killed change nothing", Story::killed_children_change_nothing),
        ("pruning stops and erases", Story::pruning_stops_and_erases),
        ("a commit that deletes everything is held", Story::deleting_everything_is_held),
        ("kill -9 of everything loses nothing", Story::killing_everything_loses_nothing),
    ];
    for (what, step) in steps {
        eprintln!("-- {what}");
        step(&mut story);
    }
    let Story { up, own, .. } = story;
    assert!(own.interrupt(), "a device ends well when asked");
    assert!(up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
}

impl Story {
    fn begin(folder: &Path) -> Self {
        let repository = Repository::create(folder);
        repository.write("fleet.yaml", FLEET);
        repository.write("ticker.yaml", TICKER);
        repository.write("other.yaml", OTHER);
        for (name, word) in [("ticker", "one"), ("other", "neighbour")] {
            repository.write(&format!("apps/{name}/Cargo.toml"), &manifest(name));
            repository.write(&format!("apps/{name}/src/main.rs"), &ticker(word));
        }
        repository.push("The fleet");
        let state = folder.join("s");
        let mut up = Up::start(&state, &repository.bare);
        up.wait_until_ready();

        // A device of its own: provisioned, declared by its key, pushed.
        let own_folder = folder.join("own");
        let mut provision = up.command(&["provision", "--output", "json"]);
        let provisioned = provision.arg(&own_folder).output().unwrap();
        assert!(provisioned.status.success(), "{}", String::from_utf8_lossy(&provisioned.stderr));
        let provisioned: Value = serde_json::from_slice(&provisioned.stdout).unwrap();
        repository.write("own.yaml", &OWN.replace("KEY", provisioned["publicKey"].as_str().unwrap()));
        repository.push("A device of our own");
        let mut command = program();
        command.env("RUST_LOG", "info").args(["device", "--dir"]).arg(&own_folder);
        let (own, own_log) = Running::start_with_errors("the own device", &mut command);
        let mut first = up.logs("first");
        first.out.next("the first output", |line| text(line)?.starts_with("one ").then_some(()));
        let story = Self { repository, up, first, own, own_log, state };
        story.wait_phase("own", "ticker", "Running");
        story
    }

    /// Waits until `device` reports `application` in `phase`.
    fn wait_phase(&self, device: &str, application: &str, phase: &str) {
        let look = || self.up.of("devices", device)["status"]["applications"].clone();
        wait_for(&format!("{application} on {device} is {phase}"), look, |applications| {
            let applications = applications.as_array();
            applications.into_iter().flatten().any(|app| app["name"] == application && app["phase"] == phase)
        });
    }

    /// Waits for a line of the ticker with this word on the first device, of what it says from now on.
    fn says(&mut self, word: &str) {
        self.first.out.skip();
        self.first.out.next(&format!("the word {word:?}"), |line| text(line)?.starts_with(word).then_some(()));
    }

    fn a_push_brings_new_output(&mut self) {
        self.repository.write("apps/ticker/src/main.rs", &ticker("two"));
        self.repository.push("Say two");
        self.says("two ");
    }

    fn a_compile_error_is_reported(&mut self) {
        self.repository.write("apps/ticker/src/main.rs", "fn main() {\n    let number: u32 = \"text\";\n}\n");
        let revision = self.repository.push("Break it");
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        let held = wait_for("the application is held", look, |held| held[0]["application"] == "ticker");
        let message = held[0]["message"].as_str().unwrap();
        assert!(message.contains("mismatched types"), "rustc's own words: {message}");
        assert!(message.contains("main.rs:2"), "and the place: {message}");
        assert_eq!(held[0]["revision"], revision.as_str());
        self.says("two ");
        self.repository.revert();
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        wait_for("nothing is held any more", look, |held| held.as_array().is_none_or(Vec::is_empty));
        self.says("two ");
    }

    /// That nothing is downloaded either is shown where bytes are counted: in the tests of `wasmbed-device`.
    fn a_revert_needs_no_build(&mut self) {
        self.repository.write("apps/ticker/src/main.rs", &ticker("three"));
        self.repository.push("Say three");
        self.says("three ");
        self.wait_stable("ticker");
        // A builder that stands still cannot build.
        let builder = self.up.child("builder").expect("the builder runs");
        signal(builder, "STOP");
        self.repository.revert();
        self.says("two ");
        signal(builder, "CONT");
    }

    fn wait_stable(&self, application: &str) {
        let kubectl = Kubectl::find(&self.up.kubeconfig());
        let Some(kubectl) = kubectl else {
            return self.wait_phase("first", application, "Running");
        };
        let look = || kubectl.json(&["get", "rollout", application])["spec"].clone();
        wait_for("the rollout is finished", look, |spec| spec["candidate"].is_null() && spec["stable"].is_string());
    }

    fn a_device_that_was_off_catches_up(&mut self) {
        let mut late = self.up.logs("late");
        self.repository.write("fleet.yaml", &FLEET.replace("running: false", "running: true"));
        self.repository.push("Switch the late one on");
        late.out.next("the late device runs what the others run", |line| text(line)?.starts_with("two ").then_some(()));
    }

    fn drift_is_put_back(&mut self) {
        let Some(kubectl) = Kubectl::find(&self.up.kubeconfig()) else { return };
        kubectl.run(&["patch", "application", "ticker", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]);
        let look = || kubectl.json(&["get", "application", "ticker"])["spec"].clone();
        wait_for("the manual edit is taken back", look, |spec| spec["suspend"].is_null());
        self.says("two ");
        kubectl.run(&["delete", "application", "other"]);
        let look = || self.up.of("applications", "other");
        wait_for("what was deleted by hand is back", look, |app| app["status"]["phase"] == "Running");
    }

    fn deleted_statuses_come_back(&mut self) {
        let Some(kubectl) = Kubectl::find(&self.up.kubeconfig()) else { return };
        let objects = [
            ("fleet", "fleet"),
            ("application", "ticker"),
            ("device", "first"),
            ("gateway", "gateway-1"),
            ("rollout", "ticker"),
        ];
        for (kind, name) in objects {
            let before = kubectl.json(&["get", kind, name])["status"].clone();
            assert!(before.is_object(), "{kind} {name} has a status");
            kubectl.run(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", r#"{"status":null}"#]);
            let look = || kubectl.json(&["get", kind, name])["status"].clone();
            wait_for(&format!("the status of {kind} {name} is back"), look, |status| {
                status["phase"] == before["phase"]
                    && status["appliedRevision"] == before["appliedRevision"]
                    && status["publicKey"] == before["publicKey"]
                    && status["address"] == before["address"]
                    && status["targets"] == before["targets"]
            });
        }
        self.says("two ");
    }

    fn kubectl_sees_all_of_it(&mut self) {
        let Some(kubectl) = Kubectl::find(&self.up.kubeconfig()) else { return };
        let devices = kubectl.run(&["get", "devices"]);
        assert!(devices.lines().any(|line| line.starts_with("first") && line.contains("Connected")), "{devices}");
        let all = kubectl.run(&["get", "wasmbed"]);
        for name in
            ["device.wasmbed.github.io/own", "application.wasmbed.github.io/ticker", "gateway.wasmbed.io/gateway-1"]
        {
            assert!(all.contains(name), "{name} in\n{all}");
        }
        assert!(kubectl.run(&["get", "releases"]).lines().count() > 3);
        let described = kubectl.run(&["describe", "application", "ticker"]);
        assert!(described.contains("Phase:") && described.contains("Running"), "{described}");
    }

    fn killed_children_change_nothing(&mut self) {
        for name in ["signer", "builder"] {
            let before = self.up.child(name).unwrap_or_else(|| panic!("the {name} runs"));
            signal(before, "KILL");
            self.says("two ");
            wait_for(&format!("the {name} runs again"), || self.up.child(name), |id| id.is_some_and(|id| id != before));
        }
        self.repository.write("apps/ticker/src/main.rs", &ticker("four"));
        self.repository.push("Say four");
        self.says("four ");
    }

    fn pruning_stops_and_erases(&mut self) {
        self.wait_phase("first", "other", "Running");
        std::fs::remove_file(self.repository.copy.join("other.yaml")).unwrap();
        self.repository.push("No other");
        let look = || self.up.of("devices", "first")["status"]["applications"].clone();
        wait_for("the device has erased it", look, |applications| {
            applications.as_array().is_some_and(|all| all.iter().all(|app| app["name"] != "other"))
        });
        assert_eq!(self.up.of("applications", "other"), Value::Null);
        self.says("four ");
    }

    fn deleting_everything_is_held(&mut self) {
        for file in ["fleet.yaml", "own.yaml", "ticker.yaml"] {
            std::fs::remove_file(self.repository.copy.join(file)).unwrap();
        }
        self.repository.push("Delete everything");
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        let held = wait_for("the revision is held", look, |held| held[0].is_object());
        assert!(held[0]["message"].as_str().unwrap().contains("Allow-Deletion"), "{held}");
        self.says("four ");
        self.repository.revert();
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        wait_for("nothing is held any more", look, |held| held.as_array().is_none_or(Vec::is_empty));
    }

    fn killing_everything_loses_nothing(&mut self) {
        let children: Vec<u32> =
            ["signer", "builder", "device"].into_iter().filter_map(|name| self.up.child(name)).collect();
        let up = std::mem::replace(&mut self.up.process, Running::start("nothing", &mut Command::new("true")));
        up.kill();
        for child in children {
            let alive = || Path::new(&format!("/proc/{child}")).exists();
            wait_for("the children end with their parent", alive, |alive| !alive);
        }
        assert!(self.own.is_running(), "a device needs nobody to run on");
        self.own_log.skip();
        self.own_log.next("its application goes on", |line| line.contains("four ").then_some(()));
        self.repository.write("apps/ticker/src/main.rs", &ticker("five"));
        self.repository.push("Say five, while nothing runs");
        self.up = Up::start(&self.state, &self.repository.bare);
        self.first = self.up.logs("own");
        self.says("five ");
        self.up.wait_until_ready();
    }
}
