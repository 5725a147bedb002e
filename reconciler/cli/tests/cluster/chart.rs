//! What the Helm chart renders.

use std::path::{Path, PathBuf};
use std::process::Command;

use kube::api::DynamicObject;
use serde::Deserialize;
use wasmbed_control_plane_testing::Programs;

/// The namespace the chart is released in.
pub const SYSTEM: &str = "wasmbed-system";

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/wasmbed")
}

/// The objects that the chart renders with the values of a file, definitions of kinds first.
pub fn render(programs: &Programs, values: &Path) -> Vec<DynamicObject> {
    let mut helm = Command::new(programs.tool("helm"));
    helm.args(["template", "wasmbed"]).arg(folder());
    helm.args(["--namespace", SYSTEM, "--include-crds", "--kube-version", "1.36.0", "--values"]).arg(values);
    let output = helm.output().unwrap_or_else(|error| panic!("{helm:?}: {error}; `make kubernetes` builds helm"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| {
        let value = serde_json::Value::deserialize(document).unwrap();
        (!value.is_null()).then(|| serde_json::from_value(value).unwrap())
    });
    let mut objects: Vec<DynamicObject> = documents.flatten().collect();
    objects.sort_by_key(|object| object.types.as_ref().unwrap().kind != "CustomResourceDefinition");
    objects
}

/// The charts' sets of values.
pub fn sets() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder().join("ci")).unwrap().map(|file| file.unwrap().path());
    let mut sets: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with("-values.yaml")).collect();
    sets.sort();
    sets
}
