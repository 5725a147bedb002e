//! The story: what a newcomer sees, and what must not change it.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use wasmbed_api::{Application, Device, Fleet, Gateway, Rollout};

use super::cluster::{Cluster, Kind};
use super::count::Count;
use super::kubectl::Kubectl;
use super::lines::{Lines, wait_for};
use super::repository::Repository;
use super::running::{Halted, Running, Up, has_ended, program, signal, text};
use super::source::{manifest, ticker};

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
spec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: true}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: seed, labels: {site: north}}
spec: {architecture: ARM_CORTEX_M, mcuType: RenodeArduinoNano33Ble, gatewayId: gateway-1}
";

/// A device more, run by the test itself and not by `wasmbed up`: it stays when that is killed.
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
    /// The word the ticker says now.
    word: &'static str,
    state: std::path::PathBuf,
}

#[test]
fn a_push_reaches_the_devices_and_a_revert_takes_it_back() {
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let mut story = Story::begin(folder.path());
    let steps: [Step; 14] = [
        ("a device as the seed declared it comes to life", Story::a_seed_device_comes_to_life),
        ("a push brings new output", Story::a_push_brings_new_output),
        ("a compile error is reported while the old module runs on", Story::a_compile_error_is_reported),
        ("a revert needs no build", Story::a_revert_needs_no_build),
        ("a device that was off catches up", Story::a_device_that_was_off_catches_up),
        ("drift is put back", Story::drift_is_put_back),
        ("deleted statuses come back", Story::deleted_statuses_come_back),
        ("kubectl sees all of it", Story::kubectl_sees_all_of_it),
        ("the signer and the builder killed change nothing", Story::killed_children_change_nothing),
        ("a gateway that stops changes nothing", Story::a_stopped_gateway_changes_nothing),
        ("pruning stops and erases", Story::pruning_stops_and_erases),
        ("a commit that deletes everything is held", Story::deleting_everything_is_held),
        ("kill -9 of everything in the middle of a build loses nothing", Story::killing_amid_a_build_loses_nothing),
        ("kill -9 of everything changes nothing on a device", Story::killing_everything_loses_nothing),
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
            repository.write(&format!("apps/{name}/src/main.rs"), &ticker(word, 50));
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
        let first = up.logs("first");
        let mut story = Self { repository, up, first, own, own_log, word: "one", state };
        story.says();
        story.wait_phase("own", "ticker", "Running");
        story
    }

    fn cluster(&self) -> Cluster {
        Cluster::at(&self.up.kubeconfig())
    }

    /// Waits until `device` reports `application` in `phase`.
    fn wait_phase(&self, device: &str, application: &str, phase: &str) {
        let look = || self.up.of("devices", device)["status"]["applications"].clone();
        wait_for(&format!("{application} on {device} is {phase}"), look, |applications| {
            let applications = applications.as_array();
            applications.into_iter().flatten().any(|app| app["name"] == application && app["phase"] == phase)
        });
    }

    /// Waits until `device` is in `phase`, and returns its status.
    fn wait_device(&self, device: &str, phase: &str) -> Value {
        let look = || self.up.of("devices", device)["status"].clone();
        wait_for(&format!("{device} is {phase}"), look, |status| status["phase"] == phase)
    }

    fn wait_nothing_held(&self) {
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        wait_for("nothing is held any more", look, |held| held.as_array().is_none_or(Vec::is_empty));
    }

    /// Makes the ticker say another word, and pushes that.
    fn say(&mut self, word: &'static str) -> String {
        self.repository.write("apps/ticker/src/main.rs", &ticker(word, 50));
        self.word = word;
        self.repository.push(&format!("Say {word}"))
    }

    /// Waits for the ticker's word on the first device, in what it says from now on.
    fn says(&mut self) {
        self.first.out.skip();
        says(&mut self.first, self.word);
    }

    /// Changes the fleet's declarations, and pushes that.
    fn declare(&self, from: &str, to: &str, message: &str) {
        let declared = std::fs::read_to_string(self.repository.copy.join("fleet.yaml")).unwrap();
        assert!(declared.contains(from), "{from} in\n{declared}");
        self.repository.write("fleet.yaml", &declared.replace(from, to));
        self.repository.push(message);
    }

    fn a_seed_device_comes_to_life(&mut self) {
        let status = self.wait_device("seed", "Connected");
        assert!(status["publicKey"].is_string(), "its emulator made it a key: {status}");
        let emulated = status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Emulated");
        assert_eq!(emulated.unwrap()["reason"], "HostStandsIn", "and it says what plays the board");
        says(&mut self.up.logs("seed"), self.word);
    }

    fn a_push_brings_new_output(&mut self) {
        self.say("two");
        self.says();
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
        self.says();
        self.repository.revert();
        self.wait_nothing_held();
        self.says();
    }

    /// That nothing is downloaded either is shown where bytes are counted: in the tests of `wasmbed-device`.
    fn a_revert_needs_no_build(&mut self) {
        let before = self.word;
        self.say("three");
        self.says();
        let cluster = self.cluster();
        let look = || cluster.get::<Rollout>("ticker")["spec"].clone();
        wait_for("the rollout is finished", look, |spec| spec["candidate"].is_null() && spec["stable"].is_string());
        // A builder that stands still cannot build.
        let builder = Halted::new(self.up.child("builder").expect("the builder runs"));
        self.repository.revert();
        self.word = before;
        self.says();
        drop(builder);
    }

    fn a_device_that_was_off_catches_up(&mut self) {
        const ON: &str = "metadata: {name: late, labels: {site: north}}\nspec: {mcuType: Host, gatewayId: gateway-1, emulation: {backend: host, running: true}}";
        let off = ON.replace("running: true", "running: false");
        let mut late = self.up.logs("late");
        says(&mut late, self.word);
        self.declare(ON, &off, "Switch the late one off");
        self.wait_device("late", "Disconnected");
        self.say("later");
        self.says();
        self.wait_device("late", "Disconnected");
        late.out.pass(|line| assert!(!text(line).is_some_and(|text| text.starts_with("later ")), "it is off: {line}"));
        self.declare(&off, ON, "Switch it on again");
        says(&mut late, self.word);
    }

    fn drift_is_put_back(&mut self) {
        let cluster = self.cluster();
        cluster.patch::<Application>("ticker", json!({ "spec": { "suspend": true } }));
        let look = || cluster.get::<Application>("ticker")["spec"].clone();
        wait_for("the manual edit is taken back", look, |spec| spec.is_object() && spec["suspend"].is_null());
        self.says();
        cluster.delete::<Application>("other");
        let look = || self.up.of("applications", "other");
        wait_for("what was deleted by hand is back", look, |app| app["status"]["phase"] == "Running");
    }

    fn deleted_statuses_come_back(&mut self) {
        // What is compared is what has come to rest.
        for device in ["first", "late", "own", "seed"] {
            self.wait_device(device, "Connected");
            self.wait_phase(device, "ticker", "Running");
        }
        self.wait_phase("first", "other", "Running");
        let cluster = self.cluster();
        for application in ["ticker", "other"] {
            let look = || cluster.get::<Application>(application)["status"].clone();
            wait_for(&format!("{application} runs"), look, |status| status["phase"] == "Running");
        }
        comes_back::<Fleet>(&cluster, "fleet", &["appliedRevision", "observedRevision"]);
        comes_back::<Application>(&cluster, "ticker", &["phase", "targets", "running", "release"]);
        comes_back::<Device>(&cluster, "first", &["phase", "publicKey", "session", "applications"]);
        comes_back::<Device>(&cluster, "own", &["phase", "session", "applications"]);
        comes_back::<Gateway>(&cluster, "gateway-1", &["phase", "address", "enrolledDevices", "connectedDevices"]);
        comes_back::<Rollout>(&cluster, "ticker", &["phase", "targets"]);
        self.says();
    }

    fn kubectl_sees_all_of_it(&mut self) {
        let Some(kubectl) = Kubectl::find(&self.up.kubeconfig()) else { return };
        wait_for(
            "kubectl lists the first device as connected",
            || kubectl.run(&["get", "devices"]),
            |devices| devices.lines().any(|line| line.starts_with("first") && line.contains("Connected")),
        );
        let all = kubectl.run(&["get", "wasmbed"]);
        for name in
            ["device.wasmbed.github.io/own", "application.wasmbed.github.io/ticker", "gateway.wasmbed.io/gateway-1"]
        {
            assert!(all.contains(name), "{name} in\n{all}");
        }
        assert!(kubectl.run(&["get", "releases"]).lines().count() > 3);
        wait_for(
            "kubectl describes what runs",
            || kubectl.run(&["describe", "application", "ticker"]),
            |described| described.contains("Phase:") && described.contains("Running"),
        );
    }

    fn killed_children_change_nothing(&mut self) {
        let sessions = ["first", "own"].map(|device| self.wait_device(device, "Connected")["session"].clone());
        let mut first = Count::of(self.word, &mut self.first.out);
        let mut own = Count::of(self.word, &mut self.own_log);
        for name in ["signer", "builder"] {
            let before = self.up.child(name).unwrap_or_else(|| panic!("the {name} runs"));
            signal(before, Signal::SIGKILL);
            first.goes_on(&mut self.first.out);
            own.goes_on(&mut self.own_log);
            wait_for(&format!("the {name} runs again"), || self.up.child(name), |id| id.is_some_and(|id| id != before));
            first.goes_on(&mut self.first.out);
            own.goes_on(&mut self.own_log);
        }
        let after = ["first", "own"].map(|device| self.wait_device(device, "Connected")["session"].clone());
        assert_eq!(after, sessions, "the devices stayed in the sessions they were in");
        self.say("four");
        self.says();
    }

    fn a_stopped_gateway_changes_nothing(&mut self) {
        const SERVED: &str = "connectionTimeout: 10s}}";
        const SUSPENDED: &str = "connectionTimeout: 10s}, suspend: true}";
        self.own_log.next("it runs what was pushed last", |line| line.contains("four ").then_some(()));
        let before = self.wait_device("own", "Connected")["session"]["counter"].as_i64().unwrap();
        let mut own = Count::of(self.word, &mut self.own_log);
        self.declare(SERVED, SUSPENDED, "Stop the gateway");
        let look = || self.up.of("gateways", "gateway-1")["status"]["phase"].clone();
        wait_for("the gateway is stopped", look, |phase| phase == "Stopped");
        self.wait_device("own", "Disconnected");
        own.goes_on(&mut self.own_log);
        assert_ne!(self.up.of("devices", "own")["status"]["phase"], "Connected", "nobody serves it");
        self.declare(SUSPENDED, SERVED, "Serve again");
        let look = || self.up.of("devices", "own")["status"].clone();
        wait_for("the device is in a new session", look, |status| {
            status["phase"] == "Connected" && status["session"]["counter"].as_i64().is_some_and(|now| now > before)
        });
        own.goes_on(&mut self.own_log);
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
        self.says();
    }

    fn deleting_everything_is_held(&mut self) {
        for file in ["fleet.yaml", "own.yaml", "ticker.yaml"] {
            std::fs::remove_file(self.repository.copy.join(file)).unwrap();
        }
        self.repository.push("Delete everything");
        let look = || self.up.status()["fleets"][0]["status"]["held"].clone();
        let held = wait_for("the revision is held", look, |held| held[0].is_object());
        assert!(held[0]["message"].as_str().unwrap().contains("Allow-Deletion"), "{held}");
        self.says();
        self.repository.revert();
        self.wait_nothing_held();
    }

    /// Kills `wasmbed up` as power loss does, and returns what children it had.
    fn kill_up(&mut self) -> Vec<u32> {
        let children = self.up.children();
        self.up.process.kill();
        children
    }

    fn start_again(&mut self) {
        self.up = Up::start(&self.state, &self.repository.bare);
        self.first = self.up.logs("first");
    }

    fn killing_amid_a_build_loses_nothing(&mut self) {
        let cluster = self.cluster();
        // A builder that stands still keeps the build going until everything is killed.
        let builder = Halted::new(self.up.child("builder").expect("the builder runs"));
        self.say("five");
        let look = || cluster.get::<Application>("ticker")["status"]["conditions"].clone();
        wait_for("it is being built", look, |conditions| {
            let mut conditions = conditions.as_array().into_iter().flatten();
            conditions.any(|it| it["type"] == "Built" && it["reason"] == "Building")
        });
        let children = self.kill_up();
        drop(builder);
        wait_until_ended(&children);
        self.start_again();
        self.says();
        self.up.wait_until_ready();
    }

    fn killing_everything_loses_nothing(&mut self) {
        self.own_log.next("it runs what was pushed last", |line| line.contains("five ").then_some(()));
        let mut own = Count::of(self.word, &mut self.own_log);
        let children = self.kill_up();
        wait_until_ended(&children);
        assert!(self.own.is_running(), "a device needs nobody to run on");
        own.goes_on(&mut self.own_log);
        self.start_again();
        self.up.wait_until_ready();
        self.wait_device("own", "Connected");
        own.goes_on(&mut self.own_log);

        let children = self.kill_up();
        wait_until_ended(&children);
        own.goes_on(&mut self.own_log);
        self.say("six");
        self.start_again();
        self.first = self.up.logs("own");
        self.says();
        self.up.wait_until_ready();
    }
}

/// Waits until a device says `word`, as `wasmbed logs -f` shows it.
fn says(device: &mut Running, word: &str) {
    let word = format!("{word} ");
    device.out.next(&format!("the word {word:?}"), |line| text(line)?.starts_with(&word).then_some(()));
}

/// Deletes an object's status, and waits until these fields of it are what they were.
fn comes_back<K: Kind>(cluster: &Cluster, name: &str, fields: &[&str]) {
    let kind = K::kind(&());
    let before = cluster.get::<K>(name)["status"].clone();
    for field in fields {
        assert!(!before[field].is_null(), "{kind} {name} has {field} before: {before:#}");
    }
    cluster.wipe_status::<K>(name);
    wait_for(
        &format!("the status of {kind} {name} is back as {before:#}"),
        || cluster.get::<K>(name)["status"].clone(),
        |status| fields.iter().all(|field| status[field] == before[field]),
    );
}

fn wait_until_ended(processes: &[u32]) {
    for id in processes {
        wait_for("the children end with their parent", || has_ended(*id), |ended| *ended);
    }
}
