//! Every way in which a declaration can be wrong has its place, its expectation and its help.

use wasmbed_api::declarations::{Context, Object, Report, TreeView, check, parse, read, set_public_key};
use wasmbed_api::{Name, PublicKey};

const DEVICE: &str = "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata:\n  name: sensor-1\nspec:\n";
const APPLICATION: &str =
    "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata:\n  name: hello\nspec:\n";
const GATEWAY: &str = "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata:\n  name: gateway-1\nspec:\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

struct Folders(&'static [&'static str]);

impl TreeView for Folders {
    fn has_folder(&self, path: &str) -> bool {
        self.0.contains(&path)
    }
    fn folders(&self) -> Vec<String> {
        self.0.iter().map(|&folder| folder.to_owned()).collect()
    }
}

const CONTEXT: Context<'static> =
    Context { namespace: Some("home"), tree: Some(&Folders(&["apps/hello", "apps/blink"])) };

/// The report of one file, whose errors stand in lines from 1.
fn report_of(file: &str) -> Report {
    read([("f.yaml", file.as_bytes())], &CONTEXT).expect_err("the file is wrong")
}

fn errors(file: &str) -> Vec<String> {
    report_of(file).errors.iter().map(ToString::to_string).collect()
}

/// The only error of a file.
fn error(file: &str) -> String {
    let errors = errors(file);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.into_iter().next().expect("one")
}

fn device(spec: &str) -> String {
    format!("{DEVICE}{spec}")
}

fn application(spec: &str) -> String {
    format!("{APPLICATION}  source: {{path: apps/hello}}\n  targetSelector: {{}}\n{spec}")
}

fn gateway(spec: &str) -> String {
    format!("{GATEWAY}{spec}")
}

#[track_caller]
fn shows(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}

#[test]
fn yaml_syntax() {
    shows(&error("a: [1,\nb: 2"), &["f.yaml:2:", "error: YAML: "]);
    shows(&error("a:\n\t- b"), &["f.yaml:2:", "error: YAML: "]);
    shows(&error("a: 'x"), &["error: YAML: "]);
    shows(&error("a: *b"), &["f.yaml:1:4: error: YAML: "]);
}

#[test]
fn a_file_that_is_not_utf_8() {
    let report = read([("f.yaml", b"a: b\nc: \xff".as_slice())], &CONTEXT).expect_err("wrong");
    assert_eq!(report.to_string(), "f.yaml:2:4: error: the file is not UTF-8\n  expected text in UTF-8");
}

#[test]
fn a_file_that_is_too_large() {
    shows(&error(&" ".repeat((4 << 20) + 1)), &["f.yaml:1:1: error: the file has 4194305 bytes", "at most 4194304"]);
}

#[test]
fn an_unknown_field_names_the_nearest_valid_one() {
    shows(
        &error(&device("  mcutype: Host\n")),
        &[
            "f.yaml:6:3: error: unknown field `mcutype` (Device `sensor-1`, spec.mcutype)",
            "expected one of `architecture`, `deviceType`, `emulation`, `gatewayId`, `mcuType`",
            "help: did you mean `mcuType`?",
        ],
    );
    shows(&error(&application("  config:\n    memory-limit: 1\n")), &["f.yaml:9:5", "did you mean `memoryLimit`?"]);
    shows(&error(&format!("{}  x: y\nsepc: {{}}\n", device("").replace("spec:\n", "spec: {}\n"))), &["YAML"]);
    shows(&error(&format!("{DEVICE}  mcuType: Host\nextra: 1\n")), &["f.yaml:7:1: error: unknown field `extra`"]);
    shows(&error(&device("  emulation: {backedn: host}\n")), &["f.yaml:6:15", "did you mean `backend`?"]);
    shows(&error(&device("  <<: {a: b}\n")), &["merge keys are not read"]);
}

