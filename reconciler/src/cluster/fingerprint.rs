//! Whether an object in the cluster is what was applied: a hash over what the reconciler manages of it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::plan::Fingerprint;

/// The field manager of everything the reconciler writes.
pub(crate) const MANAGER: &str = "wasmbed-reconciler";

type Map = BTreeMap<String, String>;

/// The fingerprint of labels, annotations and spec as they are applied.
pub(crate) fn fingerprint(labels: &Map, annotations: &Map, spec: &Value) -> Fingerprint {
    let mut bytes = Vec::with_capacity(512);
    for map in [labels, annotations] {
        for (key, value) in map {
            put_text(key, &mut bytes);
            put_text(value, &mut bytes);
        }
        bytes.push(0xff);
    }
    put_value(spec, &mut bytes);
    Fingerprint::of(&bytes)
}

impl Fingerprint {
    /// Of a JSON value, whichever order its keys came in.
    pub(crate) fn of_value(value: &Value) -> Self {
        let mut bytes = Vec::with_capacity(512);
        put_value(value, &mut bytes);
        Self::of(&bytes)
    }
}

/// The fingerprint of an object in the cluster: of its labels and annotations only those count that the reconciler owns there, so
/// that what other tools add is left alone, and what they take over is seen.
pub(crate) fn observed_fingerprint(metadata: &ObjectMeta, spec: &Value) -> Fingerprint {
    let owned = |field: &str, present: &Option<Map>| -> Map {
        let keys = owned_keys(metadata, field);
        present.iter().flatten().filter(|(key, _)| keys.contains(*key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let labels = owned("f:labels", &metadata.labels);
    let annotations = owned("f:annotations", &metadata.annotations);
    fingerprint(&labels, &annotations, spec)
}

fn owned_keys(metadata: &ObjectMeta, field: &str) -> BTreeSet<String> {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| {
            entry.manager.as_deref() == Some(MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.as_deref().unwrap_or("").is_empty()
        })
        .filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:metadata")?.get(field)?.as_object())
        .flat_map(|fields| fields.keys())
        .filter_map(|key| key.strip_prefix("f:").map(ToOwned::to_owned))
        .collect()
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// One encoding for equal values, whichever order their keys came in.
fn put_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(b'n'),
        Value::Bool(flag) => bytes.push(if *flag { b't' } else { b'f' }),
        Value::Number(number) => {
            bytes.push(b'#');
            put_text(&number.to_string(), bytes);
        }
        Value::String(text) => {
            bytes.push(b'"');
            put_text(text, bytes);
        }
        Value::Array(items) => {
            bytes.push(b'[');
            items.iter().for_each(|item| put_value(item, bytes));
            bytes.push(b']');
        }
        Value::Object(fields) => {
            bytes.push(b'{');
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            for key in keys {
                put_text(key, bytes);
                put_value(&fields[key], bytes);
            }
            bytes.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(owned: &[&str]) -> ObjectMeta {
        let fields: serde_json::Map<_, _> = owned.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
        serde_json::from_value(json!({
            "labels": {"ours": "1", "theirs": "2"},
            "managedFields": [
                {"manager": MANAGER, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:labels": fields}, "f:spec": {}}},
                {"manager": MANAGER, "operation": "Apply", "subresource": "status", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                {"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
            ],
        }))
        .expect("metadata")
    }

    #[test]
    fn labels_that_others_add_do_not_count_and_labels_they_take_do() {
        let applied = fingerprint(&[("ours".to_owned(), "1".to_owned())].into(), &Map::new(), &json!({"a": 1}));
        assert_eq!(observed_fingerprint(&metadata(&["ours"]), &json!({"a": 1})), applied);
        assert_ne!(observed_fingerprint(&metadata(&[]), &json!({"a": 1})), applied);
        assert_ne!(observed_fingerprint(&metadata(&["ours"]), &json!({"a": 2})), applied);
    }

    #[test]
    fn neighbouring_values_do_not_run_into_each_other() {
        let of = |spec| fingerprint(&Map::new(), &Map::new(), &spec);
        assert_ne!(of(json!(["ab", "c"])), of(json!(["a", "bc"])));
        assert_ne!(of(json!([["a"], "b"])), of(json!([["a", "b"]])));
        assert_eq!(of(json!({"a": 1, "b": 2})), of(serde_json::from_str(r#"{"b":2,"a":1}"#).expect("JSON")));
    }
}
