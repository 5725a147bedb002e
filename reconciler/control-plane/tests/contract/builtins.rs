//! What the built-in kinds do of their own.

use serde_json::json;

use super::Door;

pub async fn an_immutable_config_map_stays_as_it_is(door: Door) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "immutable": true,
        "data": {"a": "1"}, "binaryData": {"b": "AAEC"}});
    door.post(&door.core("configmaps"), &map).await.ok();
    let path = format!("{}/m", door.core("configmaps"));
    let status = door.patch(&path, "merge-patch+json", &json!({"data": {"a": "2"}})).await.fails(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "data");
    assert_eq!(status["details"]["causes"][0]["message"], "Forbidden: field is immutable when `immutable` is set");
    door.patch(&path, "merge-patch+json", &json!({"immutable": false})).await.fails(422, "Invalid");
    let labelled = door.patch(&path, "merge-patch+json", &json!({"metadata": {"labels": {"k": "v"}}})).await.ok();
    assert_eq!(labelled["binaryData"], json!({"b": "AAEC"}));
    door.delete(&path, &json!({})).await.ok();
}

pub async fn a_secret_takes_text_and_gives_base64(door: Door) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "text"}});
    let made = door.post(&door.core("secrets"), &secret).await.ok();
    assert_eq!(made["data"], json!({"a": "dGV4dA=="}));
    assert_eq!(made["type"], "Opaque");
    assert_eq!(made.get("stringData"), None);
    let path = format!("{}/s", door.core("secrets"));
    let status = door.patch(&path, "merge-patch+json", &json!({"type": "other"})).await.fails(422, "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "type");
    let picked = format!("{}?fieldSelector=type%3DOpaque", door.core("secrets"));
    assert_eq!(door.names(&picked).await, ["s"]);
}

pub async fn a_strategic_merge_patch_changes_a_config_map(door: Door) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"x": "1"}}, "data": {"a": "1", "b": "1"}});
    door.post(&door.core("configmaps"), &map).await.ok();
    let path = format!("{}/m", door.core("configmaps"));
    let patch = json!({"data": {"a": null, "c": "3"}, "metadata": {"labels": {"y": "2"}}});
    let out = door.patch(&path, "strategic-merge-patch+json", &patch).await.ok();
    assert_eq!(out["data"], json!({"b": "1", "c": "3"}));
    assert_eq!(out["metadata"]["labels"], json!({"x": "1", "y": "2"}));
}

pub async fn a_strategic_merge_patch_of_a_custom_resource_is_unsupported(door: Door) {
    door.make("a", json!({})).await;
    let status = door
        .patch(&door.widget("a"), "strategic-merge-patch+json", &json!({}))
        .await
        .fails(415, "UnsupportedMediaType");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("application/merge-patch+json"), "{message}");
}

pub async fn a_namespace_begins_active_with_its_name_as_a_label(door: Door) {
    let namespace = door.get(&format!("/api/v1/namespaces/{}", door.namespace)).await.ok();
    assert_eq!(namespace["status"]["phase"], "Active");
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], door.namespace);
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
}

pub async fn the_default_namespace_may_not_be_deleted(door: Door) {
    door.delete("/api/v1/namespaces/default", &json!({})).await.fails(403, "Forbidden");
}

pub async fn a_lease_is_renewed_and_a_stale_renewal_refused(door: Door) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", door.namespace);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}});
    let made = door.post(&path, &lease).await.ok();
    let one = format!("{path}/l");
    let mut renewed = made.clone();
    renewed["spec"]["renewTime"] = "2026-01-01T00:00:01.000000Z".into();
    let renewed = door.put(&one, &renewed).await.ok();
    assert_eq!(renewed["spec"]["renewTime"], "2026-01-01T00:00:01.000000Z");
    door.put(&one, &made).await.fails(409, "Conflict");
    let patch = json!({"spec": {"leaseDurationSeconds": 0}});
    door.patch(&one, "merge-patch+json", &patch).await.fails(422, "Invalid");
}

fn event(name: &str, about: &str) -> serde_json::Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "test", "reportingInstance": "test-1", "action": "Testing", "reason": "Tested", "type": "Normal",
        "note": "it is tested", "regarding": {"kind": "Widget", "name": about, "apiVersion": "contract.wasmbed.test/v1"}})
}

pub async fn an_event_is_the_same_in_both_groups(door: Door) {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", door.namespace);
    let mut body = event("e", "a");
    body["regarding"]["namespace"] = door.namespace.clone().into();
    let made = door.post(&path, &body).await.ok();
    assert_eq!(made["note"], "it is tested");
    let core = door.get(&format!("{}/e", door.core("events"))).await.ok();
    assert_eq!(core["apiVersion"], "v1");
    assert_eq!(core["message"], "it is tested");
    assert_eq!(core["involvedObject"]["name"], "a");
    assert_eq!(core["reportingComponent"], "test");
    let patch = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = door.patch(&format!("{path}/e"), "merge-patch+json", &patch).await.ok();
    assert_eq!(patched["series"]["count"], 2);
    let core = door.get(&format!("{}/e", door.core("events"))).await.ok();
    assert_eq!(core["series"]["count"], 2);
}

pub async fn events_are_picked_by_what_they_are_about(door: Door) {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", door.namespace);
    for (name, about) in [("e1", "a"), ("e2", "b")] {
        let mut body = event(name, about);
        body["regarding"]["namespace"] = door.namespace.clone().into();
        door.post(&path, &body).await.ok();
    }
    let picked = format!("{}?fieldSelector=involvedObject.name%3Db,involvedObject.kind%3DWidget", door.core("events"));
    assert_eq!(door.names(&picked).await, ["e2"]);
}