#[test]
fn a_value_of_the_wrong_type() {
    shows(&error(&device("  mcuType: 5\n")), &["f.yaml:6:12: error: found the number `5`", "expected one of `Host`"]);
    shows(
        &error(&device("  emulation: {running: yes}\n")),
        &["found the text `yes`", "expected `true` or `false`", "help: write `true`"],
    );
    shows(
        &error(&device("  emulation: []\n")),
        &["found a list", "expected a map with fields of `backend`, `running`"],
    );
    shows(
        &error(&application("  config: {envVars: {A: 1}}\n")),
        &["spec.config.envVars.A", "expected text", "help: quote it: `\"1\"`"],
    );
    shows(
        &error(&application("  config: {args: -v}\n")),
        &["expected a list, each item text", "help: write a list: `[-v]`"],
    );
    shows(
        &error(&application("  config: {maxRestarts: '3'}\n")),
        &["a whole number of 0 to 1000000", "without quotes: `3`"],
    );
    shows(&error(&application("  config: {maxRestarts: -1}\n")), &["the number `-1` is out of range"]);
    shows(&error(&application("  metadata: 5\n")), &["found the number `5`", "expected a map"]);
    shows(&error(&device("").replace("spec:\n", "spec: 5\n")), &["f.yaml:5:7", "expected a map with fields of"]);
    shows(&error(&gateway("  capabilities: [1]\n")), &["spec.capabilities[0]"]);
}

#[test]
fn an_unknown_word_names_the_nearest_valid_one() {
    shows(&error(&device("  mcuType: Mps2an385\n")), &["unknown value `Mps2an385`", "did you mean `Mps2An385`?"]);
    shows(
        &error(&application("").replace("path: apps/hello", "path: apps/hello, language: rsut")),
        &["did you mean `rust`?"],
    );
}

#[test]
fn a_duplicate_key_names_the_line_of_the_first() {
    shows(
        &error(&device("  mcuType: Host\n  gatewayId: gateway-1\n  mcuType: Host\n")),
        &["f.yaml:8:3: error: duplicate key `mcuType`", "help: it stands in line 6 already"],
    );
}

#[test]
fn a_duplicate_object_names_the_place_of_the_first() {
    let one = device("  mcuType: Host\n");
    let report = read([("a.yaml", one.as_bytes()), ("b.yaml", one.as_bytes())], &CONTEXT).expect_err("wrong");
    assert_eq!(
        report.to_string(),
        "b.yaml:4:9: error: Device `sensor-1` is declared twice (metadata.name)\n  \
         help: it stands in a.yaml:1 already; rename or remove one"
    );
    // One that has errors of its own counts too.
    let wrong = device("  mcuType: Hots\n");
    let report = read([("a.yaml", one.as_bytes()), ("b.yaml", wrong.as_bytes())], &CONTEXT).expect_err("wrong");
    assert_eq!(report.errors.len(), 2, "{report}");
}

#[test]
fn a_missing_source_path_names_the_nearest_folder() {
    shows(
        &error(&application("").replace("apps/hello", "apps/helo")),
        &[
            "f.yaml:6:18: error: there is no folder `apps/helo` (Application `hello`, spec.source.path)",
            "did you mean `apps/hello`?",
        ],
    );
    for path in ["../secret", "/etc", "apps/../../x", "a\\\\b"] {
        shows(&error(&application("").replace("apps/hello", path)), &["expected a folder within the fleet"]);
    }
    shows(&error(&application("").replace("{path: apps/hello}", "{language: rust}")), &["`path` is missing"]);
    let accepted = application("").replace("apps/hello", "./apps/hello/");
    read([("f.yaml", accepted.as_bytes())], &CONTEXT).expect("the same folder");
}

#[test]
fn an_unknown_device_or_gateway_names_the_nearest_declared_one() {
    let all = [device("  gatewayId: gateway-2\n"), gateway("  region: x\n")].join("---\n");
    shows(&error(&all), &["f.yaml:6:14: error: there is no Gateway `gateway-2`", "did you mean `gateway-1`?"]);
    let all = [device("  mcuType: Host\n"), application("  targetDevices: [sensor-1, sensr-1]\n")].join("---\n");
    shows(
        &error(&all),
        &["there is no Device `sensr-1` (Application `hello`, spec.targetDevices[1])", "did you mean `sensor-1`?"],
    );
    let old = application("  targetDevices: {deviceNames: [nobody]}\n");
    shows(&error(&old), &["there is no Device `nobody`"]);
}

