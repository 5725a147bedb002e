//! The reference page of the kinds names every field, and its examples are read.
//!
//! `WASMBED_BLESS=1 cargo test -p wasmbed-api --test kinds_page` writes the tables anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize as _;
use serde_json::Value;
use wasmbed_api::declarations::{Context, read};
use wasmbed_api::{Fleet, Release, Rollout, crds};

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/kinds.md")
}

/// The schemas of every kind's spec and status, by `Kind.part`.
fn schemas() -> BTreeMap<String, Value> {
    let mut schemas = BTreeMap::new();
    for crd in crds() {
        let root = crd.spec.versions[0].schema.clone().expect("a schema").open_api_v3_schema.expect("a root");
        let root = serde_json::to_value(root).expect("plain");
        for part in ["spec", "status"] {
            schemas.insert(format!("{}.{part}", crd.spec.names.kind), root["properties"][part].clone());
        }
    }
    schemas
}

/// The word for a field's type, as the page explains it. Types with a pattern are known by a field that has it.
fn type_of(schema: &Value, schemas: &BTreeMap<String, Value>) -> String {
    let known = [
        ("name", "Device.spec", "/gatewayId"),
        ("key", "Device.spec", "/publicKey"),
        ("duration", "Gateway.spec", "/config/heartbeatInterval"),
        ("memory", "Application.spec", "/config/memoryLimit"),
        ("CPU", "Application.spec", "/config/cpuTimeLimit"),
        ("host", "Gateway.spec", "/endpoint"),
        ("host and port", "Application.spec", "/capabilities/network/-"),
        ("topic", "Application.spec", "/capabilities/publish/-"),
        ("pin", "Application.spec", "/capabilities/gpio/-"),
        ("digest", "Rollout.spec", "/stable"),
    ];
    let at = |part: &str, path: &str| {
        path.split('/').skip(1).fold(schemas[part].clone(), |schema, name| match name {
            "-" => schema["items"].clone(),
            name => schema["properties"][name].clone(),
        })
    };
    if let Some(pattern) = schema["pattern"].as_str()
        && let Some((word, ..)) = known.iter().find(|(_, part, path)| at(part, path)["pattern"] == pattern)
    {
        return (*word).to_owned();
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (None, _) => "list of names".to_owned(),
        (_, Some("date-time")) => "moment".to_owned(),
        (_, Some("byte")) => "base64".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some("array"), _) if schema["items"]["properties"]["lastTransitionTime"].is_object() => {
            "conditions".to_owned()
        }
        (Some("array"), _) => match type_of(&schema["items"], schemas).as_str() {
            "map" => "list".to_owned(),
            inner => format!("list of {inner}"),
        },
        (Some("object"), _) if schema["additionalProperties"].is_object() => "map of text".to_owned(),
        (Some("object"), _) => "map".to_owned(),
        (Some("integer"), _) => "number".to_owned(),
        (Some("boolean"), _) => "`true`, `false`".to_owned(),
        other => panic!("no word for {other:?}"),
    }
}

fn rows(schema: &Value, path: &str, schemas: &BTreeMap<String, Value>, table: &mut String) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        let must = if required.contains(&name.as_str()) { "Required. " } else { "" };
        let description = field["description"].as_str().unwrap_or_default();
        let type_name = type_of(field, schemas);
        writeln!(table, "| `{path}` | {type_name} | {must}{description} |").expect("a String takes all");
        if type_name == "conditions" {
            continue;
        }
        rows(field, &format!("{path}."), schemas, table);
        rows(&field["items"], &format!("{path}[]."), schemas, table);
    }
}

#[test]
fn the_page_names_every_field_with_its_type_and_default() {
    let text = std::fs::read_to_string(page()).expect("the page is there");
    let schemas = schemas();
    let mut written = String::new();
    let mut rest = text.as_str();
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once("<!-- fields: ") {
        let (part, after) = after.split_once(" -->").expect("a marker has an end");
        let (_, after) = after.split_once("<!-- end -->").expect("a table has an end");
        let mut table = "| field | type | |\n|---|---|---|\n".to_owned();
        rows(&schemas[part], "", &schemas, &mut table);
        write!(written, "{before}<!-- fields: {part} -->\n{table}<!-- end -->").expect("a String takes all");
        parts.push(part.to_owned());
        rest = after;
    }
    written.push_str(rest);
    parts.sort();
    assert_eq!(parts, schemas.keys().cloned().collect::<Vec<_>>(), "every kind has its tables");
    if std::env::var_os("WASMBED_BLESS").is_some() {
        std::fs::write(page(), &written).expect("the page can be written");
    } else {
        assert!(text == written, "docs/kinds.md is not what the kinds are; see the head of this test");
    }
}

#[test]
fn the_pages_examples_are_read() {
    let text = std::fs::read_to_string(page()).expect("the page is there");
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(examples.len(), 6);
    read(examples[..3].iter().map(|example| ("docs/kinds.md", example.as_bytes())), &Context::default())
        .expect("declarations");
    let yaml = |index: usize| serde_yaml::Deserializer::from_str(examples[index]);
    Fleet::deserialize(yaml(3)).expect("a Fleet");
    Release::deserialize(yaml(4)).expect("a Release");
    let rollout = Rollout::deserialize(yaml(5)).expect("a Rollout");
    assert_eq!(rollout.spec.position, wasmbed_api::POSITION_ALL);
}
