//! Defaulting: what a schema says an absent field holds.

use serde_json::Value;

use super::Schema;

/// Fills every absent field that has a default; a null in a field that may not be null counts as absent, and goes.
pub(crate) fn fill_defaults(schema: &Schema, value: &mut Value) {
    fill(schema, value, true);
}

/// As [`fill_defaults`], but a null without a default stays, for validation to refuse: so Kubernetes treats what is applied.
pub(crate) fn fill_defaults_keeping_nulls(schema: &Schema, value: &mut Value) {
    fill(schema, value, false);
}

fn fill(schema: &Schema, value: &mut Value, drops_nulls: bool) {
    match value {
        Value::Object(map) => {
            map.retain(|name, item| {
                let (field, _) = schema.field(name);
                let goes = |field: &Schema| !field.nullable && (drops_nulls || field.default.is_some());
                !(item.is_null() && field.is_some_and(goes))
            });
            for (name, field) in &schema.properties {
                if let Some(default) = &field.default
                    && !map.contains_key(name)
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, item) in map.iter_mut() {
                if let (Some(field), _) = schema.field(name) {
                    fill(field, item, drops_nulls);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                for item in list {
                    fill(items, item, drops_nulls);
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

    fn filled(schema: Value, mut value: Value) -> Value {
        fill_defaults(&Schema::compile(&schema, "").unwrap(), &mut value);
        value
    }

    #[test]
    fn an_absent_field_gets_its_default_and_a_present_one_keeps_its_value() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "integer", "default": 5}, "b": {"type": "string", "default": "x"}}});
        assert_eq!(filled(schema, json!({"b": "y"})), json!({"a": 5, "b": "y"}));
    }

    #[test]
    fn a_default_object_is_itself_filled() {
        let schema = json!({"type": "object", "properties": {"o": {"type": "object", "default": {},
            "properties": {"n": {"type": "integer", "default": 1}}}}});
        assert_eq!(filled(schema, json!({})), json!({"o": {"n": 1}}));
    }

    #[test]
    fn an_absent_parent_without_a_default_stays_absent() {
        let schema = json!({"type": "object", "properties": {"o": {"type": "object",
            "properties": {"n": {"type": "integer", "default": 1}}}}});
        assert_eq!(filled(schema, json!({})), json!({}));
    }

    #[test]
    fn list_items_and_map_entries_are_filled() {
        let item = json!({"type": "object", "properties": {"n": {"type": "integer", "default": 1}}});
        let schema = json!({"type": "object", "properties": {
            "l": {"type": "array", "items": item}, "m": {"type": "object", "additionalProperties": item}}});
        assert_eq!(
            filled(schema, json!({"l": [{}, {"n": 2}], "m": {"k": {}}})),
            json!({"l": [{"n": 1}, {"n": 2}], "m": {"k": {"n": 1}}})
        );
    }

    #[test]
    fn a_null_gives_way_to_the_default_unless_null_is_allowed() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "default": 5},
            "b": {"type": "integer", "default": 5, "nullable": true}, "c": {"type": "integer"}}});
        assert_eq!(
            filled(schema.clone(), json!({"a": null, "b": null, "c": null, "unknown": null})),
            json!({"a": 5, "b": null, "unknown": null})
        );
        let mut applied = json!({"a": null, "c": null});
        fill_defaults_keeping_nulls(&Schema::compile(&schema, "").unwrap(), &mut applied);
        assert_eq!(applied, json!({"a": 5, "b": 5, "c": null}));
    }
}