#[test]
fn what_a_broken_declaration_declares_is_not_reported_missing() {
    let all = [device("  mcuType: Hots\n"), application("  targetDevices: [sensor-1]\n")].join("---\n");
    shows(&error(&all), &["unknown value `Hots`"]);
    // Nor is what an unreadable file may declare.
    let using = application("  targetDevices: [sensor-1]\n");
    let files = [("a.yaml", using.as_bytes()), ("b.yaml", b"kind: [".as_slice())];
    let report = read(files, &CONTEXT).expect_err("wrong");
    assert_eq!(report.errors.len(), 1, "{report}");
}

#[test]
fn an_invalid_name() {
    for name in ["Sensor", "-a", "a-", "a_b", "a..b", "'a b'", "''", &"a".repeat(64)] {
        let file = device("  mcuType: Host\n").replace("sensor-1", name);
        shows(&error(&file), &["f.yaml:4:9: error: invalid value", "RFC 1123"]);
    }
    shows(&error(&device("  mcuType: Host\n").replace("name: sensor-1", "labels: {}")), &["`name` is missing"]);
    shows(
        &error(&device("  mcuType: Host\n").replace("name: sensor-1", "name: 5")),
        &["found the number `5`", "quote it"],
    );
}

#[test]
fn an_invalid_key() {
    for key in ["abc", "ssh-rsa AAAA", "ssh-ed25519 AAAAC3", &"A".repeat(44), "'='", &KEY[..70]] {
        shows(&error(&device(&format!("  publicKey: {key}\n"))), &["spec.publicKey", "Ed25519 public key"]);
    }
    // 32 bytes of zero are a point of small order.
    let weak = format!("{}=", "A".repeat(43));
    shows(&error(&device(&format!("  publicKey: {weak}\n"))), &["a usable Ed25519 public key"]);
    shows(&error(&device(&format!("  pairing: {{publicKey: {weak}}}\n"))), &["spec.pairing.publicKey"]);
}

#[test]
fn an_invalid_quantity_duration_or_moment() {
    for (field, value, expected) in [
        ("memoryLimit", "64KB", "an amount of memory, such as `64Ki`"),
        ("memoryLimit", "5Gi", "between 1 byte and `4Gi`"),
        ("memoryLimit", "0", "between 1 byte and `4Gi`"),
        ("memoryLimit", "-1", "an amount of memory"),
        ("memoryLimit", "1.5", "an amount of memory"),
        ("cpuTimeLimit", "2", "between `1m` and `1000m`"),
        ("cpuTimeLimit", "1001m", "between `1m` and `1000m`"),
        ("cpuTimeLimit", "0.5", "a share of one processor"),
        ("cpu_time_limit", "1001", "of 1 to 1000"),
        ("memory_limit", "64Ki", "a whole number"),
        ("ioLimit", "{logBytesPerSecond: x}", "an amount of memory"),
    ] {
        let error = error(&application(&format!("  config: {{{field}: {value}}}\n")));
        shows(&error, &[&format!("spec.config.{field}"), expected]);
    }
    for value in ["30", "30 s", "1d", "s", "-1s", "1.5s", "''", "1h1m1s1ms1h"] {
        let file = gateway(&format!("  config: {{enrollmentTimeout: {value}}}\n"));
        shows(&error(&file), &["spec.config.enrollmentTimeout", "a duration such as `30s`"]);
    }
    for value in ["2026-13-01T00:00:00Z", "now", "2026-01-01", "5"] {
        shows(&error(&application(&format!("  restartedAt: {value}\n"))), &["spec.restartedAt", "RFC 3339"]);
    }
}

