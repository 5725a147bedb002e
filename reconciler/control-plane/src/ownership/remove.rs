//! Taking a set of fields out of a value.

use serde_json::{Map, Value};

use super::field_set::{FieldSet, PathElement};
use super::shape::{Shape, element, shape};
use crate::schema::Schema;

/// The value without the fields of `gone`. A map or list that loses all it had stays, empty, unless it is itself in `gone`.
pub(super) fn remove(schema: Option<&Schema>, value: &Value, gone: &FieldSet) -> Value {
    match (shape(schema, value), value) {
        (Shape::Map, Value::Object(map)) => {
            let mut out = Map::new();
            for (name, item) in map {
                let step = PathElement::Field(name.clone());
                if gone.has(&step) {
                    continue;
                }
                let field = schema.and_then(|schema| schema.field(name).0);
                let kept = match gone.below(&step) {
                    Some(below) => remove(field, item, below),
                    None => item.clone(),
                };
                out.insert(name.clone(), kept);
            }
            Value::Object(out)
        }
        (Shape::List, Value::Array(list)) => {
            let schema = schema.expect("a list without a schema is a leaf");
            let mut out = Vec::with_capacity(list.len());
            for item in list {
                let Ok(step) = element(schema, item) else {
                    out.push(item.clone());
                    continue;
                };
                if gone.has(&step) {
                    continue;
                }
                out.push(match gone.below(&step) {
                    Some(below) => remove(schema.items.as_deref(), item, below),
                    None => item.clone(),
                });
            }
            Value::Array(out)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn removed(value: Value, gone: Value) -> Value {
        let schema = json!({"type": "object", "properties": {
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "a": {"type": "object", "x-kubernetes-map-type": "atomic"},
            "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}});
        remove(Some(&Schema::compile(&schema, "").unwrap()), &value, &FieldSet::from_json(&gone).unwrap())
    }

    #[test]
    fn named_fields_entries_and_elements_go() {
        assert_eq!(
            removed(
                json!({"m": {"a": "1", "b": "1"}, "s": ["x", "y"]}),
                json!({"f:m": {"f:a": {}}, "f:s": {"v:\"x\"": {}}})
            ),
            json!({"m": {"b": "1"}, "s": ["y"]})
        );
        assert_eq!(removed(json!({"m": {"a": "1"}, "a": {"k": 1}}), json!({"f:m": {}})), json!({"a": {"k": 1}}));
    }

    #[test]
    fn what_loses_everything_stays_empty() {
        assert_eq!(removed(json!({"m": {"a": "1"}}), json!({"f:m": {"f:a": {}}})), json!({"m": {}}));
        assert_eq!(removed(json!({"s": ["a"]}), json!({"f:s": {"v:\"a\"": {}}})), json!({"s": []}));
    }

    #[test]
    fn an_atomic_value_goes_only_as_a_whole() {
        assert_eq!(removed(json!({"a": {"k": 1}}), json!({"f:a": {"f:k": {}}})), json!({"a": {"k": 1}}));
        assert_eq!(removed(json!({"a": {"k": 1}}), json!({"f:a": {}})), json!({}));
    }
}
