//! What holds for any input.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::string::string_regex;
use serde_json::{Value, json};
use wasmbed_api::declarations::{Object, fuzz, is_declaration_file, parse, set_public_key};
use wasmbed_api::{Application, Cpu, Device, Digest, Duration, Endpoint, Gateway, Memory, Name, PublicKey, crds};

/// Text that YAML readers are known to take for something else, and text of any kind.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "~",
            "null",
            "true",
            "no",
            "on",
            "007",
            "0x1F",
            "0o17",
            "0b11",
            "1e3",
            ".5",
            "5.",
            "+1",
            "-1",
            "1_000",
            "1:30",
            ".inf",
            ".nan",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%",
            "@",
            "`",
            "'",
            "\"",
            "{",
            "[",
            "?",
            "=",
            "<<",
            "2026-01-01",
            " a",
            "a ",
            "a\nb",
            "a\n",
            "\n",
            "\t",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\0",
            "\u{7f}",
            "---",
            "...",
            "1.5",
            "9223372036854775808",
            "-.inf",
            "1e400",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9 :#'\"\\-]{0,12}",
        any::<String>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?(\\.[a-z0-9]{1,4})?"
}

fn some(fields: Vec<(&'static str, Option<Value>)>) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn opt<T: serde::Serialize + std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Value>> {
    option::of(strategy.prop_map(|value| json!(value)))
}

fn key() -> impl Strategy<Value = String> {
    any::<[u8; 32]>().prop_map(|seed| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        PublicKey::from_bytes(secret.verifying_key().to_bytes()).to_string()
    })
}

fn device() -> impl Strategy<Value = Value> {
    let board = prop::sample::select(vec!["Host", "Mps2An385", "Nrf52840DK", "RenodeArduinoNano33Ble"]);
    (opt(key()), opt(board), opt(name()), option::of((key(), option::of(0i64..4_000_000_000))), opt(any::<bool>()))
        .prop_map(|(key, board, gateway, pairing, running)| {
            let pairing = pairing.map(|(key, until)| {
                let until = until.map(|s| k8s_openapi::jiff::Timestamp::from_second(s).expect("in range").to_string());
                some(vec![("publicKey", Some(json!(key))), ("until", until.map(Value::from))])
            });
            let emulation = running.map(|running| json!({"backend": "host", "running": running}));
            some(vec![
                ("publicKey", key),
                ("mcuType", board),
                ("gatewayId", gateway),
                ("pairing", pairing),
                ("emulation", emulation),
            ])
        })
}

fn application() -> impl Strategy<Value = Value> {
    let config = (
        opt(1u64..1 << 32),
        opt((1u16..=1000).prop_map(|millis| format!("{millis}m"))),
        opt(btree_map(text(), text(), 0..4)),
        opt(vec(text(), 0..4)),
        opt(any::<bool>()),
        opt(0u32..100),
    )
        .prop_map(|(memory, cpu, env, args, restart, most)| {
            some(vec![
                ("memoryLimit", memory),
                ("cpuTimeLimit", cpu),
                ("envVars", env),
                ("args", args),
                ("autoRestart", restart),
                ("maxRestarts", most),
            ])
        });
    let targets = prop_oneof![
        vec(name(), 0..4).prop_map(|names| json!(names)),
        (vec(name(), 0..3), any::<bool>())
            .prop_map(|(names, all)| json!({"deviceNames": names, "allDevices": all, "selectors": {"a": "b"}})),
    ];
    let labels = opt(btree_map("[a-z]{1,5}", "[a-z0-9]{0,5}", 0..3).prop_map(|labels| json!({"matchLabels": labels})));
    (opt(text()), opt(config), option::of(targets), labels, opt(any::<bool>()), opt(btree_map(text(), text(), 0..3)))
        .prop_map(|(description, config, targets, selector, suspend, metadata)| {
            some(vec![
                ("source", Some(json!({"path": "apps/hello", "language": "rust"}))),
                ("description", description),
                ("config", config),
                ("targetDevices", targets),
                ("targetSelector", selector),
                ("suspend", suspend),
                ("metadata", metadata),
                ("capabilities", Some(json!({"publish": ["a/*"], "network": ["example.org:80"]}))),
            ])
        })
}

fn gateway() -> impl Strategy<Value = Value> {
    (opt(text()), opt(1u16..), opt(0u32..1_000_000), opt(vec(text(), 0..3)), opt(1u64..100_000)).prop_map(
        |(region, port, most, capabilities, heartbeat)| {
            let config = heartbeat.map(|seconds| {
                let seconds = seconds.as_u64().expect("a number");
                json!({
                    "heartbeatInterval": Duration::from_secs(seconds).to_string(),
                    "connectionTimeout": Duration::from_secs(seconds * 3).to_string(),
                })
            });
            some(vec![
                ("region", region),
                ("port", port),
                ("maxDevices", most),
                ("capabilities", capabilities),
                ("config", config),
            ])
        },
    )
}

fn object() -> impl Strategy<Value = Object> {
    let labels = btree_map("[a-z]{1,8}", "[a-z0-9]{0,8}", 0..3);
    let spec = prop_oneof![
        device().prop_map(|spec| (0, spec)),
        application().prop_map(|spec| (1, spec)),
        gateway().prop_map(|spec| (2, spec)),
    ];
    (name(), labels, btree_map("[a-z]{1,8}", text(), 0..2), spec).prop_map(
        |(name, labels, annotations, (kind, spec))| {
            let read = "a spec of the right shape";
            let mut object = match kind {
                0 => Object::Device(Box::new(Device::new(&name, serde_json::from_value(spec).expect(read)))),
                1 => Object::Application(Box::new(Application::new(&name, serde_json::from_value(spec).expect(read)))),
                _ => Object::Gateway(Box::new(Gateway::new(&name, serde_json::from_value(spec).expect(read)))),
            };
            let metadata = match &mut object {
                Object::Device(device) => &mut device.metadata,
                Object::Application(application) => &mut application.metadata,
                Object::Gateway(gateway) => &mut gateway.metadata,
            };
            metadata.labels = Some(labels).filter(|labels| !labels.is_empty());
            metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
            object
        },
    )
}

