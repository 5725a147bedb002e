//! Objects that client-side apply has made: what `kubectl apply --server-side` may take over of them.

use serde_json::Value;

use super::compare::compare;
use super::field_set::FieldSet;
use super::shape::field_set;
use crate::schema::Schema;

/// Where client-side apply keeps what it last applied.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The only manager that takes over from client-side apply.
const MANAGER: &str = "kubectl";

/// The fields client-side apply set and nobody has changed since: a conflict over them is none for kubectl itself.
pub(super) fn inherited(schema: &Schema, api_version: &str, manager: &str, live: &Value) -> FieldSet {
    let last = annotation(live).filter(|_| manager == MANAGER);
    let Some(last) = last.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return FieldSet::default();
    };
    if last["apiVersion"] != api_version {
        return FieldSet::default();
    }
    let comparison = compare(Some(schema), &last, live);
    field_set(Some(schema), &last)
        .difference(&comparison.modified)
        .difference(&comparison.added)
        .difference(&comparison.removed)
}

/// Keeps the annotation, where there is one, true to what kubectl has now applied.
pub(super) fn keep_true(object: &mut Value, manager: &str, config: &Value) {
    if manager != MANAGER || annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    object["metadata"]["annotations"][ANNOTATION] = format!("{config}\n").into();
}

fn annotation(object: &Value) -> Option<&str> {
    let annotations = object.get("metadata")?.get("annotations")?;
    annotations.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}
