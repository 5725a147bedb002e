//! What built-in kinds do that their schemas do not say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::metadata::text;
use crate::resource::{Resource, Rules};
use crate::status::Cause;

/// All data of a ConfigMap or Secret together, in bytes.
const MAX_DATA: usize = 1 << 20;

/// Brings a new or changed object into the form it is stored in.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    match resource.rules {
        Rules::Secret => {
            let strings = object.as_object_mut().and_then(|map| map.remove("stringData"));
            if let Some(Value::Object(strings)) = strings {
                if object["data"].is_null() && !strings.is_empty() {
                    object["data"] = Value::Object(Map::new());
                }
                // Data that is no map is for validation to refuse.
                let data = object.get_mut("data").and_then(Value::as_object_mut);
                if let Some(data) = data {
                    for (key, value) in strings {
                        let text = value.as_str().unwrap_or_default();
                        data.insert(key, STANDARD.encode(text).into());
                    }
                }
            }
        }
        Rules::Namespace => {
            let name = text(object, "name").to_owned();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            // A spec that is no object is for validation to refuse.
            let spec = &mut object["spec"];
            if spec.is_null() || spec.is_object() && spec["finalizers"].is_null() {
                spec["finalizers"] = json!(["kubernetes"]);
            }
        }
        _ => {}
    }
    if let Value::Object(skeleton) = skeleton(resource) {
        for (field, empty) in skeleton {
            if object.get(&field).is_none() {
                object[field] = empty;
            }
        }
    }
    if matches!(resource.rules, Rules::ConfigMap | Rules::Secret)
        && let Some(map) = object.as_object_mut()
    {
        map.retain(|field, value| !(matches!(field.as_str(), "data" | "binaryData") && value == &json!({})));
    }
}

/// Brings an applied configuration into the form an object is stored in, adding nothing it does not say.
pub(crate) fn settle_configuration(resource: &Resource, config: &mut Value) {
    if resource.rules == Rules::Secret {
        settle(resource, config);
    }
}

/// What an object of the kind has even when nobody says anything: nobody owns these.
pub(crate) fn skeleton(resource: &Resource) -> Value {
    match resource.rules {
        Rules::Lease => json!({"spec": {}}),
        Rules::Namespace => json!({"spec": {"finalizers": ["kubernetes"]}, "status": {}}),
        Rules::Event => json!({"involvedObject": {}, "source": {}, "reportingComponent": "", "reportingInstance": ""}),
        Rules::EventView => json!({"regarding": {}, "deprecatedSource": {}}),
        _ => json!({}),
    }
}

/// What a new object begins with.
pub(crate) fn begin(resource: &Resource, object: &mut Value) {
    if resource.rules == Rules::Namespace {
        object["status"] = json!({"phase": "Active"});
    }
}

/// Adds a cause for everything the kind forbids; `live` is the object before, if there was one.
pub(crate) fn validate(resource: &Resource, new: &Value, live: Option<&Value>, causes: &mut Vec<Cause>) {
    match resource.rules {
        Rules::ConfigMap => {
            data(new, &["data", "binaryData"], causes);
            immutable(new, live, &["data", "binaryData"], causes);
        }
        Rules::Secret => {
            data(new, &["data"], causes);
            immutable(new, live, &["data"], causes);
            if let Some(live) = live
                && new["type"] != live["type"]
            {
                causes.push(Cause::invalid("type", &new["type"], "field is immutable"));
            }
        }
        Rules::Lease => {
            let duration = &new["spec"]["leaseDurationSeconds"];
            if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
                causes.push(Cause::invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"));
            }
        }
        _ => {}
    }
}

fn data(object: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    let mut size = 0;
    for field in fields {
        let entries = object.get(*field).and_then(Value::as_object);
        for (key, value) in entries.into_iter().flatten() {
            let named = !key.is_empty()
                && key.len() <= 253
                && key != "."
                && !key.starts_with("..")
                && key.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char));
            if !named {
                causes.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &key.as_str().into(),
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                ));
            }
            let length = value.as_str().map_or(0, str::len);
            let encoded = *field == "binaryData" || fields.len() == 1;
            size += if encoded { length / 4 * 3 } else { length };
        }
    }
    if let [first, second] = fields
        && let (Some(one), Some(other)) = (object[*first].as_object(), object[*second].as_object())
    {
        for key in one.keys().filter(|key| other.contains_key(*key)) {
            causes.push(Cause::invalid(
                format!("{first}[{key}]"),
                &key.as_str().into(),
                format!("duplicate of key present in {second}"),
            ));
        }
    }
    if size > MAX_DATA {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: fields[0].to_owned(),
            message: format!("Too long: may not be more than {MAX_DATA} bytes"),
        });
    }
}

fn immutable(new: &Value, live: Option<&Value>, fields: &[&str], causes: &mut Vec<Cause>) {
    let Some(live) = live.filter(|live| live["immutable"] == true) else {
        return;
    };
    if new["immutable"] != true {
        causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in fields {
        let has = |object: &Value| object.get(*field).and_then(Value::as_object).cloned().unwrap_or_default();
        if has(new) != has(live) {
            causes.push(Cause::forbidden(*field, "field is immutable when `immutable` is set"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::resource::Registry;

    fn causes(rules: Rules, new: &Value, live: Option<&Value>) -> Vec<String> {
        let (registry, _) = Registry::new(&[]).unwrap();
        let mut causes = Vec::new();
        validate(registry.of_rules(rules), new, live, &mut causes);
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn string_data_becomes_data() {
        let (registry, _) = Registry::new(&[]).unwrap();
        let mut secret = json!({"data": {"a": "YQ=="}, "stringData": {"b": "b"}});
        settle(registry.of_rules(Rules::Secret), &mut secret);
        assert_eq!(secret, json!({"data": {"a": "YQ==", "b": "Yg=="}}));
    }

    #[test]
    fn an_immutable_config_map_keeps_its_data_and_stays_immutable() {
        let live = json!({"immutable": true, "data": {"a": "1"}});
        assert!(
            causes(
                Rules::ConfigMap,
                &json!({"immutable": true, "data": {"a": "1"}, "metadata": {"labels": {}}}),
                Some(&live)
            )
            .is_empty()
        );
        assert_eq!(
            causes(Rules::ConfigMap, &json!({"data": {"a": "2"}}), Some(&live)),
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set"
            ]
        );
    }

    #[test]
    fn keys_and_sizes_of_data_are_checked() {
        assert_eq!(causes(Rules::ConfigMap, &json!({"data": {"a b": "x"}}), None).len(), 1);
        assert_eq!(causes(Rules::ConfigMap, &json!({"data": {"a": "x"}, "binaryData": {"a": ""}}), None).len(), 1);
        assert_eq!(causes(Rules::ConfigMap, &json!({"data": {"a": "x".repeat(MAX_DATA + 1)}}), None).len(), 1);
        assert_eq!(causes(Rules::ConfigMap, &json!({"binaryData": {"a": "A".repeat(MAX_DATA + 1)}}), None).len(), 0);
    }

    #[test]
    fn the_type_of_a_secret_does_not_change() {
        assert_eq!(
            causes(Rules::Secret, &json!({"type": "b"}), Some(&json!({"type": "a"}))),
            ["type: Invalid value: \"b\": field is immutable"]
        );
    }
}
