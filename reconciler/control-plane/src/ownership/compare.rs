//! The difference between two values, as sets of fields.

use serde_json::{Map, Value};

use super::field_set::{FieldSet, PathElement};
use super::shape::{Shape, common_shape, element, shape};
use crate::schema::Schema;

/// What changed between two values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    /// Forgets what lies in or below `ignored`.
    pub(super) fn without(self, ignored: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            removed: self.removed.recursive_difference(ignored),
        }
    }
}

/// Compares two objects.
pub(super) fn compare(schema: Option<&Schema>, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    compare_at(schema, Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn compare_at(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<PathElement>,
    out: &mut Comparison,
) {
    if old == new {
        return;
    }
    let shape = match common_shape(schema, old, new) {
        // Both empty: the difference between empty, null and absent is one of this field itself.
        Shape::Map | Shape::List if is_empty(old) && is_empty(new) => Shape::Leaf,
        shape => shape,
    };
    match shape {
        Shape::Leaf => {
            match (old, new) {
                (None, _) => out.added.insert(path),
                (_, None) => out.removed.insert(path),
                (Some(old), Some(new)) => {
                    // What lay below a value of another form is gone with it, or new.
                    below(schema, old, new, path, &mut out.removed);
                    below(schema, new, old, path, &mut out.added);
                    out.modified.insert(path);
                }
            }
            return;
        }
        Shape::Map => {
            let nothing = Map::new();
            let old_map = old.and_then(Value::as_object).unwrap_or(&nothing);
            let new_map = new.and_then(Value::as_object).unwrap_or(&nothing);
            let added_names = new_map.keys().filter(|name| !old_map.contains_key(*name));
            for name in old_map.keys().chain(added_names) {
                let field = schema.and_then(|schema| schema.field(name).0);
                path.push(PathElement::Field(name.clone()));
                compare_at(field, old_map.get(name), new_map.get(name), path, out);
                path.pop();
            }
        }
        Shape::List => {
            let schema = schema.expect("a list without a schema is a leaf");
            compare_lists(schema, items(old), items(new), path, out);
        }
    }
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => {}
    }
}

/// Adds what lies below `value`, if `other` has not its form.
fn below(schema: Option<&Schema>, value: &Value, other: &Value, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    let form = shape(schema, value);
    if form == Shape::Leaf || value.is_null() || other.is_null() || form == shape(schema, other) {
        return;
    }
    let mut all = Comparison::default();
    compare_at(schema, None, Some(value), path, &mut all);
    let mut itself = FieldSet::default();
    itself.insert(path);
    *set = set.union(&all.added.difference(&itself));
}

fn compare_lists(schema: &Schema, old: &[Value], new: &[Value], path: &mut Vec<PathElement>, out: &mut Comparison) {
    let (old, new) = (grouped(schema, old), grouped(schema, new));
    let added = new.iter().filter(|(element, _)| find(&old, element).is_empty());
    let elements: Vec<&PathElement> = old.iter().chain(added).map(|(element, _)| element).collect();
    for element in elements {
        path.push(element.clone());
        let items = schema.items.as_deref();
        match (find(&old, element), find(&new, element)) {
            ([], []) => {}
            // Duplicates are compared as if they were one atomic thing.
            ([_, _, ..], [_, _, ..]) => {
                if find(&old, element) != find(&new, element) {
                    out.modified.insert(path);
                }
            }
            ([_, _, ..], rest) => {
                compare_at(items, None, rest.first().copied(), path, out);
                out.removed.insert(path);
            }
            (rest, [_, _, ..]) => {
                compare_at(items, rest.first().copied(), None, path, out);
                out.added.insert(path);
            }
            (old, new) => compare_at(items, old.first().copied(), new.first().copied(), path, out),
        }
        path.pop();
    }
}

type Groups<'a> = Vec<(PathElement, Vec<&'a Value>)>;

