//! `metadata`: what a client may say in it, and what is kept whatever it says.

use serde_json::{Map, Value};

use crate::names::{is_dns_label, is_path_segment, is_subdomain};
use crate::resource::{Resource, Rules};
use crate::selector::{is_label_key, is_label_value};
use crate::status::Cause;

/// All annotations of an object together, in bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// A text of `metadata`; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let found = object.get("metadata").and_then(|metadata| metadata.get(field));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// The `metadata` of an object, made if need be.
pub(crate) fn map_of(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    object["metadata"].as_object_mut().expect("made an object above")
}

/// Whether an object has finalizers.
pub(crate) fn has_finalizers(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

/// Puts back what only the server says.
pub(crate) fn keep_system_fields(new: &mut Value, live: &Value) {
    let live = live.get("metadata").and_then(Value::as_object);
    let metadata = map_of(new);
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "generateName",
    ] {
        match live.and_then(|live| live.get(field)) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    metadata.remove("selfLink");
}

/// Drops what says nothing: empty maps and lists, as Kubernetes does.
pub(crate) fn drop_empty(object: &mut Value) {
    map_of(object).retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

/// Adds a cause for everything `metadata` may not hold.
pub(crate) fn validate(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let name = text(object, "name");
    let named = match resource.rules {
        Rules::Namespace => is_dns_label(name),
        Rules::Event | Rules::EventView => is_path_segment(name),
        _ => is_subdomain(name),
    };
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if !named {
        let why = if resource.rules == Rules::Namespace {
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        } else {
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        };
        causes.push(Cause::invalid("metadata.name", &name.into(), why));
    }
    let entries = |field: &str| {
        let map = object.get("metadata").and_then(|metadata| metadata.get(field)?.as_object());
        map.into_iter().flatten()
    };
    for (key, value) in entries("labels") {
        if !is_label_key(key) {
            causes.push(Cause::invalid(
                "metadata.labels",
                &key.as_str().into(),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
        let value = value.as_str().unwrap_or_default();
        if !is_label_value(value) {
            let why = if value.len() > 63 {
                "must be no more than 63 bytes"
            } else {
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            };
            causes.push(Cause::invalid("metadata.labels", &value.into(), why));
        }
    }
    let mut size = 0;
    for (key, value) in entries("annotations") {
        size += key.len() + value.as_str().map_or(0, str::len);
        if !is_label_key(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
    }
    if size > MAX_ANNOTATIONS {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message: format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes"),
        });
    }
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    for finalizer in finalizers.into_iter().flatten().filter_map(Value::as_str) {
        if !is_label_key(finalizer) {
            causes.push(Cause::invalid(
                "metadata.finalizers",
                &finalizer.into(),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        } else if !resource.is_custom()
            && !finalizer.contains('/')
            && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
        {
            causes.push(Cause::invalid(
                "metadata.finalizers[0]",
                &finalizer.into(),
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
}

/// An object that is going may lose finalizers, but not gain any.
pub(crate) fn validate_update(new: &Value, live: &Value, causes: &mut Vec<Cause>) {
    if text(live, "deletionTimestamp").is_empty() {
        return;
    }
    let finalizers = |object: &Value| -> Vec<Value> {
        let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let known = finalizers(live);
    let added: Vec<String> =
        finalizers(new).iter().filter(|finalizer| !known.contains(finalizer)).map(Value::to_string).collect();
    if !added.is_empty() {
        causes.push(Cause::forbidden(
            "metadata.finalizers",
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            ),
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::Registry;

    fn fields(rules: Rules, metadata: Value) -> Vec<String> {
        let (registry, _) = Registry::new(&[]).unwrap();
        let mut causes = Vec::new();
        validate(registry.of_rules(rules), &json!({"metadata": metadata}), &mut causes);
        causes.into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn what_metadata_may_not_hold_is_named() {
        let none: [String; 0] = [];
        assert_eq!(
            fields(
                Rules::ConfigMap,
                json!({"name": "a.b", "labels": {"x.org/k": "v"}, "annotations": {"A.b/C": "any thing"}, "finalizers": ["x.org/f"]})
            ),
            none
        );
        assert_eq!(fields(Rules::ConfigMap, json!({})), ["metadata.name"]);
        assert_eq!(fields(Rules::ConfigMap, json!({"name": "A"})), ["metadata.name"]);
        assert_eq!(fields(Rules::Namespace, json!({"name": "a.b"})), ["metadata.name"]);
        assert_eq!(fields(Rules::Event, json!({"name": "a.B:c"})), none);
        assert_eq!(fields(Rules::ConfigMap, json!({"name": "a", "labels": {"k": "a b"}})), ["metadata.labels"]);
        assert_eq!(fields(Rules::ConfigMap, json!({"name": "a", "labels": {"-": ""}})), ["metadata.labels"]);
        assert_eq!(
            fields(Rules::ConfigMap, json!({"name": "a", "annotations": {"k": "x".repeat(MAX_ANNOTATIONS)}})),
            ["metadata.annotations"]
        );
        assert_eq!(fields(Rules::ConfigMap, json!({"name": "a", "finalizers": ["a b"]})), ["metadata.finalizers"]);
    }

    #[test]
    fn a_going_object_gains_no_finalizers() {
        let mut causes = Vec::new();
        let live = json!({"metadata": {"deletionTimestamp": "x", "finalizers": ["a"]}});
        validate_update(&json!({"metadata": {}}), &live, &mut causes);
        assert_eq!(causes, []);
        validate_update(&json!({"metadata": {"finalizers": ["a", "b"]}}), &live, &mut causes);
        assert!(causes[0].message.contains("{\"b\"}"), "{causes:?}");
    }
}
