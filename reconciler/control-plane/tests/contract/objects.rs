//! Creating, reading, updating and patching.

use http::Method;
use serde_json::json;

use super::Door;

pub async fn a_created_object_gets_a_uid_a_time_a_generation_and_a_version(door: Door) {
    let made = door.make("a", json!({"size": 1})).await;
    let metadata = &made["metadata"];
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(metadata["generation"], 1);
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(metadata["namespace"], door.namespace);
    assert_eq!(door.get(&door.widget("a")).await.ok(), made);
}

pub async fn a_second_create_of_the_same_name_is_already_exists(door: Door) {
    door.make("a", json!({})).await;
    let status = door.post(&door.widgets(), &door.named("a")).await.fails(409, "AlreadyExists");
    assert_eq!(status["message"], "widgets.contract.wasmbed.test \"a\" already exists");
    assert_eq!(status["details"], json!({"name": "a", "group": "contract.wasmbed.test", "kind": "widgets"}));
}

pub async fn a_generated_name_begins_with_its_prefix(door: Door) {
    let mut body = door.named("");
    body["metadata"] = json!({"generateName": "pre-"});
    let one = door.post(&door.widgets(), &body).await.ok();
    let two = door.post(&door.widgets(), &body).await.ok();
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("pre-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
    assert_eq!(one["metadata"]["generateName"], "pre-");
}

pub async fn an_object_without_a_name_is_invalid(door: Door) {
    let mut body = door.named("");
    body["metadata"] = json!({});
    let status = door.post(&door.widgets(), &body).await.fails(422, "Invalid");
    assert!(status["message"].as_str().unwrap().contains("name or generateName is required"), "{status}");
}

pub async fn a_name_that_dns_would_refuse_is_invalid(door: Door) {
    let status = door.post(&door.widgets(), &door.named("Not_DNS")).await.fails(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.name");
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueInvalid");
}

pub async fn a_missing_object_is_not_found_with_details(door: Door) {
    let status = door.get(&door.widget("nobody")).await.fails(404, "NotFound");
    assert_eq!(status["status"], "Failure");
    assert_eq!(status["message"], "widgets.contract.wasmbed.test \"nobody\" not found");
    assert_eq!(status["details"], json!({"name": "nobody", "group": "contract.wasmbed.test", "kind": "widgets"}));
}

pub async fn an_object_in_a_missing_namespace_is_not_found(door: Door) {
    let nowhere = Door { namespace: "no-such-namespace".into(), ..door };
    let status = nowhere.post(&nowhere.widgets(), &nowhere.named("a")).await.fails(404, "NotFound");
    assert_eq!(status["message"], "namespaces \"no-such-namespace\" not found");
    assert!(nowhere.names(&nowhere.widgets()).await.is_empty());
}

pub async fn an_update_with_a_stale_version_is_a_conflict(door: Door) {
    let mut old = door.make("a", json!({"size": 1})).await;
    let mut new = old.clone();
    new["spec"]["size"] = 2.into();
    door.put(&door.widget("a"), &new).await.ok();
    old["spec"]["size"] = 3.into();
    let status = door.put(&door.widget("a"), &old).await.fails(409, "Conflict");
    assert_eq!(
        status["message"],
        "Operation cannot be fulfilled on widgets.contract.wasmbed.test \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
}

pub async fn an_update_without_a_version_is_refused_for_custom_resources(door: Door) {
    let mut object = door.make("a", json!({})).await;
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let status = door.put(&door.widget("a"), &object).await.fails(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.resourceVersion");
}

pub async fn an_update_of_a_missing_object_is_not_found(door: Door) {
    let mut object = door.named("nobody");
    object["metadata"]["resourceVersion"] = "1".into();
    door.put(&door.widget("nobody"), &object).await.fails(404, "NotFound");
}

pub async fn an_update_that_changes_nothing_writes_nothing(door: Door) {
    let object = door.make("a", json!({"size": 1})).await;
    let again = door.put(&door.widget("a"), &object).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
    let patched = door.patch(&door.widget("a"), "merge-patch+json", &json!({"spec": {"size": 1}})).await.ok();
    assert_eq!(patched["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
}

pub async fn a_change_of_spec_is_a_new_generation_and_one_of_labels_is_not(door: Door) {
    door.make("a", json!({"size": 1})).await;
    let labelled =
        door.patch(&door.widget("a"), "merge-patch+json", &json!({"metadata": {"labels": {"k": "v"}}})).await.ok();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let changed = door.patch(&door.widget("a"), "merge-patch+json", &json!({"spec": {"size": 2}})).await.ok();
    assert_eq!(changed["metadata"]["generation"], 2);
}

pub async fn a_merge_patch_changes_what_it_names(door: Door) {
    door.make("a", json!({"size": 1, "labels": {"x": "1", "y": "1"}})).await;
    let patch = json!({"spec": {"labels": {"x": null, "z": "2"}, "plain": ["p"]}});
    let object = door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    assert_eq!(object["spec"], json!({"size": 1, "color": "red", "labels": {"y": "1", "z": "2"}, "plain": ["p"]}));
}

pub async fn a_merge_patch_with_a_stale_version_is_a_conflict(door: Door) {
    door.make("a", json!({})).await;
    let patch = json!({"metadata": {"resourceVersion": "1"}, "spec": {"size": 2}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.fails(409, "Conflict");
}

pub async fn a_json_patch_tests_and_changes(door: Door) {
    door.make("a", json!({"size": 1})).await;
    let patch =
        json!([{"op": "test", "path": "/spec/size", "value": 1}, {"op": "replace", "path": "/spec/size", "value": 2}]);
    let object = door.patch(&door.widget("a"), "json-patch+json", &patch).await.ok();
    assert_eq!(object["spec"]["size"], 2);
    door.patch(&door.widget("a"), "json-patch+json", &patch).await.fails(422, "Invalid");
}

pub async fn status_is_changed_only_through_its_own_door(door: Door) {
    let mut object = door.named("a");
    object["status"] = json!({"phase": "Made"});
    let mut object = door.post(&door.widgets(), &object).await.ok();
    assert_eq!(object.get("status"), None);
    object["status"] = json!({"phase": "Main"});
    object["spec"] = json!({"size": 2});
    let mut object = door.put(&door.widget("a"), &object).await.ok();
    assert_eq!(object.get("status"), None);
    object["status"] = json!({"phase": "Ready"});
    object["spec"]["size"] = 3.into();
    object["metadata"]["labels"] = json!({"k": "v"});
    let path = format!("{}/status", door.widget("a"));
    let object = door.put(&path, &object).await.ok();
    assert_eq!(object["status"], json!({"phase": "Ready"}));
    assert_eq!(object["spec"]["size"], 2);
    assert_eq!(object["metadata"].get("labels"), None);
    assert_eq!(object["metadata"]["generation"], 2);
    let patched = door.patch(&path, "merge-patch+json", &json!({"status": {"phase": "Later"}})).await.ok();
    assert_eq!(patched["status"]["phase"], "Later");
    assert_eq!(door.get(&path).await.ok(), door.get(&door.widget("a")).await.ok());
}

pub async fn the_name_in_a_body_must_be_the_one_in_the_path(door: Door) {
    let mut object = door.make("a", json!({})).await;
    object["metadata"]["name"] = "b".into();
    door.put(&door.widget("a"), &object).await.fails(400, "BadRequest");
    let mut object = door.named("c");
    object["metadata"]["namespace"] = "elsewhere".into();
    door.post(&door.widgets(), &object).await.fails(400, "BadRequest");
}

pub async fn a_uid_in_a_body_is_a_precondition(door: Door) {
    let mut object = door.make("a", json!({})).await;
    object["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into();
    let status = door.put(&door.widget("a"), &object).await.fails(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("Precondition failed: UID in precondition"), "{status}");
}

pub async fn a_dry_run_changes_nothing(door: Door) {
    let query = format!("{}?dryRun=All", door.widgets());
    let made = door.post(&query, &door.named("a")).await;
    assert_eq!(made.code, 201);
    assert_eq!(made.ok()["spec"], serde_json::Value::Null);
    door.get(&door.widget("a")).await.fails(404, "NotFound");
    let object = door.make("a", json!({"size": 1})).await;
    let path = format!("{}?dryRun=All", door.widget("a"));
    let patched = door.patch(&path, "merge-patch+json", &json!({"spec": {"size": 2}})).await.ok();
    assert_eq!(patched["spec"]["size"], 2);
    door.delete(&door.widget("a"), &json!({"dryRun": ["All"]})).await.ok();
    assert_eq!(door.get(&door.widget("a")).await.ok(), object);
}

pub async fn a_dry_run_of_every_verb_shows_and_writes_nothing(door: Door) {
    let object = door.make("a", json!({"size": 1})).await;
    let (all, one) = (format!("{}?dryRun=All", door.widgets()), format!("{}?dryRun=All", door.widget("a")));
    let list = door.get(&door.widgets()).await.ok();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = door.watch(&format!("{}?watch=true&resourceVersion={version}", door.widgets())).await;

    let mut changed = object.clone();
    changed["spec"]["size"] = 2.into();
    let shown = door.put(&one, &changed).await.ok();
    assert_eq!((&shown["spec"]["size"], &shown["metadata"]["generation"]), (&json!(2), &json!(2)));
    let operations = json!([{"op": "replace", "path": "/spec/size", "value": 3}]);
    assert_eq!(door.patch(&one, "json-patch+json", &operations).await.ok()["spec"]["size"], 3);
    let applied = door.apply_with("b", "fieldManager=x&dryRun=All", json!({"size": 4})).await;
    assert_eq!(applied.code, 201);
    assert_eq!(applied.ok()["spec"]["size"], 4);
    let mut status = object.clone();
    status["status"] = json!({"phase": "Ready"});
    let path = format!("{}/status?dryRun=All", door.widget("a"));
    assert_eq!(door.put(&path, &status).await.ok()["status"]["phase"], "Ready");
    // A body would be believed instead of the query.
    door.send(Method::DELETE, &one, &[], "").await.ok();
    door.send(Method::DELETE, &all, &[], "").await.ok();
    door.delete(&door.widgets(), &json!({"dryRun": ["All"]})).await.ok();
    assert_eq!(door.get(&door.widget("a")).await.ok(), object);
    assert_eq!(door.names(&door.widgets()).await, ["a"]);

    // Nobody heard of any of that.
    door.make("z", json!({})).await;
    assert_eq!(watch.what().await, "ADDED z");
}

pub async fn a_dry_run_is_refused_as_the_request_would_be(door: Door) {
    let object = door.make("a", json!({"size": 1})).await;
    let (all, one) = (format!("{}?dryRun=All", door.widgets()), format!("{}?dryRun=All", door.widget("a")));
    door.post(&all, &door.named("a")).await.fails(409, "AlreadyExists");
    door.patch(&one, "merge-patch+json", &json!({"spec": {"size": 999}})).await.fails(422, "Invalid");
    door.patch(&door.widget("a"), "merge-patch+json", &json!({"spec": {"size": 2}})).await.ok();
    door.put(&one, &object).await.fails(409, "Conflict");
    let nobody = format!("{}?dryRun=All", door.widget("nobody"));
    door.send(Method::DELETE, &nobody, &[], "").await.fails(404, "NotFound");
    door.apply("b", "x", json!({"size": 1})).await.ok();
    door.apply_with("b", "fieldManager=y&dryRun=All", json!({"size": 2})).await.fails(409, "Conflict");
    let unlike = json!({"dryRun": ["All"], "preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    door.delete(&door.widget("a"), &unlike).await.fails(409, "Conflict");
}

pub async fn an_unknown_kind_of_dry_run_is_invalid(door: Door) {
    door.make("a", json!({})).await;
    let (all, one) = (format!("{}?dryRun=Some", door.widgets()), format!("{}?dryRun=Some", door.widget("a")));
    door.post(&all, &door.named("b")).await.fails(422, "Invalid");
    door.put(&one, &door.named("a")).await.fails(422, "Invalid");
    door.patch(&one, "merge-patch+json", &json!({})).await.fails(422, "Invalid");
    door.send(Method::DELETE, &one, &[], "").await.fails(422, "Invalid");
    door.send(Method::DELETE, &all, &[], "").await.fails(422, "Invalid");
    door.delete(&door.widget("a"), &json!({"dryRun": ["Some"]})).await.fails(422, "Invalid");
    assert_eq!(door.names(&door.widgets()).await, ["a"]);
}