fn grouped<'a>(schema: &Schema, list: &'a [Value]) -> Groups<'a> {
    let mut groups: Groups<'a> = Vec::new();
    for item in list {
        let Ok(element) = element(schema, item) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == element) {
            Some((_, items)) => items.push(item),
            None => groups.push((element, vec![item])),
        }
    }
    groups
}

fn find<'g, 'a>(groups: &'g Groups<'a>, element: &PathElement) -> &'g [&'a Value] {
    groups.iter().find(|(known, _)| known == element).map_or(&[], |(_, items)| items)
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn diff(schema: Value, old: Value, new: Value) -> (Value, Value, Value) {
        let schema = Schema::compile(&schema, "").unwrap();
        let out = compare(Some(&schema), &old, &new);
        (out.added.to_json(), out.modified.to_json(), out.removed.to_json())
    }

    #[test]
    fn equal_values_differ_in_nothing() {
        assert_eq!(compare(None, &json!({"a": [1]}), &json!({"a": [1]})), Comparison::default());
    }

    #[test]
    fn an_added_struct_is_added_with_all_below_it() {
        let schema = json!({"type": "object", "properties": {"s": {"type": "object", "properties": {"a": {"type": "integer"}}}}});
        assert_eq!(
            diff(schema, json!({}), json!({"s": {"a": 1}})),
            (json!({"f:s": {".": {}, "f:a": {}}}), json!({}), json!({}))
        );
    }

    #[test]
    fn a_changed_scalar_is_modified_and_a_missing_one_removed() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}});
        assert_eq!(
            diff(schema, json!({"a": 1, "b": 1}), json!({"a": 2})),
            (json!({}), json!({"f:a": {}}), json!({"f:b": {}}))
        );
    }

    #[test]
    fn an_atomic_map_is_modified_as_a_whole() {
        let schema = json!({"type": "object", "x-kubernetes-map-type": "granular", "properties": {"s": {
            "type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "integer"}}}}});
        assert_eq!(
            diff(schema, json!({"s": {"a": 1}}), json!({"s": {"a": 1, "b": 2}})),
            (json!({}), json!({"f:s": {}}), json!({}))
        );
    }

    #[test]
    fn items_of_a_map_list_are_told_apart_by_key_and_order_does_not_matter() {
        let schema = json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}}}}});
        assert_eq!(
            diff(
                schema.clone(),
                json!({"l": [{"n": "a", "v": 1}, {"n": "b", "v": 1}]}),
                json!({"l": [{"n": "c"}, {"n": "a", "v": 2}]})
            ),
            (
                json!({"f:l": {"k:{\"n\":\"c\"}": {".": {}, "f:n": {}}}}),
                json!({"f:l": {"k:{\"n\":\"a\"}": {"f:v": {}}}}),
                json!({"f:l": {"k:{\"n\":\"b\"}": {".": {}, "f:n": {}, "f:v": {}}}})
            )
        );
        assert_eq!(
            diff(schema, json!({"l": [{"n": "a"}, {"n": "b"}]}), json!({"l": [{"n": "b"}, {"n": "a"}]})),
            (json!({}), json!({}), json!({}))
        );
    }

    #[test]
    fn a_map_that_becomes_a_scalar_loses_what_was_below_it() {
        let out = compare(None, &json!({"k": {"d": 1}}), &json!({"k": "x"}));
        assert_eq!(out.removed.to_json(), json!({"f:k": {"f:d": {}}}));
        assert_eq!(out.modified.to_json(), json!({"f:k": {}}));
        let back = compare(None, &json!({"k": "x"}), &json!({"k": {"d": 1}}));
        assert_eq!(back.added.to_json(), json!({"f:k": {"f:d": {}}}));
    }

    #[test]
    fn empty_null_and_absent_are_told_apart() {
        let schema = json!({"type": "object", "properties": {"m": {"type": "object"}}});
        assert_eq!(diff(schema.clone(), json!({}), json!({"m": {}})), (json!({"f:m": {}}), json!({}), json!({})));
        assert_eq!(diff(schema, json!({"m": null}), json!({"m": {}})), (json!({}), json!({"f:m": {}}), json!({})));
    }
}