/// Pieces of YAML and of declarations, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "apiVersion: wasmbed.github.io/v0\n",
        "kind: Device\n",
        "metadata:\n  name: a\n",
        "spec:\n",
        "  mcuType: Host\n",
        "apiVersion: wasmbed.github.io/v1alpha1\n",
        "kind: Application\n",
        "---\n",
        "...\n",
        "\n",
        " ",
        "  ",
        "\t",
        "- ",
        "? ",
        ": ",
        "a: ",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "#",
        "%TAG ! x\n",
        "%YAML 1.2\n",
        "é",
        "\u{feff}",
        "\r\n",
        "\r",
        "\u{2028}",
        "\0",
        "targetDevices: ",
        "source: {path: x}\n",
        "<<: ",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,200}", cut in any::<u8>()) {
        fuzz(&[&[cut], text.as_bytes()].concat());
    }

    #[test]
    fn any_pieces_of_yaml_are_read_without_a_panic(text in pieces(), cut in any::<u8>()) {
        fuzz(&[&[cut], text.as_bytes()].concat());
        let name: Name = "a".parse().expect("a name");
        let _ = set_public_key(text.as_bytes(), &name, &PublicKey::from_bytes([7; 32]));
        let _ = is_declaration_file(&text);
    }

    #[test]
    fn what_is_printed_is_read_as_the_same(object in object()) {
        let yaml = object.to_yaml();
        let parsed = parse(yaml.as_bytes());
        prop_assert!(parsed.is_valid(), "{:#?}\n{yaml}", parsed.findings);
        prop_assert_eq!(&parsed.declarations[0].object, &object, "{}", yaml);
    }

    #[test]
    fn a_printed_file_that_is_cut_or_changed_is_read_without_a_panic(
        object in object(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = object.to_yaml().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let _ = parse(&bytes);
    }

    #[test]
    fn scalars_are_written_as_they_are_read(millis in 0u64..1 << 50, bytes in any::<u64>(), share in 1u64..=1000) {
        let duration = Duration::from_secs(millis / 1000);
        prop_assert_eq!(duration.to_string().parse::<Duration>().expect("its own form"), duration);
        let memory = Memory::from_bytes(bytes % (1 << 32));
        prop_assert_eq!(memory.to_string().parse::<Memory>().expect("its own form"), memory);
        let cpu = Cpu::from_millis(share).expect("in range");
        prop_assert_eq!(cpu.to_string().parse::<Cpu>().expect("its own form"), cpu);
    }

    #[test]
    fn scalars_refuse_any_other_text_without_a_panic(text in text()) {
        let _ = text.parse::<Name>().map(|name| assert_eq!(name.to_string(), text));
        let _ = text.parse::<Duration>();
        let _ = text.parse::<Memory>();
        let _ = text.parse::<Cpu>();
        let _ = text.parse::<Digest>();
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Endpoint>().map(|e| assert_eq!(e.to_string().parse::<Endpoint>(), Ok(e)));
    }
}

/// Every text that the API lets into a field must be readable, or one object stops every watch of its kind.
#[test]
fn whatever_a_schemas_pattern_accepts_is_readable() {
    fn fields(schema: &Value, found: &mut Vec<(String, Value)>, path: &str) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, inner) in properties {
                fields(inner, found, &format!("{path}/{name}"));
            }
        }
        if let Some(items) = schema.get("items") {
            fields(items, found, &format!("{path}/-"));
        }
        if schema["pattern"].is_string() {
            found.push((path.to_owned(), schema.clone()));
        }
    }
    fn put(path: &[&str], leaf: Value) -> Value {
        match path {
            [] => leaf,
            ["-", rest @ ..] => json!([put(rest, leaf)]),
            [name, rest @ ..] => json!({ *name: put(rest, leaf) }),
        }
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tried = 0;
    for (crd, kind) in crds().iter().zip(["Device", "Application", "Gateway"]) {
        let schema = crd.spec.versions[0].schema.as_ref().expect("a schema").open_api_v3_schema.as_ref();
        let schema = serde_json::to_value(schema.expect("a root")).expect("plain");
        let mut found = Vec::new();
        fields(&schema["properties"]["spec"], &mut found, "");
        for (path, field) in found {
            let pattern = field["pattern"].as_str().expect("filtered").trim_start_matches('^').trim_end_matches('$');
            let texts = string_regex(pattern).expect("a pattern");
            let longest = field["maxLength"].as_u64().unwrap_or(u64::MAX);
            for _ in 0..200 {
                let text = texts.new_tree(&mut runner).expect("a text").current();
                if text.chars().count() as u64 > longest {
                    continue;
                }
                let parts: Vec<&str> = path.split('/').skip(1).collect();
                let spec = put(&parts, json!(text));
                let read = match kind {
                    "Device" => serde_json::from_value::<wasmbed_api::DeviceSpec>(spec).map(drop),
                    "Application" => serde_json::from_value::<wasmbed_api::ApplicationSpec>(spec).map(drop),
                    _ => serde_json::from_value::<wasmbed_api::GatewaySpec>(spec).map(drop),
                };
                assert!(read.is_ok(), "{kind}{path}: {text:?}: {read:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}
