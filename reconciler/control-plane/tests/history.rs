//! The past that the embedded API remembers has an end, and who asks for what lies before it is told so.
//!
//! Of the embedded API alone: a kube-apiserver forgets by etcd's compaction, every five minutes, and answers the same.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use serde_json::json;
use support::Plane;

/// More than is remembered of a kind, in few changes.
async fn forget(door: &contract::Door) {
    let filling = "x".repeat(1 << 20);
    for round in 0..8 {
        let patch = json!({"spec": {"anything": {"filling": filling, "round": round}}});
        door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    }
}

#[tokio::test]
async fn an_expired_continue_token_is_told_and_a_new_list_begins() {
    let plane = Plane::open().await;
    let door = plane.door_to("past").await;
    for name in ["a", "b", "c"] {
        door.make(name, json!({})).await;
    }
    let first = door.get(&format!("{}?limit=1", door.widgets())).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{}?limit=1&continue={token}", door.widgets());
    assert_eq!(door.names(&next).await, ["b"]);
    forget(&door).await;
    let status = door.get(&next).await.fails(410, "Expired");
    assert!(status["message"].as_str().unwrap().contains("continue parameter is too old"), "{status}");
    assert_eq!(door.names(&door.widgets()).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_told_to_lists_and_watches() {
    let plane = Plane::open().await;
    let door = plane.door_to("past").await;
    let made = door.make("a", json!({})).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = format!("{}?resourceVersion={version}&resourceVersionMatch=Exact", door.widgets());
    assert_eq!(door.names(&exact).await, ["a"]);
    forget(&door).await;
    door.get(&exact).await.fails(410, "Expired");
    let mut watch = door.watch(&format!("{}?watch=true&resourceVersion={version}", door.widgets())).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.next().await, None);
    // No older than that is what there is now.
    let newer = format!("{}?resourceVersion={version}&resourceVersionMatch=NotOlderThan", door.widgets());
    assert_eq!(door.names(&newer).await, ["a"]);
}
