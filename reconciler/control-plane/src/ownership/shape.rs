//! How a value is to be merged, and the set of fields a value has.

use serde_json::Value;

use super::field_set::{FieldSet, PathElement, Scalar};
use crate::schema::{ListType, Schema, Type};

/// What kind of node a value is for merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A scalar, or a map or list replaced as a whole.
    Leaf,
    Map,
    List,
}

/// The shape of a value. `null` takes the form its schema has.
pub(super) fn shape(schema: Option<&Schema>, value: &Value) -> Shape {
    let map = || match schema {
        Some(schema) if schema.atomic_map => Shape::Leaf,
        _ => Shape::Map,
    };
    let list = || match schema.map(|schema| &schema.list) {
        None | Some(ListType::Atomic) => Shape::Leaf,
        Some(_) => Shape::List,
    };
    match value {
        Value::Object(_) => map(),
        Value::Array(_) => list(),
        Value::Null => match schema.map(|schema| schema.kind) {
            Some(Type::Object) => map(),
            Some(Type::Array) => list(),
            _ => Shape::Leaf,
        },
        _ => Shape::Leaf,
    }
}

/// The shape two sides are compared or merged by; null is a wildcard, and sides that disagree are a leaf.
pub(super) fn common_shape(schema: Option<&Schema>, left: Option<&Value>, right: Option<&Value>) -> Shape {
    match (left, right) {
        (None | Some(Value::Null), Some(value)) | (Some(value), None | Some(Value::Null)) => shape(schema, value),
        (Some(left), Some(right)) => {
            let (left, right) = (shape(schema, left), shape(schema, right));
            if left == right { left } else { Shape::Leaf }
        }
        (None, None) => Shape::Leaf,
    }
}

/// What tells an item of a set or a map list from the others; `Err` says why it cannot be told.
pub(super) fn element(schema: &Schema, item: &Value) -> Result<PathElement, String> {
    let keys = match &schema.list {
        ListType::Map(keys) => keys,
        _ => {
            return match item {
                Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
                Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
                scalar => Ok(PathElement::Value(Scalar::of(scalar).expect("neither array nor object"))),
            };
        }
    };
    let Value::Object(map) = item else {
        return Err("associative list with keys may not have non-map elements".into());
    };
    let mut fields = Vec::with_capacity(keys.len());
    for key in keys {
        let default = || {
            let (field, _) = schema.items.as_deref()?.field(key);
            field?.default.as_ref()
        };
        if let Some(value) = map.get(key).or_else(default).and_then(Scalar::of) {
            fields.push((key.clone(), value));
        }
    }
    if fields.is_empty() {
        return Err(format!(
            "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default values for any key fields)"
        ));
    }
    fields.sort();
    Ok(PathElement::Key(fields))
}

/// The fields `value` sets.
pub(super) fn field_set(schema: Option<&Schema>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(schema, value, &mut Vec::new(), &mut set);
    set
}

fn collect(schema: Option<&Schema>, value: &Value, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    match (shape(schema, value), value) {
        (Shape::Leaf, _) => set.insert(path),
        (Shape::Map, Value::Object(map)) => {
            for (name, item) in map {
                let (field, named) = schema.map_or((None, false), |schema| schema.field(name));
                path.push(PathElement::Field(name.clone()));
                collect(field, item, path, set);
                let empty = item.is_null() || item.as_object().is_some_and(serde_json::Map::is_empty);
                if empty || !named {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::List, Value::Array(list)) => {
            let schema = schema.expect("a list without a schema is a leaf");
            let mut elements: Vec<PathElement> = Vec::with_capacity(list.len());
            for item in list {
                let Ok(element) = element(schema, item) else {
                    continue;
                };
                path.push(element.clone());
                // A duplicate is owned as a whole, without its fields.
                if !elements.contains(&element) {
                    collect(schema.items.as_deref(), item, path, set);
                }
                set.insert(path);
                path.pop();
                elements.push(element);
            }
        }
        (Shape::Map | Shape::List, _) => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: Value, value: Value) -> Value {
        field_set(Some(&Schema::compile(&schema, "").unwrap()), &value).to_json()
    }

    #[test]
    fn scalars_and_empty_maps_are_leaves_and_named_parents_are_not_members() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "integer"}, "e": {"type": "object"}}}}});
        assert_eq!(of(schema, json!({"spec": {"a": 1, "e": {}}})), json!({"f:spec": {"f:a": {}, "f:e": {}}}));
    }

    #[test]
    fn entries_of_a_map_are_members_beside_their_fields() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}});
        assert_eq!(of(schema, json!({"k": {"a": 1}})), json!({"f:k": {".": {}, "f:a": {}}}));
    }

    #[test]
    fn atomic_maps_and_lists_are_leaves() {
        let schema = json!({"type": "object", "properties": {
            "m": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "integer"}}},
            "l": {"type": "array", "items": {"type": "integer"}}}});
        assert_eq!(of(schema, json!({"m": {"a": 1}, "l": [1]})), json!({"f:m": {}, "f:l": {}}));
    }

    #[test]
    fn set_elements_and_map_list_items_are_named_by_value_and_key() {
        let schema = json!({"type": "object", "properties": {
            "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}}}}});
        assert_eq!(
            of(schema, json!({"s": ["a"], "l": [{"n": "x", "v": 1}]})),
            json!({"f:s": {"v:\"a\"": {}}, "f:l": {"k:{\"n\":\"x\"}": {".": {}, "f:n": {}, "f:v": {}}}})
        );
    }

    #[test]
    fn without_a_schema_maps_are_merged_and_lists_replaced() {
        assert_eq!(
            field_set(None, &json!({"a": {"b": 1}, "l": [1]})).to_json(),
            json!({"f:a": {".": {}, "f:b": {}}, "f:l": {}})
        );
    }

    #[test]
    fn a_key_with_a_default_may_be_left_out() {
        let schema = Schema::compile(
            &json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "proto"],
                "items": {"type": "object", "properties": {"port": {"type": "integer"}, "proto": {"type": "string", "default": "TCP"}}}}),
            "",
        )
        .unwrap();
        assert_eq!(element(&schema, &json!({"port": 1})), element(&schema, &json!({"port": 1, "proto": "TCP"})));
        assert!(element(&schema, &json!(1)).is_err());
    }
}