#[test]
fn gateway_times_that_drop_every_device() {
    let file = gateway("  config: {heartbeatInterval: 30s, connectionTimeout: 30s}\n");
    shows(&error(&file), &["`connectionTimeout` is not longer than `heartbeatInterval`", "such as `90s`"]);
    shows(&error(&gateway("  config: {heartbeatInterval: 20m}\n")), &["not longer"]);
    shows(&error(&gateway("  config: {heartbeatInterval: 500ms}\n")), &["below a second"]);
    shows(&error(&gateway("  endpoint: 'a b:1'\n")), &["a host with an optional port"]);
    shows(&error(&gateway("  port: 70000\n")), &["the number `70000` is out of range", "1 to 65535"]);
}

#[test]
fn two_devices_with_one_key() {
    let one = device(&format!("  publicKey: {KEY}\n"));
    let base64 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let two = device(&format!("  publicKey: {base64}\n")).replace("sensor-1", "sensor-2");
    let report = read([("a.yaml", one.as_bytes()), ("b.yaml", two.as_bytes())], &CONTEXT).expect_err("wrong");
    shows(
        &report.to_string(),
        &["b.yaml:6:14: error: Device `sensor-1` has the same public key", "it stands in a.yaml:1"],
    );
}

#[test]
fn a_source_and_a_module_or_neither() {
    let both = application("  wasmBytes: AGFzbQEAAAA=\n");
    shows(&error(&both), &["f.yaml:8:3: error: both `source` and `wasmBytes` are given"]);
    let neither = format!("{APPLICATION}  targetSelector: {{}}\n");
    shows(&error(&neither), &["neither `source` nor `wasmBytes`", "`source: {path: ...}`"]);
    let text = format!("{APPLICATION}  targetSelector: {{}}\n  wasmBytes: aGVsbG8=\n");
    shows(&error(&text), &["the bytes are not a WebAssembly module"]);
    let garbage = format!("{APPLICATION}  targetSelector: {{}}\n  wasmBytes: 'AGFzbQ '\n");
    shows(&error(&garbage), &["expected base64 on one line"]);
}

#[test]
fn kinds_that_are_not_declared_in_a_repository() {
    for kind in ["Fleet", "Release", "Rollout"] {
        let file = format!("apiVersion: wasmbed.github.io/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\n");
        shows(&error(&file), &[&format!("f.yaml:2:7: error: a {kind} is not declared in a repository")]);
    }
}

#[test]
fn kinds_and_versions_that_there_are_not() {
    shows(&error("apiVersion: wasmbed.github.io/v0\nkind: Devise\n"), &["f.yaml:2:7", "did you mean `Device`?"]);
    let file = "apiVersion: wasmbed.github.io/v1alpha1\nkind: Device\n";
    shows(&error(file), &["f.yaml:1:13: error: `Device` is not of", "`wasmbed.github.io/v0`"]);
    shows(&error("apiVersion: wasmbed.gihub.io/v0\nkind: Device\n"), &["write `apiVersion: wasmbed.github.io/v0`"]);
    shows(&error("kind: Device\nspec: {}\n"), &["`apiVersion` is missing", "`wasmbed.github.io/v0`"]);
    shows(&error("apiVersion: wasmbed.io/v1\nspec: {}\n"), &["`kind` is missing"]);
    shows(&error("apiVersion: 5\nkind: Device\n"), &["found the number `5`"]);
    shows(&error("metadata: {name: x}\nspec: {}\n"), &["`apiVersion` is missing"]);
    shows(&error("apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {name: x}\n"), &["`spec` is missing"]);
    shows(&error("apiVersion: wasmbed.github.io/v0\nkind: Device\nspec: {}\n"), &["`metadata` is missing"]);
}

