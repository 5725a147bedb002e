//! Merging an applied configuration into a live object.

use serde_json::{Map, Value};

use super::compare::is_empty;
use super::field_set::PathElement;
use super::shape::{Shape, common_shape, element};
use crate::schema::Schema;

/// Why a configuration cannot be merged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MergeError {
    /// `.spec.items`
    pub(super) path: String,
    pub(super) why: String,
}

/// The live object with what the configuration sets.
pub(super) fn merge(schema: Option<&Schema>, live: &Value, config: &Value) -> Result<Value, MergeError> {
    let merged = merge_at(schema, Some(live), Some(config), "")?;
    Ok(merged.unwrap_or_else(|| Value::Object(Map::new())))
}

fn merge_at(
    schema: Option<&Schema>,
    live: Option<&Value>,
    config: Option<&Value>,
    path: &str,
) -> Result<Option<Value>, MergeError> {
    let shape = match common_shape(schema, live, config) {
        Shape::Map | Shape::List if is_empty(live) && is_empty(config) => Shape::Leaf,
        shape => shape,
    };
    match shape {
        Shape::Leaf => Ok(config.or(live).cloned()),
        Shape::Map => merge_maps(schema, live, config, path),
        Shape::List => {
            let schema = schema.expect("a list without a schema is a leaf");
            let out = merge_lists(schema, items(live), items(config), path)?;
            Ok((!out.is_empty()).then_some(Value::Array(out)))
        }
    }
}

fn merge_maps(
    schema: Option<&Schema>,
    live: Option<&Value>,
    config: Option<&Value>,
    path: &str,
) -> Result<Option<Value>, MergeError> {
    let nothing = Map::new();
    let live = live.and_then(Value::as_object).unwrap_or(&nothing);
    let config = config.and_then(Value::as_object).unwrap_or(&nothing);
    let added = config.keys().filter(|name| !live.contains_key(*name));
    let mut out = Map::new();
    for name in live.keys().chain(added) {
        let field = schema.and_then(|schema| schema.field(name).0);
        // A field the configuration does not name stays as it is.
        let merged = match config.get(name) {
            None => live.get(name).cloned(),
            theirs => merge_at(field, live.get(name), theirs, &format!("{path}.{name}"))?,
        };
        if let Some(merged) = merged {
            out.insert(name.clone(), merged);
        }
    }
    Ok((!out.is_empty()).then_some(Value::Object(out)))
}

/// Items keep the order of the configuration; items only the live list has stay where they stood between the shared ones.
fn merge_lists(schema: &Schema, live: &[Value], config: &[Value], path: &str) -> Result<Vec<Value>, MergeError> {
    let fail = |why: String| MergeError { path: path.to_owned(), why };
    let key = |(index, item)| element(schema, item).map_err(|why| fail(format!("element {index}: {why}")));
    let live_keys: Vec<PathElement> = live.iter().enumerate().map(key).collect::<Result<_, _>>()?;
    let config_keys: Vec<PathElement> = config.iter().enumerate().map(key).collect::<Result<_, _>>()?;
    for (index, key) in config_keys.iter().enumerate() {
        if config_keys[..index].contains(key) {
            return Err(fail(format!("duplicate entries for key {key}")));
        }
    }
    let live_item = |key: &PathElement| {
        let mut found = live_keys.iter().zip(live).filter(|(known, _)| *known == key);
        match (found.next(), found.next()) {
            (Some((_, item)), None) => Some(item),
            // A duplicate is not merged with.
            _ => None,
        }
    };
    let mut shared = config_keys.iter().filter(|key| live_keys.contains(key));
    let mut next_shared = shared.next();
    let mut done: Vec<&PathElement> = Vec::new();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < config.len() {
        if left < live.len() && right < config.len() {
            let key = &live_keys[left];
            if *key == config_keys[right] {
                done.push(key);
                out.extend(merge_at(
                    schema.items.as_deref(),
                    live_item(key),
                    Some(&config[right]),
                    &format!("{path}{key}"),
                )?);
                left += 1;
                right += 1;
                next_shared = shared.next();
                continue;
            }
            if config_keys.contains(key) && next_shared.is_some_and(|next| next != key) {
                left += 1;
                continue;
            }
        }
        if left < live.len() {
            let key = &live_keys[left];
            if !config_keys.contains(key) {
                out.push(live[left].clone());
                left += 1;
                continue;
            }
            if done.contains(&key) {
                left += 1;
            }
        }
        if right < config.len() {
            let key = &config_keys[right];
            done.push(key);
            out.extend(merge_at(
                schema.items.as_deref(),
                live_item(key),
                Some(&config[right]),
                &format!("{path}{key}"),
            )?);
            right += 1;
            if next_shared == Some(key) {
                next_shared = shared.next();
            }
        }
    }
    Ok(out)
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(schema: Value, live: Value, config: Value) -> Value {
        merge(Some(&Schema::compile(&schema, "").unwrap()), &live, &config).unwrap()
    }

    fn set() -> Value {
        json!({"type": "object", "properties": {"s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}})
    }

    #[test]
    fn maps_are_merged_field_by_field() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(
            merged(schema, json!({"a": "1", "b": "1"}), json!({"b": "2", "c": "2"})),
            json!({"a": "1", "b": "2", "c": "2"})
        );
    }

    #[test]
    fn atomic_maps_and_plain_lists_are_replaced() {
        let schema = json!({"type": "object", "properties": {
            "m": {"type": "object", "x-kubernetes-map-type": "atomic"}, "l": {"type": "array"}}});
        assert_eq!(
            merged(schema, json!({"m": {"a": 1}, "l": [1, 2]}), json!({"m": {"b": 1}, "l": [3]})),
            json!({"m": {"b": 1}, "l": [3]})
        );
    }

    #[test]
    fn a_set_gains_elements_and_keeps_those_of_others_in_place() {
        assert_eq!(
            merged(set(), json!({"s": ["a", "b", "c"]}), json!({"s": ["c", "d", "a"]})),
            json!({"s": ["b", "c", "d", "a"]})
        );
        assert_eq!(merged(set(), json!({"s": ["x", "a"]}), json!({"s": ["a", "z"]})), json!({"s": ["x", "a", "z"]}));
    }

    #[test]
    fn items_of_a_map_list_are_merged_by_key() {
        let schema = json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}, "w": {"type": "integer"}}}}}});
        assert_eq!(
            merged(
                schema,
                json!({"l": [{"n": "a", "v": 1}, {"n": "b", "v": 1}]}),
                json!({"l": [{"n": "b", "w": 2}, {"n": "c"}]})
            ),
            json!({"l": [{"n": "a", "v": 1}, {"n": "b", "v": 1, "w": 2}, {"n": "c"}]})
        );
    }

    #[test]
    fn duplicates_in_the_configuration_are_refused() {
        let error =
            merge(Some(&Schema::compile(&set(), "").unwrap()), &json!({}), &json!({"s": ["a", "a"]})).unwrap_err();
        assert_eq!(error.path, ".s");
        assert!(error.why.contains("duplicate entries for key [=\"a\"]"), "{}", error.why);
    }
}
