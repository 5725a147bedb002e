#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn schema() -> Schema {
    let spec = json!({"type": "object", "properties": {
        "a": {"type": "string"}, "b": {"type": "string"},
        "m": {"type": "object", "additionalProperties": {"type": "string"}},
        "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {
            "type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "string"}, "w": {"type": "string"}}}}}});
    Schema::compile(
        &json!({"type": "object", "properties": {"spec": spec, "status": spec, "metadata": {"type": "object"}}}),
        "",
    )
    .unwrap()
}

fn scope<'a>(schema: &'a Schema, manager: &'a str) -> Scope<'a> {
    Scope::new(schema, "v1", "", manager, true, "2026-01-01T00:00:00Z".into())
}

/// Applies `spec` as `manager` to `live`.
fn applied(live: &Value, manager: &str, spec: Value) -> Value {
    let schema = schema();
    apply(live, &json!({"spec": spec}), &scope(&schema, manager), false).unwrap().unwrap_or_else(|| live.clone())
}

fn forced(live: &Value, manager: &str, spec: Value) -> Value {
    let schema = schema();
    apply(live, &json!({"spec": spec}), &scope(&schema, manager), true).unwrap().unwrap_or_else(|| live.clone())
}

fn conflict(live: &Value, manager: &str, spec: Value) -> (String, Vec<String>) {
    let schema = schema();
    match apply(live, &json!({"spec": spec}), &scope(&schema, manager), false) {
        Err(ApplyError::Conflict(message, causes)) => (message, causes.into_iter().map(|cause| cause.field).collect()),
        other => panic!("no conflict: {other:?}"),
    }
}

fn updated(live: &Value, manager: &str, spec: Value) -> Value {
    let mut new = live.clone();
    new["spec"] = spec;
    track_update(live, new, &scope(&schema(), manager))
}

fn owned(object: &Value, manager: &str) -> Value {
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    list.iter().find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[test]
fn what_is_applied_is_owned() {
    let object = applied(&json!({}), "x", json!({"a": "1", "m": {"k": "v"}}));
    assert_eq!(object["spec"], json!({"a": "1", "m": {"k": "v"}}));
    assert_eq!(owned(&object, "x"), json!({"f:spec": {"f:a": {}, "f:m": {"f:k": {}}}}));
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let object = applied(&json!({}), "x", json!({"a": "1", "s": ["e"], "l": [{"n": "i"}]}));
    let schema = schema();
    let again =
        apply(&object, &json!({"spec": {"a": "1", "s": ["e"], "l": [{"n": "i"}]}}), &scope(&schema, "x"), false);
    assert_eq!(again, Ok(None));
}

#[test]
fn a_field_no_longer_applied_by_its_only_owner_goes() {
    let object = applied(
        &json!({}),
        "x",
        json!({"a": "1", "b": "1", "m": {"k": "1", "j": "1"}, "s": ["e", "f"], "l": [{"n": "i"}, {"n": "j"}]}),
    );
    let object = applied(&object, "x", json!({"a": "1", "m": {"k": "1"}, "s": ["f"], "l": [{"n": "j"}]}));
    assert_eq!(object["spec"], json!({"a": "1", "m": {"k": "1"}, "s": ["f"], "l": [{"n": "j"}]}));
}

#[test]
fn a_field_that_another_applier_owns_too_stays() {
    let object = applied(&json!({}), "x", json!({"a": "1", "b": "1"}));
    let object = applied(&object, "y", json!({"a": "1"}));
    let object = applied(&object, "x", json!({"b": "1"}));
    assert_eq!(object["spec"], json!({"a": "1", "b": "1"}));
    assert_eq!(owned(&object, "y"), json!({"f:spec": {"f:a": {}}}));
    let object = applied(&object, "y", json!({}));
    assert_eq!(object["spec"], json!({"b": "1"}));
}

#[test]
fn another_value_for_an_owned_field_is_a_conflict_and_force_takes_it() {
    let object = applied(&json!({}), "x", json!({"a": "1", "b": "1"}));
    let (message, fields) = conflict(&object, "y", json!({"a": "2"}));
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"x\": .spec.a");
    assert_eq!(fields, [".spec.a"]);
    let object = forced(&object, "y", json!({"a": "2"}));
    assert_eq!(object["spec"], json!({"a": "2", "b": "1"}));
    assert_eq!(owned(&object, "x"), json!({"f:spec": {"f:b": {}}}));
    assert_eq!(owned(&object, "y"), json!({"f:spec": {"f:a": {}}}));
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let object = applied(&json!({}), "x", json!({"a": "1"}));
    let object = updated(&object, "u", json!({"a": "1", "b": "1"}));
    let (message, fields) = conflict(&object, "y", json!({"a": "2", "b": "2"}));
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"u\" using v1:\n- .spec.b\nconflicts with \"x\":\n- .spec.a"
    );
    assert_eq!(fields, [".spec.b", ".spec.a"]);
}

#[test]
fn the_same_value_is_no_conflict_but_shared_ownership() {
    let object = applied(&json!({}), "x", json!({"a": "1"}));
    let object = applied(&object, "y", json!({"a": "1"}));
    assert_eq!(owned(&object, "x"), owned(&object, "y"));
    assert_eq!(conflict(&object, "y", json!({"a": "2"})).1, [".spec.a"]);
}

#[test]
fn an_atomic_map_belongs_to_one_and_is_put_back_as_a_whole() {
    let object = applied(&json!({}), "x", json!({"atom": {"k": "1"}}));
    let object = updated(&object, "u", json!({"atom": {"k": "1", "drift": "1"}}));
    assert_eq!(owned(&object, "x"), Value::Null);
    assert_eq!(conflict(&object, "x", json!({"atom": {"k": "1"}})).1, [".spec.atom"]);
    let object = forced(&object, "x", json!({"atom": {"k": "1"}}));
    assert_eq!(object["spec"], json!({"atom": {"k": "1"}}));
}

#[test]
fn managers_share_a_map_list_item_by_its_fields() {
    let object = applied(&json!({}), "x", json!({"l": [{"n": "i", "v": "1"}]}));
    let object = applied(&object, "y", json!({"l": [{"n": "i", "w": "2"}]}));
    assert_eq!(object["spec"]["l"], json!([{"n": "i", "v": "1", "w": "2"}]));
    let object = applied(&object, "x", json!({}));
    assert_eq!(object["spec"]["l"], json!([{"n": "i", "w": "2"}]));
    let object = applied(&object, "y", json!({}));
    assert_eq!(object["spec"], json!({}));
}

#[test]
fn what_an_update_adds_below_an_applied_item_keeps_the_item() {
    let object = applied(&json!({}), "x", json!({"m": {"k": "1"}}));
    let object = updated(&object, "u", json!({"m": {"k": "1", "j": "1"}}));
    let object = applied(&object, "x", json!({}));
    assert_eq!(object["spec"], json!({"m": {"j": "1"}}));
}

#[test]
fn an_update_takes_what_it_changes_from_its_owner() {
    let object = applied(&json!({}), "x", json!({"a": "1", "b": "1"}));
    let object = updated(&object, "u", json!({"a": "2", "b": "1"}));
    assert_eq!(owned(&object, "x"), json!({"f:spec": {"f:b": {}}}));
    assert_eq!(owned(&object, "u"), json!({"f:spec": {"f:a": {}}}));
    let object = updated(&object, "u", json!({"a": "2"}));
    assert_eq!(owned(&object, "x"), Value::Null);
}

#[test]
fn a_create_owns_the_parents_it_makes() {
    let object = updated(&json!({}), "u", json!({"m": {"k": "1"}}));
    assert_eq!(owned(&object, "u"), json!({"f:spec": {".": {}, "f:m": {".": {}, "f:k": {}}}}));
}

#[test]
fn status_is_ignored_through_the_main_door_and_spec_through_the_other() {
    let schema = schema();
    let config = json!({"spec": {"a": "1"}, "status": {"a": "1"}});
    let main = apply(&json!({}), &config, &scope(&schema, "x"), false).unwrap().unwrap();
    assert_eq!(owned(&main, "x"), json!({"f:spec": {"f:a": {}}}));
    let door = Scope::new(&schema, "v1", "status", "x", true, String::new());
    let status = apply(&json!({}), &config, &door, false).unwrap().unwrap();
    assert_eq!(owned(&status, "x"), json!({"f:status": {"f:a": {}}}));
}

#[test]
fn an_empty_list_of_managers_resets_and_garbage_is_not_believed() {
    let object = applied(&json!({}), "x", json!({"a": "1"}));
    let mut reset = object.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    let out = track_update(&object, reset, &scope(&schema(), "u"));
    assert_eq!(out["metadata"]["managedFields"], Value::Null);
    let mut stored = out;
    stored["metadata"]["uid"] = "u".into();
    let out = track_update(&stored, stored.clone(), &scope(&schema(), "u"));
    assert_eq!(out["metadata"]["managedFields"], Value::Null, "nobody keeps account any more");
    assert_eq!(conflict(&stored, "y", json!({"a": "2"})).1, [".spec.a"]);
    let object_again = applied(&stored, "y", json!({"a": "1"}));
    assert_eq!(owned(&object_again, "before-first-apply"), json!({"f:spec": {".": {}, "f:a": {}}}));
    let mut garbage = object.clone();
    garbage["metadata"]["managedFields"] = json!([{"operation": "Nonsense"}]);
    let out = track_update(&object, garbage, &scope(&schema(), "u"));
    assert_eq!(out["metadata"], object["metadata"]);
}

#[test]
fn a_malformed_list_in_the_configuration_is_refused() {
    let schema = schema();
    let twice = json!({"spec": {"s": ["e", "e"]}});
    assert!(matches!(apply(&json!({}), &twice, &scope(&schema, "x"), false), Err(ApplyError::Malformed(_))));
}

#[test]
fn kubectl_takes_over_what_client_side_apply_set_and_nobody_changed() {
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let last = json!({"apiVersion": "v1", "spec": {"a": "1", "b": "1"}}).to_string();
    let live = json!({"apiVersion": "v1", "metadata": {"annotations": {annotation: last}}, "spec": {"a": "1", "b": "changed"}});
    let live = track_update(&json!({}), live, &scope(&schema(), "kubectl-client-side-apply"));
    assert_eq!(conflict(&live, "other", json!({"a": "2"})).1, [".spec.a"]);
    assert_eq!(conflict(&live, "kubectl", json!({"a": "2", "b": "2"})).1, [".spec.b"]);
    let object = applied(&live, "kubectl", json!({"a": "2"}));
    assert_eq!(object["spec"], json!({"a": "2", "b": "changed"}));
    assert_eq!(object["metadata"]["annotations"][annotation], "{\"spec\":{\"a\":\"2\"}}\n");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["p".to_owned(), "q".to_owned(), "r".to_owned()])
    }

    fn spec() -> impl Strategy<Value = Value> {
        let map = || prop::collection::btree_map(text(), text(), 0..3);
        // An empty list owns nothing: structured-merge-diff drops it where it was emptied and adds it where it was absent.
        let set = prop::collection::btree_set(text(), 1..3);
        let item = (text(), prop::option::of(text()), prop::option::of(text()));
        let list = prop::collection::btree_map(text(), item, 1..3);
        (
            prop::option::of(text()),
            prop::option::of(map()),
            prop::option::of(map()),
            prop::option::of(set),
            prop::option::of(list),
        )
            .prop_map(|(a, m, atom, s, l)| {
                let mut spec = Map::new();
                if let Some(a) = a {
                    spec.insert("a".into(), a.into());
                }
                if let Some(m) = m {
                    spec.insert("m".into(), json!(m));
                }
                if let Some(atom) = atom {
                    spec.insert("atom".into(), json!(atom));
                }
                if let Some(s) = s {
                    spec.insert("s".into(), json!(s));
                }
                if let Some(l) = l {
                    let items: Vec<Value> = l
                        .into_iter()
                        .map(|(n, (_, v, w))| {
                            let mut item = json!({"n": n});
                            if let Some(v) = v {
                                item["v"] = v.into();
                            }
                            if let Some(w) = w {
                                item["w"] = w.into();
                            }
                            item
                        })
                        .collect();
                    spec.insert("l".into(), items.into());
                }
                Value::Object(spec)
            })
    }

    /// Every field of a configuration has its value in the object.
    fn holds(object: &Value, config: &Value) -> bool {
        match (object, config) {
            (Value::Object(object), Value::Object(config)) => config.iter().all(|(name, value)| {
                let empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
                empty || object.get(name).is_some_and(|found| holds(found, value))
            }),
            (Value::Array(object), Value::Array(config)) => {
                config.iter().all(|item| object.iter().any(|found| holds(found, item)))
            }
            (object, config) => object == config,
        }
    }

    proptest! {
        #[test]
        fn applying_twice_is_applying_once(live in spec(), first in spec(), config in spec()) {
            let live = updated(&json!({}), "u", live);
            let live = forced(&live, "x", first);
            let once = forced(&live, "x", config.clone());
            prop_assert_eq!(&forced(&once, "x", config.clone()), &once);
            prop_assert_eq!(&applied(&once, "x", config), &once);
        }

        #[test]
        fn what_is_applied_by_force_is_there_and_owned(live in spec(), other in spec(), config in spec()) {
            let live = updated(&json!({}), "u", live);
            let live = forced(&live, "y", other);
            let object = forced(&live, "x", config.clone());
            prop_assert!(holds(&object["spec"], &config), "{} {}", object, config);
            let set = field_set(Some(&schema()), &json!({"spec": config}));
            let mine = FieldSet::from_json(&owned(&object, "x")).unwrap_or_default();
            prop_assert_eq!(mine, set);
        }

        #[test]
        fn nobody_owns_what_is_not_there(live in spec(), first in spec(), second in spec(), third in spec()) {
            let object = updated(&json!({}), "u", live);
            let object = forced(&object, "x", first);
            let object = forced(&object, "y", second);
            let object = forced(&object, "x", third);
            let schema = schema();
            let there = field_set(Some(&schema), &without_managed_fields(&object)).with_named_parents(Some(&schema));
            for manager in ["u", "x", "y"] {
                let mine = FieldSet::from_json(&owned(&object, manager)).unwrap_or_default();
                let gone = mine.difference(&there);
                // An empty set or map owned as such may have been filled or dropped by another.
                for path in gone.paths() {
                    prop_assert!(path.matches('.').count() <= 2 && !path.contains('['), "{manager} {path} {object}");
                }
            }
        }

        #[test]
        fn an_applier_that_applies_nothing_leaves_what_others_own(first in spec(), second in spec()) {
            let object = forced(&json!({}), "x", first);
            let object = forced(&object, "y", second.clone());
            let schema = schema();
            let applied = apply(&object, &json!({}), &scope(&schema, "x"), true).unwrap();
            let object = applied.unwrap_or(object);
            prop_assert!(holds(&object["spec"], &second), "{} {}", object, second);
            prop_assert_eq!(owned(&object, "x"), Value::Null);
        }
    }
}
