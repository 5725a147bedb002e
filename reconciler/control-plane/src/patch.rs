//! Patches: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and the strategic merge patch of built-in kinds.

use serde_json::{Map, Value};

use crate::schema::{ListType, Schema};

/// Merges an RFC 7386 patch: null deletes, objects merge, the rest replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("made an object above");
    for (name, item) in patch {
        if item.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), item);
        }
    }
}

/// Merges a strategic merge patch. Lists of the schema's set and map types merge by element; the directives
/// `$patch: delete|replace`, `$deleteFromPrimitiveList/x`, `$retainKeys` and `$setElementOrder/x` are obeyed as far as kubectl
/// sends them for the built-in kinds.
pub(crate) fn strategic(schema: Option<&Schema>, target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("made an object above");
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|name, _| keep.iter().any(|kept| kept.as_str() == Some(name)));
    }
    for (name, item) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(found), Some(gone)) = (map.get_mut(list).and_then(Value::as_array_mut), item.as_array()) {
                found.retain(|element| !gone.contains(element));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        let field = schema.and_then(|schema| schema.field(name).0);
        match item {
            Value::Null => {
                map.remove(name);
            }
            Value::Array(items) if field.is_some_and(|field| field.list != ListType::Atomic) => {
                let field = field.expect("looked at above");
                let found = map.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
                strategic_list(field, found, items);
            }
            item => strategic(field, map.entry(name.clone()).or_insert(Value::Null), item),
        }
    }
}

fn strategic_list(schema: &Schema, target: &mut Value, items: &[Value]) {
    let directive = |item: &Value, wanted: &str| item.get("$patch").and_then(Value::as_str) == Some(wanted);
    if !target.is_array() || items.iter().any(|item| directive(item, "replace")) {
        *target = Value::Array(Vec::new());
    }
    let list = target.as_array_mut().expect("made an array above");
    for item in items {
        let same = |found: &Value| match &schema.list {
            ListType::Map(keys) => keys.iter().all(|key| found.get(key) == item.get(key)),
            _ => found == item,
        };
        let position = list.iter().position(same);
        if directive(item, "replace") {
            continue;
        }
        match position {
            Some(at) if directive(item, "delete") => {
                list.remove(at);
            }
            Some(at) => strategic(schema.items.as_deref(), &mut list[at], item),
            None if directive(item, "delete") => {}
            None => list.push(item.clone()),
        }
    }
}

/// Applies an RFC 6902 patch; `Err` says which operation cannot be done and why.
pub(crate) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or("a JSON patch is an array of operations")?;
    for (index, operation) in operations.iter().enumerate() {
        step(target, operation).map_err(|why| format!("operation {index}: {why}"))?;
    }
    Ok(())
}

fn step(target: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |key: &str| {
        let found = operation.get(key).and_then(Value::as_str);
        found.ok_or_else(|| format!("it has no {key:?}"))
    };
    let value = || operation.get("value").cloned().ok_or("it has no \"value\"");
    let path = text("path")?;
    match text("op")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => match target.pointer_mut(path) {
            Some(found) => {
                *found = value()?;
                Ok(())
            }
            // Kubernetes takes it for an addition.
            None => add(target, path, value()?),
        },
        "move" => {
            let moved = remove(target, text("from")?)?;
            add(target, path, moved)
        }
        "copy" => {
            let from = text("from")?;
            let copied = target.pointer(from).cloned().ok_or_else(|| format!("nothing at {from:?} to copy"))?;
            add(target, path, copied)
        }
        "test" => {
            // What is absent is null, which kube-rs' finalizer helper tests for.
            if *target.pointer(path).unwrap_or(&Value::Null) == value()? {
                Ok(())
            } else {
                Err(format!("testing value {path} failed"))
            }
        }
        other => Err(format!("unknown operation {other:?}")),
    }
}

