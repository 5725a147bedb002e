//! Commands on a running fleet: the example, started as a newcomer starts it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::lines::wait_for;
use super::outcome::Outcome;
use super::repository::Repository;
use super::running::{Running, Up, program};

struct Example {
    up: Up,
    state: PathBuf,
    repository: Repository,
    _folder: tempfile::TempDir,
}

impl Example {
    /// `wasmbed up` without `--repo`, ready.
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let state = folder.path().join("s");
        let taken: Vec<u16> =
            [7443, 7444].into_iter().filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()).collect();
        let mut up = Up::start_with(&state, |_| {});
        let repository = Repository { bare: state.join("fleet.git"), copy: state.join("fleet") };
        if !taken.is_empty() {
            // Another fleet runs on this machine: what a person does then is what is done here.
            let gateways = std::fs::read_to_string(repository.copy.join("gateways.yaml")).unwrap();
            let free =
                gateways.replace("127.0.0.1:7443", "gateway-1.local").replace("127.0.0.1:7444", "gateway-2.local");
            repository.write("gateways.yaml", &free);
            repository.push(&format!("Other ports, for {taken:?} are taken"));
        }
        let ready = up.wait_until_ready();
        assert_eq!(ready["held"], 0, "nothing is held: {ready}");
        Self { up, state, repository, _folder: folder }
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        run(&self.state, &self.repository.copy, arguments)
    }

    fn json(&self, arguments: &[&str]) -> Outcome {
        self.run(&[arguments, &["--output", "json"]].concat())
    }
}

#[test]
fn the_example_fleet_comes_up_whole_and_every_command_answers() {
    let example = Example::start();
    example.everything_runs();
    example.results_are_what_applications_publish();
    example.status_goes_on_with_what_changes();
    example.reconcile_once_serves_scripts();
    let epoch = example.keys_are_shown_and_not_replaced_while_all_runs();
    let Example { up, state, repository, _folder } = example;
    assert!(up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
    let rotated = run(&state, &repository.copy, &["keys", "rotate", "release", "--output", "json"]).good();
    assert!(rotated["epoch"].as_u64().unwrap() > epoch, "{rotated}");
    assert_eq!(rotated["release"].as_array().unwrap().len(), 2, "the new one, and the one before: {rotated}");
    run(&state, &repository.copy, &["status"]).refused("is `wasmbed up` running?");

    // It goes on where it was, with the key that is new.
    let mut up = Up::start_with(&state, |_| {});
    up.wait_until_ready();
    assert!(up.process.interrupt());
}

fn run(state: &Path, folder: &Path, arguments: &[&str]) -> Outcome {
    Outcome::of(program().env("WASMBED_STATE", state).current_dir(folder).args(arguments))
}

impl Example {
    fn everything_runs(&self) {
        let status = self.json(&["status"]).good();
        let names = |kind: &str| -> Vec<String> {
            status[kind].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("devices"), ["bench-1", "bench-2", "door-1", "roof-1", "roof-2"]);
        assert_eq!(names("gateways"), ["gateway-1", "gateway-2"]);
        assert_eq!(names("applications"), ["hello-world", "led-blinker", "network-test", "sensor-reader"]);
        let of = |kind: &str, field: &str| -> Vec<Value> {
            status[kind].as_array().unwrap().iter().map(|it| it["status"][field].clone()).collect()
        };
        assert_eq!(of("devices", "phase"), vec![json!("Connected"); 5]);
        assert_eq!(of("gateways", "phase"), vec![json!("Running"); 2]);
        let text = self.run(&["status"]);
        assert_eq!(text.code(), 0);
        for word in ["APPLICATION", "sensor-reader", "DEVICE", "bench-1", "GATEWAY", "gateway-2"] {
            assert!(text.text().contains(word), "{word} in\n{}", text.text());
        }
    }

    fn results_are_what_applications_publish(&self) {
        // What was published before is shown too, so one reading is enough.
        let look = || self.json(&["results", "sensor-reader"]);
        let outcome = wait_for("a sensor publishes", || look().lines(), |lines| !lines.is_empty());
        for line in &outcome {
            assert_eq!((&line["application"], &line["topic"]), (&json!("sensor-reader"), &json!("sensors/voltage")));
            assert!(line["value"]["millivolts"].is_u64() && line["timeMs"].is_u64(), "{line}");
            assert!(line["device"].as_str().unwrap().starts_with("roof-"), "{line}");
        }
        assert!(self.run(&["results", "sensor-reader"]).text().contains("sensors/voltage {"));
        let none = self.json(&["results", "hello-world"]);
        assert_eq!((none.code(), none.text().as_str()), (0, ""), "it publishes nothing");
    }

    fn status_goes_on_with_what_changes(&self) {
        let mut watching =
            Running::start("wasmbed status -w", self.up.command(&["status", "-w"]).args(["--output", "json"]));
        let applied = |line: &str| {
            let status: Value = serde_json::from_str(line).unwrap();
            status["fleets"][0]["status"]["appliedRevision"].as_str().map(str::to_owned)
        };
        let head = self.repository.head();
        watching.out.next("what is", |line| applied(line).filter(|it| *it == head));
        let source = std::fs::read_to_string(self.repository.copy.join("apps/hello-world/src/main.rs")).unwrap();
        self.repository.write("apps/hello-world/src/main.rs", &source.replace("Hello from Wasmbed!", "Good morning!"));
        let head = self.repository.push("Say good morning");
        watching.out.next("what changed", |line| applied(line).filter(|it| *it == head));
        assert!(self.repository.git(&["log", "-1", "--format=%s"]).contains("Say good morning"));
    }

    fn reconcile_once_serves_scripts(&self) {
        let head = self.repository.head();
        let made = self.json(&["reconcile", "--once"]).good();
        assert_eq!((&made["observedRevision"], &made["appliedRevision"]), (&json!(head), &json!(head)), "{made}");
        assert_eq!((&made["held"], &made["failures"]), (&json!([]), &json!([])), "{made}");
        assert!(made["sourceError"].is_null() && made["compiled"] == 0, "what is built is not built again: {made}");
        assert_eq!(self.json(&["plan", "--live"]).good()["changes"], json!([]), "and nothing would change");

        self.repository.write("broken.yaml", "apiVersion: wasmbed.github.io/v0\nkind: Device\nspec: {}\n");
        let broken = self.repository.push("Break it");
        let made = self.json(&["reconcile", "--once"]).bad();
        assert_eq!((&made["observedRevision"], &made["held"][0]["file"]), (&json!(broken), &json!("broken.yaml")));
        let text = self.run(&["reconcile", "--once"]);
        assert_eq!(text.code(), 1);
        assert!(text.text().contains("held     revision: "), "{}", text.text());
        self.repository.revert();
        self.json(&["reconcile", "--once"]).good();
    }

    /// Returns the epoch of the key set.
    fn keys_are_shown_and_not_replaced_while_all_runs(&self) -> u64 {
        let shown = self.json(&["keys", "show"]).good();
        assert_eq!(shown["fleet"], "fleet");
        for name in ["root", "gatewayCa"] {
            assert!(shown[name].as_str().unwrap().starts_with("ssh-ed25519 "), "{shown}");
        }
        for name in ["release", "assignment"] {
            assert_eq!(shown[name].as_array().unwrap().len(), 1, "{shown}");
        }
        self.json(&["keys", "rotate", "release"]).refused("a key is replaced while nothing runs");
        shown["epoch"].as_u64().unwrap()
    }
}
