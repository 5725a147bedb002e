//! Deleting, and what goes because of it.

use serde_json::{Value, json};

use super::Door;

pub async fn a_deleted_object_is_gone_and_the_answer_says_so(door: Door) {
    let object = door.make("a", json!({})).await;
    let status = door.delete(&door.widget("a"), &json!({})).await.ok();
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"]["name"], "a");
    assert_eq!(status["details"]["uid"], object["metadata"]["uid"]);
    door.get(&door.widget("a")).await.fails(404, "NotFound");
    door.delete(&door.widget("a"), &json!({})).await.fails(404, "NotFound");
}

async fn held(door: &Door, name: &str) -> Value {
    let mut object = door.named(name);
    object["metadata"]["finalizers"] = json!(["wasmbed.test/hold"]);
    door.post(&door.widgets(), &object).await.ok()
}

pub async fn a_finalizer_holds_an_object_until_it_is_removed(door: Door) {
    held(&door, "a").await;
    let going = door.delete(&door.widget("a"), &json!({})).await.ok();
    assert_eq!(going["kind"], "Widget");
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(going["metadata"]["generation"], 2);
    let again = door.delete(&door.widget("a"), &json!({})).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], going["metadata"]["resourceVersion"]);
    let patch = json!({"metadata": {"finalizers": null}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    door.get(&door.widget("a")).await.fails(404, "NotFound");
}

pub async fn an_object_that_is_going_gains_no_finalizers(door: Door) {
    held(&door, "a").await;
    door.delete(&door.widget("a"), &json!({})).await.ok();
    let patch = json!({"metadata": {"finalizers": ["wasmbed.test/hold", "wasmbed.test/more"]}});
    let status = door.patch(&door.widget("a"), "merge-patch+json", &patch).await.fails(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.finalizers");
    let patch = json!({"metadata": {"finalizers": []}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
}

pub async fn preconditions_of_a_deletion_must_hold(door: Door) {
    let object = door.make("a", json!({})).await;
    let other = json!({"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}});
    door.delete(&door.widget("a"), &other).await.fails(409, "Conflict");
    let stale = json!({"preconditions": {"resourceVersion": "1"}});
    door.delete(&door.widget("a"), &stale).await.fails(409, "Conflict");
    let right = json!({"preconditions": {"uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"]}});
    door.delete(&door.widget("a"), &right).await.ok();
}

pub async fn a_collection_is_deleted_by_selector(door: Door) {
    door.make_labelled("a", "k", "1").await;
    door.make_labelled("b", "k", "2").await;
    let path = format!("{}?labelSelector=k%3D1", door.widgets());
    let deleted = door.delete(&path, &json!({})).await.ok();
    assert_eq!(super::door::names(&deleted), ["a"]);
    assert_eq!(door.names(&door.widgets()).await, ["b"]);
}

async fn owner_and_owned(door: &Door) -> Value {
    let owner = door.make("owner", json!({})).await;
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned"}});
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": owner["apiVersion"], "kind": "Widget", "name": "owner",
        "uid": owner["metadata"]["uid"]}]);
    door.post(&door.core("configmaps"), &object).await.ok()
}

pub async fn what_an_object_owns_goes_with_it(door: Door) {
    owner_and_owned(&door).await;
    let options = json!({"propagationPolicy": "Background"});
    door.delete(&door.widget("owner"), &options).await.ok();
    let path = format!("{}/owned", door.core("configmaps"));
    door.until(&path, |answer| answer.code == 404).await;
}

pub async fn orphans_stay_and_forget_their_owner(door: Door) {
    owner_and_owned(&door).await;
    let options = json!({"propagationPolicy": "Orphan"});
    door.delete(&door.widget("owner"), &options).await.ok();
    let path = format!("{}/owned", door.core("configmaps"));
    door.until(&path, |answer| answer.body["metadata"].get("ownerReferences").is_none()).await.ok();
}

pub async fn a_namespace_goes_with_all_that_is_in_it(door: Door) {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-gone", door.namespace)}});
    let namespace = door.post("/api/v1/namespaces", &namespace).await.ok();
    let inner = Door { namespace: namespace["metadata"]["name"].as_str().unwrap().to_owned(), ..door.clone() };
    inner.make("a", json!({})).await;
    held(&inner, "b").await;
    let path = format!("/api/v1/namespaces/{}", inner.namespace);
    let going = door.delete(&path, &json!({})).await.ok();
    assert_eq!(going["status"]["phase"], "Terminating");
    inner.until(&inner.widget("a"), |answer| answer.code == 404).await;
    let status = inner.post(&inner.widgets(), &inner.named("late")).await.fails(403, "Forbidden");
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    inner.until(&inner.widget("b"), |answer| answer.body["metadata"]["deletionTimestamp"].is_string()).await;
    let patch = json!({"metadata": {"finalizers": []}});
    inner.patch(&inner.widget("b"), "merge-patch+json", &patch).await.ok();
    door.until(&path, |answer| answer.code == 404).await;
}