fn split(path: &str) -> Result<(&str, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| format!("{path:?} does not begin with '/'"))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.insert(last, value);
            Ok(())
        }
        Some(Value::Array(list)) if last == "-" => {
            list.push(value);
            Ok(())
        }
        Some(Value::Array(list)) => match last.parse::<usize>() {
            Ok(at) if at <= list.len() => {
                list.insert(at, value);
                Ok(())
            }
            _ => Err(format!("{last:?} is no position in {parent:?}")),
        },
        _ => Err(format!("nothing at {parent:?} to add to")),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let nothing = || format!("nothing at {path:?} to remove");
    let (parent, last) = split(path)?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&last).ok_or_else(nothing),
        Some(Value::Array(list)) => match last.parse::<usize>() {
            Ok(at) if at < list.len() => Ok(list.remove(at)),
            _ => Err(nothing()),
        },
        _ => Err(nothing()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_sets_deletes_and_replaces() {
        for (target, patch, expected) in [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({"a": null}), json!({})),
            (json!({"a": {"b": 1, "c": 1}}), json!({"a": {"b": null}}), json!({"a": {"c": 1}})),
            (json!({"a": [1]}), json!({"a": [2]}), json!({"a": [2]})),
            (json!({"a": 1}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
        ] {
            let mut out = target;
            merge(&mut out, &patch);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_strategic_patch_merges_sets_and_keyed_lists() {
        let schema = Schema::compile(
            &json!({"type": "object", "properties": {
                "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object"}},
                "plain": {"type": "array", "items": {"type": "string"}}}}),
            "",
        )
        .unwrap();
        let mut out = json!({"s": ["a", "b"], "l": [{"n": "x", "v": 1}, {"n": "y"}], "plain": ["p"], "gone": 1});
        strategic(
            Some(&schema),
            &mut out,
            &json!({"s": ["c"], "$deleteFromPrimitiveList/s": ["a"], "$setElementOrder/l": [], "gone": null,
                "l": [{"n": "x", "w": 2}, {"n": "y", "$patch": "delete"}, {"n": "z"}], "plain": ["q"]}),
        );
        assert_eq!(out["l"], json!([{"n": "x", "v": 1, "w": 2}, {"n": "z"}]));
        assert_eq!(out["plain"], json!(["q"]));
        assert_eq!(out.get("gone"), None);
        let mut set: Vec<_> = out["s"].as_array().unwrap().clone();
        set.sort_by_key(Value::to_string);
        assert_eq!(Value::from(set), json!(["b", "c"]));
    }

    #[test]
    fn a_strategic_patch_can_replace_and_retain() {
        let mut out = json!({"m": {"a": 1}, "r": {"a": 1, "b": 1}});
        strategic(
            None,
            &mut out,
            &json!({"m": {"$patch": "replace", "b": 2}, "r": {"$retainKeys": ["b", "c"], "c": 3}}),
        );
        assert_eq!(out, json!({"m": {"b": 2}, "r": {"b": 1, "c": 3}}));
    }

    #[test]
    fn every_operation_of_a_json_patch_does_what_it_says() {
        let mut out = json!({"a": [1, 2], "b": {"c/d": 1}});
        let patch = json!([
            {"op": "test", "path": "/a/0", "value": 1},
            {"op": "test", "path": "/absent", "value": null},
            {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 3},
            {"op": "remove", "path": "/a/0"},
            {"op": "replace", "path": "/b/c~1d", "value": 2},
            {"op": "copy", "from": "/b/c~1d", "path": "/x"},
            {"op": "move", "from": "/x", "path": "/y"}]);
        json_patch(&mut out, &patch).unwrap();
        assert_eq!(out, json!({"a": [9, 2, 3], "b": {"c/d": 2}, "y": 2}));
    }

    #[test]
    fn a_json_patch_that_cannot_be_done_says_which_operation_and_why() {
        for (patch, why) in [
            (json!({}), "array"),
            (json!([{"op": "test", "path": "/a", "value": 2}]), "operation 0: testing value /a failed"),
            (json!([{"op": "remove", "path": "/x"}]), "nothing at \"/x\""),
            (json!([{"op": "replace", "path": "/x/y", "value": 1}]), "nothing at \"/x\""),
            (json!([{"op": "add", "path": "/x/y", "value": 1}]), "nothing at \"/x\""),
            (json!([{"op": "add", "path": "/l/7", "value": 1}]), "no position"),
            (json!([{"op": "add", "path": "x", "value": 1}]), "begin with '/'"),
            (json!([{"op": "dance", "path": "/a"}]), "unknown operation"),
            (json!([{"op": "add", "path": "/a"}]), "no \"value\""),
            (json!([{"path": "/a"}]), "no \"op\""),
        ] {
            let error = json_patch(&mut json!({"a": 1, "l": []}), &patch).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_merge_patch_applied_twice_is_applied_once(
            target in prop::collection::btree_map("[a-c]", prop::option::of("[x-z]"), 0..4),
            patch in prop::collection::btree_map("[a-c]", prop::option::of("[x-z]"), 0..4),
        ) {
            let mut once = json!(target);
            merge(&mut once, &json!(patch));
            let mut twice = once.clone();
            merge(&mut twice, &json!(patch));
            prop_assert_eq!(once, twice);
        }
    }
}
