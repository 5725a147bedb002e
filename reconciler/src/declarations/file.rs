//! One file of declarations.

use std::collections::BTreeMap;
use std::sync::Arc;

use gix::ObjectId as Oid;
use serde_json::{Value, json};
use wasmbed_api::declarations::{Object, Parsed, parse as parse_yaml};
use wasmbed_api::labels;

use crate::cluster::fingerprint;
use crate::plan::{Fingerprint, Kind, ObjectId};

/// What one file declares.
#[derive(Debug)]
pub(crate) struct File {
    pub(super) blob: Oid,
    /// From the repository's root.
    pub(super) path: Arc<str>,
    pub(super) parsed: Parsed,
    /// One for each of `parsed.declarations`.
    pub(super) declared: Vec<(ObjectId, Fingerprint)>,
}

pub(super) fn parse(fleet: &str, path: &str, blob: Oid, bytes: &[u8]) -> File {
    let parsed = parse_yaml(bytes);
    let declared = parsed
        .declarations
        .iter()
        .map(|declaration| {
            let object = &declaration.object;
            (id_of(object), fingerprint(&labels_of(object, fleet), &annotations_of(object), &spec_of(object)))
        })
        .collect();
    File { blob, path: path.into(), parsed, declared }
}

fn id_of(object: &Object) -> ObjectId {
    let kind = match object {
        Object::Device(_) => Kind::Device,
        Object::Application(_) => Kind::Application,
        Object::Gateway(_) => Kind::Gateway,
    };
    ObjectId::new(kind, object.name())
}

/// The declared labels, and those the reconciler sets.
fn labels_of(object: &Object, fleet: &str) -> BTreeMap<String, String> {
    let mut all = object.metadata().labels.clone().unwrap_or_default();
    all.insert(labels::FLEET.to_owned(), fleet.to_owned());
    if let Object::Device(device) = object
        && let Some(gateway) = &device.spec.gateway_id
    {
        all.insert(labels::GATEWAY.to_owned(), gateway.to_string());
    }
    all
}

fn annotations_of(object: &Object) -> BTreeMap<String, String> {
    object.metadata().annotations.clone().unwrap_or_default()
}

fn spec_of(object: &Object) -> Value {
    let spec = match object {
        Object::Device(device) => serde_json::to_value(&device.spec),
        Object::Application(application) => serde_json::to_value(&application.spec),
        Object::Gateway(gateway) => serde_json::to_value(&gateway.spec),
    };
    spec.expect("specs have string keys and no other way to fail")
}

/// What is applied for a declaration.
pub(crate) fn manifest(object: &Object, fleet: &str, namespace: &str) -> Value {
    let mut metadata = json!({
        "name": object.name(),
        "namespace": namespace,
        "labels": labels_of(object, fleet),
    });
    let annotations = annotations_of(object);
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    json!({
        "apiVersion": object.api_version(),
        "kind": object.kind(),
        "metadata": metadata,
        "spec": spec_of(object),
    })
}