#[test]
fn documents_of_other_groups_are_ignored_with_a_note() {
    let file = "apiVersion: apps/v1\nkind: Deployment\nwhatever: 1\n---\njobs: {build: {}}\n---\n- a list\n---\n---\n";
    let parsed = parse(file.as_bytes());
    let notes: Vec<_> = parsed.findings.iter().map(|f| (f.position.line, f.message.as_str())).collect();
    assert_eq!(
        notes,
        [
            (1, "the document is ignored: it is a `Deployment` of `apps/v1`"),
            (5, "the document is ignored: it has no `apiVersion` and no `kind`"),
            (7, "the document is ignored: a list"),
        ]
    );
    assert!(parsed.is_valid() && parsed.declarations.is_empty());
}

#[test]
fn a_namespace_that_is_not_the_fleets() {
    let file = |namespace: &str| {
        device("  mcuType: Host\n").replace("name: sensor-1", &format!("name: sensor-1\n  namespace: {namespace}"))
    };
    shows(&error(&file("other")), &["f.yaml:5:14: error: the namespace `other` is not the fleet's", "`home`"]);
    read([("f.yaml", file("home").as_bytes())], &CONTEXT).expect("its own");
    read([("f.yaml", file("other").as_bytes())], &Context::default()).expect("unknown is any");
}

#[test]
fn metadata_that_is_not_a_declarations_to_write() {
    let file = |metadata: &str| device("  mcuType: Host\n").replace("name: sensor-1", metadata);
    shows(&error(&file("name: a\n  uid: x")), &["unknown field `uid`", "Kubernetes sets it; leave it out"]);
    shows(&error(&file("name: a\n  lables: {}")), &["did you mean `labels`?"]);
    shows(&error(&file("name: a\n  labels: {wasmbed.github.io/fleet: x}")), &["is set by Wasmbed"]);
    shows(&error(&file("name: a\n  labels: {room: 'x y'}")), &["invalid label value"]);
    shows(&error(&file("name: a\n  labels: {'a b': x}")), &["invalid key `a b`"]);
    shows(&error(&file("name: a\n  labels: {room: 1}")), &["metadata.labels.room", "quote it"]);
}

#[test]
fn a_label_selector_that_says_nothing() {
    let file = |selector: &str| application("").replace("targetSelector: {}", &format!("targetSelector: {selector}"));
    shows(&error(&file("{matchLabel: {a: b}}")), &["did you mean `matchLabels`?"]);
    shows(&error(&file("{matchLabels: {a: 'b c'}}")), &["invalid label value"]);
    shows(&error(&file("{matchExpressions: [{key: a, operator: Is, values: [x]}]}")), &["unknown value `Is`"]);
    shows(&error(&file("{matchExpressions: [{key: a, operator: In}]}")), &["`values` is missing"]);
    shows(&error(&file("{matchExpressions: [{key: a, operator: Exists, values: [x]}]}")), &["no meaning here"]);
    shows(&error(&file("{matchExpressions: [{operator: Exists}]}")), &["`key` is missing"]);
}

#[test]
fn a_capability_that_there_is_not() {
    shows(&error(&application("  capabilities: {publish: ['a//b']}\n")), &["spec.capabilities.publish[0]", "a topic"]);
    shows(&error(&application("  capabilities: {publish: ['a/*/b']}\n")), &["a topic"]);
    shows(&error(&application("  capabilities: {network: [example.org]}\n")), &["a host and a port"]);
    shows(&error(&application("  capabilities: {gpio: ['led 0']}\n")), &["the name of a pin"]);
    shows(&error(&application("  capabilities: {gpoi: [led0]}\n")), &["did you mean `gpio`?"]);
}

#[test]
fn aliases_that_unfold_without_end() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (from, to) in "abcdefghijk".chars().zip("bcdefghijkl".chars()) {
        bomb += &format!("{to}: &{to} [*{from},*{from},*{from},*{from},*{from},*{from},*{from},*{from}]\n");
    }
    let started = std::time::Instant::now();
    shows(&error(&bomb), &["aliases unfold to too much", "help: write the values out"]);
    assert!(started.elapsed().as_secs() < 5);
    shows(&error("a: &a [*a]"), &["an alias within its own anchor"]);
}

