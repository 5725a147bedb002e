//! A fleet with emulated boards, under `wasmbed up`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::lines::wait_for;
use super::repository::Repository;
use super::running::{Running, Up, text};
use super::source;

const GATEWAY: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.fleet.svc.cluster.local, config: {heartbeatInterval: 2s, connectionTimeout: 20s}}
";
const HEARTBEAT: &str = "2s";
const SERVED: &str = "connectionTimeout: 20s}}";
const SUSPENDED: &str = "connectionTimeout: 20s}, suspend: true}";

pub struct Fleet {
    pub repository: Repository,
    pub up: Up,
    state: PathBuf,
    /// Holds all of it; goes last.
    _folder: TempDir,
}

/// A Device that is emulated.
pub fn device(name: &str, board: &str, backend: &str) -> String {
    format!(
        "---\napiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}, labels: {{site: north}}}}\n\
         spec: {{mcuType: {board}, gatewayId: gateway-1, emulation: {{backend: {backend}, running: true}}}}\n"
    )
}

/// An Application for all devices of the site, or for those that are named. `more` is of its spec.
pub fn application(name: &str, devices: &[&str], more: &str) -> String {
    let targets = match devices {
        [] => "targetSelector: {matchLabels: {site: north}}".to_owned(),
        devices => format!("targetDevices: [{}]", devices.join(", ")),
    };
    format!(
        "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\n\
         spec:\n  source: {{path: apps/{name}}}\n  {targets}\n{more}"
    )
}

/// Prints its word and a number, ten times a second.
pub fn ticker(word: &str) -> String {
    source::ticker(word, 100)
}

impl Fleet {
    /// Starts a fleet of these devices and applications: name, declaration, source.
    pub fn start(images: &Path, devices: &[String], applications: &[(&str, String, String)]) -> Self {
        Self::start_with_heartbeat(images, HEARTBEAT, devices, applications)
    }

    /// As [`Fleet::start`], with another interval between two heartbeats.
    pub fn start_with_heartbeat(
        images: &Path,
        heartbeat: &str,
        devices: &[String],
        applications: &[(&str, String, String)],
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let repository = Repository::create(folder.path());
        let gateway = GATEWAY.replace("heartbeatInterval: 2s", &format!("heartbeatInterval: {heartbeat}"));
        let gateway = if heartbeat == HEARTBEAT {
            gateway
        } else {
            gateway.replace("connectionTimeout: 20s", "connectionTimeout: 90s")
        };
        repository.write("fleet.yaml", &format!("{gateway}{}", devices.concat()));
        for (name, declaration, source) in applications {
            write_application(&repository, name, declaration, source);
        }
        repository.push("The fleet");
        let state = folder.path().join("s");
        let mut up = Up::start_with(&state, |command| {
            command.arg("--repo").arg(&repository.bare).arg("--firmware").arg(images);
        });
        up.wait_until_ready();
        Self { repository, up, state, _folder: folder }
    }

    /// The folder that all of it lies in.
    pub fn folder(&self) -> &Path {
        self.state.parent().unwrap()
    }

    pub fn write_application(&self, name: &str, declaration: &str, source: &str) {
        write_application(&self.repository, name, declaration, source);
    }

    /// Has an application say another word, and pushes that.
    pub fn say(&self, name: &str, word: &str) {
        self.repository.write(&format!("apps/{name}/src/main.rs"), &ticker(word));
        self.repository.push(&format!("{name} says {word}"));
    }

    /// What the API says of a device.
    pub fn status(&self, device: &str) -> Value {
        self.up.of("devices", device)["status"].clone()
    }

    /// Waits until a device is in `phase`, and returns its status.
    pub fn wait_device(&self, device: &str, phase: &str) -> Value {
        wait_for(&format!("{device} is {phase}"), || self.status(device), |status| status["phase"] == phase)
    }

    /// Waits until what a device says of an application is `wanted`, and returns it.
    pub fn wait_application(&self, device: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let look = || application_in(&self.status(device), name);
        wait_for(&format!("{name} on {device}"), look, wanted)
    }

    /// Stops the gateway through Git, and waits until nobody is served.
    pub fn stop_gateway(&self) {
        self.declare(SERVED, SUSPENDED, "Stop the gateway");
        let look = || self.up.of("gateways", "gateway-1")["status"]["phase"].clone();
        wait_for("the gateway is stopped", look, |phase| phase == "Stopped");
    }

    /// Has the gateway serve again.
    pub fn start_gateway(&self) {
        self.declare(SUSPENDED, SERVED, "Serve again");
    }

    /// Where the gateway listens.
    pub fn gateway(&self) -> String {
        let look = || self.up.of("gateways", "gateway-1");
        let gateway = wait_for("the gateway serves", look, |it| it["status"]["phase"] == "Running");
        gateway["status"]["address"].as_str().unwrap().to_owned()
    }

    fn declare(&self, from: &str, to: &str, message: &str) {
        let declared = std::fs::read_to_string(self.repository.copy.join("fleet.yaml")).unwrap();
        assert!(declared.contains(from), "{from} in\n{declared}");
        self.repository.write("fleet.yaml", &declared.replace(from, to));
        self.repository.push(message);
    }

    /// The process that plays a device.
    pub fn player(&self, device: &str) -> Option<u32> {
        let folder = self.state.join("devices").join(device).canonicalize().ok()?;
        self.up
            .children()
            .into_iter()
            .find(|id| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|now| now == folder))
    }

    /// What a board prints on its UART, from now on.
    pub fn uart(&self, device: &str) -> Running {
        Running::start(&format!("the UART of {device}"), &mut self.up.command(&["logs", "--uart", device, "-f"]))
    }

    /// Ends all of it, which has to end well.
    pub fn end(self) {
        let Self { up, .. } = self;
        assert!(up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
    }
}

fn write_application(repository: &Repository, name: &str, declaration: &str, source: &str) {
    // With the usual stack of 4 KiB it is too large for netduinoplus2, and the builder says so.
    let manifest = source::manifest(name) + "\n[package.metadata.wasmbed]\nstack = \"1K\"\n";
    repository.write(&format!("{name}.yaml"), declaration);
    repository.write(&format!("apps/{name}/Cargo.toml"), &manifest);
    repository.write(&format!("apps/{name}/src/main.rs"), source);
}

/// What a device's status says of an application; null if nothing.
pub fn application_in(status: &Value, name: &str) -> Value {
    let applications = status["applications"].as_array();
    applications.into_iter().flatten().find(|it| it["name"] == name).cloned().unwrap_or(Value::Null)
}

/// Waits until a device says `word`, as `wasmbed logs -f` shows it.
pub fn says(device: &mut Running, word: &str) {
    let word = format!("{word} ");
    device.out.next(&format!("the word {word:?}"), |line| text(line)?.starts_with(&word).then_some(()));
}

/// As [`says`], in what it says from now on.
pub fn says_now(device: &mut Running, word: &str) {
    device.out.skip();
    says(device, word);
}

/// Waits until a board prints `text` on its UART.
pub fn prints(uart: &mut Running, text: &str) {
    uart.out.next(&format!("{text:?} on the UART"), |line| line.contains(text).then_some(()));
}
