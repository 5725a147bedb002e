//! Server-side apply.

use serde_json::{Value, json};

use super::Door;
use super::door::owned;

pub async fn applying_creates_and_applying_again_changes_nothing(door: Door) {
    let first = door.apply("a", "x", json!({"size": 1, "tags": ["t"]})).await;
    assert_eq!(first.code, 201);
    let object = first.ok();
    let second = door.apply("a", "x", json!({"size": 1, "tags": ["t"]})).await;
    assert_eq!(second.code, 200);
    assert_eq!(second.ok(), object);
    assert_eq!(owned(&object, "x", "Apply"), json!({"f:spec": {"f:size": {}, "f:tags": {"v:\"t\"": {}}}}));
}

pub async fn a_conflict_names_the_manager_and_each_field(door: Door) {
    door.apply("a", "x", json!({"size": 1, "code": "abc"})).await.ok();
    let status = door.apply("a", "y", json!({"size": 2, "code": "abc"})).await.fails(409, "Conflict");
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"x\": .spec.size");
    assert_eq!(
        status["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"x\"", "field": ".spec.size"}])
    );
    door.make("b", json!({"size": 1})).await;
    let status = door.apply("b", "y", json!({"size": 2})).await.fails(409, "Conflict");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("using contract.wasmbed.test/v1: .spec.size"), "{message}");
}

pub async fn force_takes_the_field_over(door: Door) {
    door.apply("a", "x", json!({"size": 1, "code": "abc"})).await.ok();
    let object = door.apply_with("a", "fieldManager=y&force=true", json!({"size": 2})).await.ok();
    assert_eq!(object["spec"]["size"], 2);
    assert_eq!(owned(&object, "x", "Apply"), json!({"f:spec": {"f:code": {}}}));
    assert_eq!(owned(&object, "y", "Apply"), json!({"f:spec": {"f:size": {}}}));
}

pub async fn a_field_no_longer_applied_goes(door: Door) {
    let full = json!({"size": 1, "code": "abc", "labels": {"a": "1", "b": "1"}, "tags": ["s", "t"]});
    door.apply("a", "x", full).await.ok();
    let object = door.apply("a", "x", json!({"size": 1, "labels": {"a": "1"}, "tags": ["t"]})).await.ok();
    assert_eq!(object["spec"], json!({"size": 1, "color": "red", "labels": {"a": "1"}, "tags": ["t"]}));
}

pub async fn a_field_that_two_managers_apply_stays_until_both_let_go(door: Door) {
    door.apply("a", "x", json!({"size": 1, "code": "abc"})).await.ok();
    door.apply("a", "y", json!({"size": 1})).await.ok();
    let object = door.apply("a", "x", json!({"code": "abc"})).await.ok();
    assert_eq!(object["spec"]["size"], 1);
    let object = door.apply("a", "y", json!({})).await.ok();
    assert_eq!(object["spec"].get("size"), None);
}