#[test]
fn anchors_within_reason_are_read() {
    let file = device("  mcuType: &board Host\n") + "---\n" + &application("  config: {args: [&x a, *x]}\n");
    let files = read([("f.yaml", file.as_bytes())], &CONTEXT).expect("valid");
    let Object::Application(application) = &files[0].1.declarations[1].object else { panic!("an Application") };
    assert_eq!(application.spec.config.as_ref().expect("there").args, ["a", "a"]);
}

#[test]
fn nesting_without_end() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        for depth in [65, 200, 5_000] {
            let file = format!("a: {}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(errors(&file).len(), 1, "{depth}");
        }
    }
    let block: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    shows(&error(&block), &["too deeply"]);
}

#[test]
fn tags_and_odd_keys() {
    shows(&error("a: !secret b"), &["a YAML tag that is not read here"]);
    shows(&error("a: !!binary AAAA"), &["a YAML tag"]);
    shows(&error("? [a]\n: b"), &["a key is a list or a map"]);
    let file = device("  architecture: !!str 5\n");
    read([("f.yaml", file.as_bytes())], &CONTEXT).expect("text");
}

#[test]
fn all_errors_of_all_files_at_once_in_order() {
    let one = device("  mcuTyp: Host\n  publicKey: x\n  emulation: {backend: nobody, running: 1}\n");
    let two = application("  config: {memoryLimit: lots}\n") + "---\n" + &gateway("  port: 0\n");
    let report = read([("z.yaml", one.as_bytes()), ("a.yaml", two.as_bytes())], &CONTEXT).expect_err("wrong");
    let places: Vec<_> = report
        .errors
        .iter()
        .map(|p| format!("{}:{}:{}", p.file, p.finding.position.line, p.finding.position.column))
        .collect();
    assert_eq!(places, ["z.yaml:6:3", "z.yaml:7:14", "z.yaml:8:24", "z.yaml:8:41", "a.yaml:8:25", "a.yaml:15:9"]);
}

#[test]
fn the_seeds_forms_are_accepted_unchanged_with_a_note_that_names_the_new_form() {
    let file = include_str!("seed.yaml");
    let parsed = parse(file.as_bytes());
    let checked = check([("f.yaml", &parsed)], &CONTEXT).expect("valid");
    let notes: Vec<_> =
        checked.notes.iter().map(|p| (p.finding.position.line, p.finding.help.as_deref().expect("help"))).collect();
    assert_eq!(
        notes,
        [
            (8, "write `gatewayId: gateway-1`"),
            (22, "write `targetDevices: [...]`, a plain list"),
            (23, "write `targetSelector: {matchLabels: {room: kitchen}}`"),
            (24, "write `targetSelector: {}`"),
            (26, "write `memoryLimit: 64Ki`"),
            (27, "write `cpuTimeLimit: 250m`"),
            (28, "write `envVars: {...}`"),
            (30, "write `autoRestart: true`"),
            (31, "write `maxRestarts: 3`"),
        ]
    );
    let Object::Device(device) = &parsed.declarations[0].object else { panic!("a Device") };
    assert_eq!(device.spec.gateway_id.as_ref().expect("there").as_str(), "gateway-1");
    assert!(device.status.is_none() && device.spec.is_emulated());
    let Object::Application(hello) = &parsed.declarations[1].object else { panic!("an Application") };
    assert_eq!(hello.spec.config.as_ref().expect("there").limits().memory_bytes, 65536);
}

#[test]
fn the_smallest_device_of_the_seed_is_whole() {
    let file = "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {name: a}\nspec: {architecture: ARM_CORTEX_M, mcuType: RenodeArduinoNano33Ble}\n";
    let files = read([("f.yaml", file.as_bytes())], &CONTEXT).expect("valid");
    assert!(files[0].1.findings.is_empty());
}

