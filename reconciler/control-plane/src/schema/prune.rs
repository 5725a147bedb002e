//! Pruning: fields a schema does not name are dropped, and told.

use serde_json::Value;

use super::Schema;

/// Drops unknown fields of `value` and adds their paths (`spec.a[0].b`) to `unknown`.
///
/// `at_object` says that `value` is a whole Kubernetes object, whose `apiVersion`, `kind` and `metadata` are always known.
pub(crate) fn prune(schema: &Schema, value: &mut Value, at_object: bool, unknown: &mut Vec<String>) {
    prune_at(schema, value, at_object, "", unknown);
}

fn prune_at(schema: &Schema, value: &mut Value, at_object: bool, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let keep_all = schema.open && schema.additional.is_none();
            map.retain(|name, item| {
                let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match schema.field(name).0 {
                    Some(field) => {
                        prune_at(field, item, field.embedded, &here, unknown);
                        true
                    }
                    None if at_object && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") => true,
                    None if keep_all => true,
                    None => {
                        unknown.push(here);
                        false
                    }
                }
            });
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                for (index, item) in list.iter_mut().enumerate() {
                    prune_at(items, item, items.embedded, &format!("{path}[{index}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pruned(schema: Value, mut value: Value) -> (Value, Vec<String>) {
        let mut unknown = Vec::new();
        prune(&Schema::compile(&schema, "").unwrap(), &mut value, true, &mut unknown);
        (value, unknown)
    }

    #[test]
    fn unknown_fields_are_dropped_with_their_paths() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "l": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}}}}});
        let (value, unknown) = pruned(
            schema,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {}, "x": 1, "spec": {"y": 1, "l": [{"a": "b", "z": 1}]}}),
        );
        assert_eq!(value, json!({"apiVersion": "v1", "kind": "K", "metadata": {}, "spec": {"l": [{"a": "b"}]}}));
        let mut unknown = unknown;
        unknown.sort();
        assert_eq!(unknown, ["spec.l[0].z", "spec.y", "x"]);
    }

    #[test]
    fn fields_below_an_open_object_are_kept_and_named_ones_still_pruned() {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
            "named": {"type": "object", "properties": {"a": {"type": "string"}}}}});
        let (value, unknown) = pruned(schema, json!({"any": {"deep": 1}, "named": {"a": "x", "b": 1}}));
        assert_eq!(value, json!({"any": {"deep": 1}, "named": {"a": "x"}}));
        assert_eq!(unknown, ["named.b"]);
    }

    #[test]
    fn entries_of_a_map_are_kept_and_their_values_pruned() {
        let schema = json!({"type": "object", "additionalProperties":
            {"type": "object", "properties": {"a": {"type": "string"}}}});
        let (value, unknown) = pruned(schema, json!({"k": {"a": "x", "b": 1}}));
        assert_eq!(value, json!({"k": {"a": "x"}}));
        assert_eq!(unknown, ["k.b"]);
    }
}
