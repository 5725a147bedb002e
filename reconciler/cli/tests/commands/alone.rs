//! Commands that need a folder and nothing else.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::outcome::Outcome;
use super::running::program;

const JSON: [&str; 2] = ["--output", "json"];

#[test]
fn validate_says_whether_declarations_are_good_and_where_they_are_not() {
    let fleet = Fleet::new();
    assert_eq!(fleet.run(&["validate", JSON[0], JSON[1]]).good(), json!({ "valid": true, "errors": [], "notes": [] }));
    let text = fleet.run(&["validate"]);
    assert_eq!((text.code(), text.text().as_str()), (0, ". is valid\n"));

    fleet.repository.write(
        "broken.yaml",
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {name: broken}\nspec:\n  mcuTyp: Host\n",
    );
    let said = fleet.run(&["validate", JSON[0], JSON[1]]).bad();
    assert_eq!(said["valid"], false);
    let error = &said["errors"][0];
    assert_eq!((&error["file"], &error["line"]), (&json!("broken.yaml"), &json!(5)), "{said}");
    assert!(fleet.run(&["validate"]).text().starts_with("broken.yaml:5:"));
    fleet.run(&["validate", "nowhere"]).refused("nowhere is no folder");
}

#[test]
fn plan_says_what_a_revision_would_change() {
    let fleet = Fleet::new();
    let first = fleet.repository.head();
    let made = fleet.run(&["plan", JSON[0], JSON[1]]).good();
    assert_eq!((&made["head"], &made["base"], &made["errors"]), (&json!(first), &Value::Null, &json!([])));
    let kinds: Vec<_> = made["changes"].as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    let of = |kind: &str| kinds.iter().filter(|of| *of == kind).count();
    assert_eq!((of("Device"), of("Gateway"), of("Application")), (5, 2, 4), "{made}");
    assert_eq!(made["builds"].as_array().unwrap().len(), 4);

    let devices = std::fs::read_to_string(fleet.copy().join("devices.yaml")).unwrap();
    fleet.repository.write("devices.yaml", &devices.replacen("site: bench", "site: cellar", 1));
    let second = fleet.repository.push("Another place");
    let made = fleet.run(&["plan", JSON[0], JSON[1]]).good();
    assert_eq!((&made["head"], &made["base"]), (&json!(second), &json!(first)));
    let changes = made["changes"].as_array().unwrap();
    let is_bench = |change: &&Value| change["kind"] == "Device" && change["name"] == "bench-1";
    let change = changes.iter().find(is_bench).unwrap_or_else(|| panic!("{made}"));
    assert_eq!(change["action"], "update");
    assert_eq!(made["builds"], json!([]), "no source changed");
    let same = fleet.run(&["plan", ".", "HEAD", "--from", "HEAD", JSON[0], JSON[1]]).good();
    assert_eq!(same["changes"], json!([]));

    fleet.repository.write("more.yaml", "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata: {name: 7}\nspec: {}\n");
    fleet.repository.push("Break it");
    let held = fleet.run(&["plan", JSON[0], JSON[1]]).bad();
    assert_eq!((&held["errors"][0]["file"], &held["errors"][0]["line"]), (&json!("more.yaml"), &json!(3)), "{held}");
    fleet.run(&["plan", ".", "nothing-of-this-name"]).refused("nothing-of-this-name");
    fleet.run(&["plan", "/proc"]).refused("/proc");
}

#[test]
fn build_makes_modules_or_quotes_the_compiler() {
    let fleet = Fleet::new();
    let modules = fleet.copy().join("modules");
    let to = modules.to_str().unwrap();
    let made = fleet.run(&["build", "hello-world", "--to", to, JSON[0], JSON[1]]).good();
    assert_eq!((&made["application"], made["digest"].as_str().unwrap().len()), (&json!("hello-world"), 64));
    let module = std::fs::read(made["file"].as_str().unwrap()).unwrap();
    assert!(module.starts_with(b"\0asm") && made["bytes"] == module.len(), "{made}");
    let text = fleet.run(&["build", "hello-world"]);
    assert_eq!(text.code(), 0);
    assert!(text.text().starts_with(&format!("hello-world: {} bytes, sha256 ", module.len())), "{}", text.text());

    fleet.repository.write("apps/hello-world/src/main.rs", "pub fn main() {\n    missing();\n}\n");
    let said = fleet.run(&["build", "hello-world", JSON[0], JSON[1]]).bad();
    assert_eq!(said["application"], "hello-world");
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("apps/hello-world/src/main.rs:2") && error.contains("missing"), "{error}");
    fleet.run(&["build", "nothing", JSON[0], JSON[1]]).refused("declares an Application nothing");
}

#[test]
fn build_holds_an_application_against_the_boards_that_the_folder_declares() {
    let fleet = Fleet::new();
    let file = "apps/hello-world/application.yaml";
    let application = std::fs::read_to_string(fleet.copy().join(file)).unwrap();
    let with_limit = format!("{}\n  config:\n    memoryLimit: 262144\n", application.trim_end());
    fleet.repository.write(file, &with_limit.replace("targetDevices: [", "targetDevices: [small, "));
    let small =
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata:\n  name: small\nspec:\n  mcuType: Stm32F4Disco\n";
    fleet.repository.write("small.yaml", small);
    let said = fleet.run(&["build", "hello-world", JSON[0], JSON[1]]).bad();
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("config.memoryLimit is 262144 bytes, and Stm32F4Disco has "), "{error}");
}