pub async fn an_atomic_map_is_put_back_whole(door: Door) {
    door.apply("a", "x", json!({"atom": {"k": "1"}})).await.ok();
    let patch = json!({"spec": {"atom": {"drift": "1"}}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    let object = door.apply_with("a", "fieldManager=x&force=true", json!({"atom": {"k": "1"}})).await.ok();
    assert_eq!(object["spec"]["atom"], json!({"k": "1"}));
    assert_eq!(owned(&object, "x", "Apply"), json!({"f:spec": {"f:atom": {}}}));
}

pub async fn items_of_a_map_list_belong_to_those_who_apply_them(door: Door) {
    door.apply("a", "x", json!({"parts": [{"name": "one", "note": "x"}]})).await.ok();
    let object = door.apply("a", "y", json!({"parts": [{"name": "two", "count": 2}]})).await.ok();
    assert_eq!(object["spec"]["parts"], json!([{"name": "one", "count": 1, "note": "x"}, {"name": "two", "count": 2}]));
    let object = door.apply("a", "x", json!({})).await.ok();
    assert_eq!(
        object["spec"]["parts"][1]["name"].as_str().or(object["spec"]["parts"][0]["name"].as_str()),
        Some("two")
    );
    assert_eq!(
        owned(&object, "y", "Apply"),
        json!({"f:spec": {"f:parts": {"k:{\"name\":\"two\"}": {".": {}, "f:name": {}, "f:count": {}}}}})
    );
    let twice = json!({"parts": [{"name": "one"}, {"name": "one"}]});
    let refused = door.apply("a", "x", twice).await;
    assert!(refused.code >= 400, "{}", refused.text);
}

pub async fn an_update_is_accounted_for_and_takes_ownership(door: Door) {
    door.apply("a", "x", json!({"size": 1, "code": "abc"})).await.ok();
    let path = format!("{}?fieldManager=u", door.widget("a"));
    let patch = json!({"spec": {"size": 2}});
    let object = door.patch(&path, "merge-patch+json", &patch).await.ok();
    assert_eq!(owned(&object, "u", "Update"), json!({"f:spec": {"f:size": {}}}));
    assert_eq!(owned(&object, "x", "Apply"), json!({"f:spec": {"f:code": {}}}));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    for entry in entries {
        assert_eq!(entry["fieldsType"], "FieldsV1");
        assert_eq!(entry["apiVersion"], "contract.wasmbed.test/v1");
        assert!(entry["time"].is_string());
    }
}

pub async fn status_is_applied_through_its_own_door(door: Door) {
    door.apply("a", "x", json!({"size": 1})).await.ok();
    let mut body = door.named("a");
    body["status"] = json!({"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]});
    body["spec"] = json!({"size": 9});
    let path = format!("{}/status?fieldManager=s", door.widget("a"));
    let object = door.patch(&path, "apply-patch+yaml", &body).await.ok();
    assert_eq!(object["status"], body["status"]);
    assert_eq!(object["spec"]["size"], 1);
    assert_eq!(object["metadata"]["generation"], 1);
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == "s").unwrap();
    assert_eq!(entry["subresource"], "status");
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:status": {"f:phase": {}, "f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:type": {}, "f:status": {}}}}})
    );
    let again = door.patch(&path, "apply-patch+yaml", &body).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
}

pub async fn a_status_of_a_missing_object_cannot_be_applied(door: Door) {
    let path = format!("{}/status?fieldManager=s", door.widget("nobody"));
    let mut body = door.named("nobody");
    body["status"] = json!({"phase": "x"});
    door.patch(&path, "apply-patch+yaml", &body).await.fails(404, "NotFound");
}

pub async fn an_apply_without_a_manager_is_invalid(door: Door) {
    let status = door.patch(&door.widget("a"), "apply-patch+yaml", &door.named("a")).await.fails(422, "Invalid");
    assert!(status["message"].as_str().unwrap().contains("is required for apply patch"), "{status}");
    let path = format!("{}?force=true", door.widget("a"));
    let status = door.patch(&path, "merge-patch+json", &json!({})).await.fails(422, "Invalid");
    assert!(status["message"].as_str().unwrap().contains("may not be specified for non-apply patch"), "{status}");
}

pub async fn an_apply_with_managed_fields_is_a_bad_request(door: Door) {
    let mut body = door.named("a");
    body["metadata"]["managedFields"] = json!([]);
    body["metadata"]["managedFields"] =
        json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    let path = format!("{}?fieldManager=x", door.widget("a"));
    let status = door.patch(&path, "apply-patch+yaml", &body).await.fails(400, "BadRequest");
    assert_eq!(status["message"], "metadata.managedFields must be nil");
}

pub async fn an_apply_that_creates_names_its_object(door: Door) {
    let query = "fieldManager=x";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}});
    let path = format!("{}/m?{query}", door.core("configmaps"));
    door.patch(&path, "apply-patch+yaml", &map).await.fails(400, "BadRequest");
    let mut widget = door.named("a");
    widget["metadata"] = json!({});
    let path = format!("{}?{query}", door.widget("a"));
    door.patch(&path, "apply-patch+yaml", &widget).await.fails(400, "BadRequest");
    door.apply("a", "x", json!({"size": 1})).await.ok();
    widget["spec"] = json!({"size": 2});
    let object = door.patch(&path, "apply-patch+yaml", &widget).await.ok();
    assert_eq!(object["spec"]["size"], 2);
}

pub async fn an_apply_in_yaml_is_read(door: Door) {
    let yaml = "apiVersion: contract.wasmbed.test/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  size: 7\n";
    let path = format!("{}?fieldManager=x", door.widget("a"));
    let kind = [("content-type", "application/apply-patch+yaml")];
    let object = door.send(http::Method::PATCH, &path, &kind, yaml).await.ok();
    assert_eq!(object["spec"]["size"], 7);
    door.send(http::Method::PATCH, &path, &kind, "a: [").await.fails(400, "BadRequest");
}

pub async fn a_dry_run_of_an_apply_shows_and_writes_nothing(door: Door) {
    let shown = door.apply_with("a", "fieldManager=x&dryRun=All", json!({"size": 1})).await.ok();
    assert_eq!(shown["spec"]["size"], 1);
    door.get(&door.widget("a")).await.fails(404, "NotFound");
    let object: Value = door.apply("a", "x", json!({"size": 1})).await.ok();
    door.apply_with("a", "fieldManager=x&dryRun=All", json!({"size": 2})).await.ok();
    assert_eq!(door.get(&door.widget("a")).await.ok(), object);
}