#[test]
fn an_old_and_a_new_form_of_one_field_at_once() {
    let file = application("  config:\n    memoryLimit: 1Ki\n    memory_limit: 1024\n");
    shows(&error(&file), &["f.yaml:10:5: error: both `memory_limit` and `memoryLimit` are given", "line 9"]);
    let file = device("  gatewayId: a\n  preferredGateway: a\n");
    shows(&errors(&file)[0], &["both `preferredGateway` and `gatewayId` are given"]);
}

#[test]
fn a_report_is_readable_by_programs() {
    let report = report_of(&device("  mcutype: Host\n"));
    let json = serde_json::to_value(&report).expect("plain");
    assert_eq!(json["errors"][0]["file"], "f.yaml");
    assert_eq!(json["errors"][0]["line"], 6);
    assert_eq!(json["errors"][0]["column"], 3);
    assert_eq!(json["errors"][0]["severity"], "error");
    assert_eq!(json["errors"][0]["help"], "did you mean `mcuType`?");
}

#[test]
fn only_visible_yaml_files_are_declarations() {
    use wasmbed_api::declarations::is_declaration_file;
    for yes in ["a.yaml", "devices/a.yml", "./a.yaml"] {
        assert!(is_declaration_file(yes), "{yes}");
    }
    for no in ["a.json", ".github/workflows/ci.yml", "x/.a.yaml", "README.md", "yaml"] {
        assert!(!is_declaration_file(no), "{no}");
    }
}

#[test]
fn a_key_is_written_into_a_file_that_is_otherwise_left_alone() {
    let name: Name = "sensor-1".parse().expect("a name");
    let key: PublicKey = KEY.parse().expect("a key");
    let edit = |file: &str| set_public_key(file.as_bytes(), &name, &key).map(|b| String::from_utf8(b).expect("UTF-8"));
    let block = format!("# mine\n{}", device("  # the board\n  mcuType: Host # yes\n"));
    assert_eq!(edit(&block).expect("edited"), block.replace("  mcuType", &format!("  publicKey: {KEY}\n  mcuType")));
    let flow = device("").replace("spec:\n", "spec: {mcuType: Host}\n");
    assert_eq!(edit(&flow).expect("edited"), flow.replace("{mcuType", &format!("{{publicKey: {KEY}, mcuType")));
    let empty = device("").replace("spec:\n", "spec: {}\n");
    assert!(edit(&empty).expect("edited").contains("spec: {publicKey: ssh-ed25519"));
    let second = format!("{}---\n{}", device("  mcuType: Host\n").replace("sensor-1", "other"), block);
    let edited = edit(&second).expect("edited");
    assert_eq!(edited.matches("publicKey").count(), 1);
    assert!(edited.find("publicKey").expect("there") > edited.find("# mine").expect("there"));
    assert!(edit(&device(&format!("  publicKey: {KEY}\n"))).expect_err("has one").to_string().contains("line 6"));
    assert!(edit("a: b").expect_err("no device").to_string().contains("no Device `sensor-1`"));
    assert!(edit(&device("").replace("spec:\n", "spec: &a\n  mcuType: Host\n")).is_ok());
}

#[test]
fn line_breaks_of_other_alphabets_survive_printing() {
    let file = device("  architecture: x\n")
        .replace("metadata:", "metadata:\n  annotations: {a: \"x\\u2028y\\u0085z\\u2029\"}");
    let parsed = parse(file.as_bytes());
    let printed = parsed.declarations[0].object.to_yaml();
    assert_eq!(parse(printed.as_bytes()).declarations[0].object, parsed.declarations[0].object);
}

#[test]
fn duplicate_keys_of_foreign_documents_are_nobodys_business() {
    let parsed = parse(b"a: 1\na: 2\n");
    assert!(parsed.is_valid(), "{:#?}", parsed.findings);
}

#[test]
fn a_file_full_of_errors_has_a_bounded_report() {
    let file = device(&(0..5_000).map(|n| format!("  x{n}: 1\n")).collect::<String>());
    let report = report_of(&file);
    assert_eq!(report.errors.len(), 1001);
    shows(&report.errors[1000].to_string(), &["and 4000 findings more from here on"]);
}