/// The disk is a small one in memory, which `bwrap` makes for one process.
#[test]
fn a_full_disk_fails_a_build_with_that_reason_and_the_next_one_with_room_succeeds() {
    let fleet = Fleet::new();
    let state = fleet.small_state();
    let on_a_disk_of = |bytes: &str| {
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--size", bytes, "--tmpfs"]).arg(&state);
        command.arg("--bind").arg(Fleet::libraries()).arg(state.join("builder/toolchains"));
        command.arg(program().get_program()).args(["build", "hello-world", JSON[0], JSON[1], "--state"]).arg(&state);
        command.current_dir(fleet.copy());
        Outcome::of(&mut command)
    };
    // Prepares the libraries, which lie elsewhere.
    let made = fleet.run(&["build", "hello-world", JSON[0], JSON[1]]).good();
    if !fleet.can_make_disks() {
        let skipped = b"SKIPPED: bwrap makes no small disk here, so a full one is not tried\n";
        return std::io::stderr().write_all(skipped).unwrap();
    }
    let said = on_a_disk_of("32768").bad();
    assert!(said["error"].as_str().unwrap().contains("No space left on device"), "{said}");
    assert_eq!(on_a_disk_of("104857600").good()["digest"], made["digest"]);
}

#[test]
fn new_app_writes_what_is_valid_and_overwrites_nothing() {
    let fleet = Fleet::new();
    let made = fleet.run(&["new", "app", "thermometer", "--template", "sensor-reader", JSON[0], JSON[1]]).good();
    assert_eq!((&made["application"], &made["template"]), (&json!("thermometer"), &json!("sensor-reader")));
    let files: BTreeSet<_> = made["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    let wanted =
        ["Cargo.toml", "README.md", "application.yaml", "src/main.rs"].map(|file| format!("apps/thermometer/{file}"));
    assert_eq!(files, wanted.iter().map(String::as_str).collect());
    assert!(files.iter().all(|file| fleet.copy().join(file).is_file()));
    fleet.run(&["validate", JSON[0], JSON[1]]).good();
    fleet.run(&["new", "app", "thermometer", JSON[0], JSON[1]]).refused("is there already");
    fleet.run(&["new", "app", "other", "--template", "nothing"]).refused("nothing");
    fleet.run(&["new", "app", "Not A Name"]).refused("NAME");
    fleet.run(&["new", "app", "other", "--folder", "nowhere"]).refused("nowhere is no folder");
}

#[test]
fn crds_prints_the_kinds_for_kubectl_and_for_programs() {
    let fleet = Fleet::new();
    let listed = fleet.run(&["crds", JSON[0], JSON[1]]).good();
    let kinds: BTreeSet<_> =
        listed.as_array().unwrap().iter().map(|crd| crd["spec"]["names"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Application", "Device", "Fleet", "Gateway", "Release", "Rollout"].into());
    let yaml = fleet.run(&["crds"]).text();
    let documents: Vec<Value> =
        serde_yaml::Deserializer::from_str(&yaml).map(|document| Value::deserialize(document).unwrap()).collect();
    assert_eq!(json!(documents), listed);
}

#[test]
fn doctor_says_what_each_missing_thing_costs() {
    let fleet = Fleet::new();
    let outcome = fleet.run(&["doctor", JSON[0], JSON[1]]);
    let findings = outcome.lines().remove(0);
    let findings = findings.as_array().unwrap();
    let lacking = findings.iter().any(|it| it["needed"] == true && it["present"] == false);
    assert_eq!(outcome.code(), i32::from(lacking));
    let git = findings.iter().find(|it| it["name"] == "git").unwrap();
    assert_eq!((&git["present"], &git["needed"]), (&json!(true), &json!(true)), "these tests use it");

    let empty = tempfile::tempdir().unwrap();
    let nowhere = || {
        let mut program = program();
        program.env("PATH", empty.path()).env("WASMBED_FIRMWARE", empty.path());
        program
    };
    let outcome = Outcome::of(nowhere().args(["doctor", JSON[0], JSON[1]]));
    for finding in outcome.bad().as_array().unwrap() {
        let found = match finding["name"].as_str() {
            Some("firmware images") => format!("none in {}", empty.path().display()),
            _ => "not found".to_owned(),
        };
        assert_eq!((&finding["present"], &finding["found"]), (&json!(false), &json!(found)), "{finding}");
        assert!(finding["without"].is_string() && finding["install"].is_string(), "{finding}");
    }
    let text = Outcome::of(nowhere().arg("doctor"));
    assert_eq!(text.code(), 1);
    assert!(text.text().contains("missing git") && text.text().contains("without it: "), "{}", text.text());
}

#[test]
fn completions_are_printed_for_each_shell() {
    let fleet = Fleet::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let outcome = fleet.run(&["completions", shell]);
        assert_eq!(outcome.code(), 0, "{shell}");
        assert!(outcome.text().contains("wasmbed") && outcome.text().contains("validate"), "{shell}");
    }
    let outcome = fleet.run(&["completions", "csh"]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (2, ""));
}

#[test]
fn what_needs_a_running_fleet_says_so_where_there_is_none() {
    let fleet = Fleet::new();
    fleet.run(&["keys", "show"]).refused("there are no keys yet");
    fleet.run(&["status"]).refused("start `wasmbed up` first");
    fleet.run(&["plan", "--live"]).refused("start `wasmbed up` first");
    fleet.run(&["reconcile", "--once"]).refused("start `wasmbed up` first");
    fleet.run(&["results", "sensor-reader"]).refused("is `wasmbed up` running?");
}
