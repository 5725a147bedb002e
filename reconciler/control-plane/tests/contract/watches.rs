//! Watches: where they begin, what they tell, how they end.

use serde_json::json;

use super::Door;

async fn version(door: &Door) -> String {
    let list = door.get(&door.widgets()).await.ok();
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

fn number(object: &serde_json::Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

pub async fn a_watch_goes_on_where_a_list_ended(door: Door) {
    door.make("before", json!({})).await;
    let version = version(&door).await;
    door.make("a", json!({"size": 1})).await;
    let path = format!("{}?watch=true&resourceVersion={version}", door.widgets());
    let mut watch = door.watch(&path).await;
    assert_eq!(watch.code, 200);
    assert_eq!(watch.what().await, "ADDED a");
    let patch = json!({"spec": {"size": 2}});
    let patched = door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "MODIFIED");
    assert_eq!(event["object"], patched);
    door.delete(&door.widget("a"), &json!({})).await.ok();
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert!(number(&event["object"]) > number(&patched));
    assert_eq!(event["object"]["spec"], patched["spec"]);
}

pub async fn a_watch_without_a_version_begins_with_all_there_is(door: Door) {
    door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    let mut watch = door.watch(&format!("{}?watch=1", door.widgets())).await;
    assert_eq!(watch.what().await, "ADDED a");
    assert_eq!(watch.what().await, "ADDED b");
    door.make("c", json!({})).await;
    assert_eq!(watch.what().await, "ADDED c");
}

pub async fn a_streamed_list_ends_with_a_bookmark(door: Door) {
    door.make("a", json!({})).await;
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = door.watch(&format!("{}?{query}", door.widgets())).await;
    assert_eq!(watch.what().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Widget");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    door.make("b", json!({})).await;
    assert_eq!(watch.what().await, "ADDED b");
    let without = format!("{}?watch=true&sendInitialEvents=true", door.widgets());
    door.get(&without).await.fails(422, "Invalid");
}

pub async fn a_watch_by_label_adds_what_begins_to_match_and_deletes_what_ceases(door: Door) {
    door.make_labelled("a", "k", "no").await;
    let version = version(&door).await;
    let path = format!("{}?watch=true&resourceVersion={version}&labelSelector=k%3Dyes", door.widgets());
    let mut watch = door.watch(&path).await;
    for (value, size) in [("yes", 1), ("yes", 2), ("no", 3)] {
        let patch = json!({"metadata": {"labels": {"k": value}}, "spec": {"size": size}});
        door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    }
    assert_eq!(watch.what().await, "ADDED a");
    assert_eq!(watch.what().await, "MODIFIED a");
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["spec"]["size"], 2, "as it was while it matched");
}

pub async fn a_watch_ends_at_its_timeout(door: Door) {
    let version = version(&door).await;
    let path = format!("{}?watch=true&resourceVersion={version}&timeoutSeconds=1", door.widgets());
    let mut watch = door.watch(&path).await;
    assert_eq!(watch.next().await, None);
}

pub async fn a_watch_from_too_long_ago_is_gone(door: Door) {
    let path = format!("{}?watch=true&resourceVersion=1", door.widgets());
    let mut watch = door.watch(&path).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(event["object"]["message"].as_str().unwrap().contains("too old resource version"), "{event}");
    assert_eq!(watch.next().await, None);
}

pub async fn a_watch_of_one_name_hears_of_no_other(door: Door) {
    let version = version(&door).await;
    let path = format!("{}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3Db", door.widgets());
    let mut watch = door.watch(&path).await;
    door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    assert_eq!(watch.what().await, "ADDED b");
}

/// A watch that lasts so long that a server has reason to say how far it is.
const WITH_BOOKMARKS: &str = "watch=true&allowWatchBookmarks=true&timeoutSeconds=3";

pub async fn a_watch_that_asks_for_bookmarks_hears_how_far_it_is(door: Door) {
    let version = version(&door).await;
    let path = format!("{}?{WITH_BOOKMARKS}&resourceVersion={version}", door.widgets());
    let mut watch = door.watch(&path).await;
    let made = door.make("a", json!({})).await;
    assert_eq!(watch.what().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Widget");
    assert_eq!(bookmark["object"]["apiVersion"], "contract.wasmbed.test/v1");
    assert_eq!(bookmark["object"]["metadata"]["annotations"], serde_json::Value::Null);
    assert!(number(&bookmark["object"]) >= number(&made));
}

pub async fn a_watch_goes_on_where_a_bookmark_was(door: Door) {
    door.make("a", json!({})).await;
    let version = version(&door).await;
    let path = format!("{}?{WITH_BOOKMARKS}&resourceVersion={version}", door.widgets());
    let mut watch = door.watch(&path).await;
    door.make("then", json!({})).await;
    assert_eq!(watch.what().await, "ADDED then");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    door.make("b", json!({})).await;
    let path = format!("{}?watch=true&resourceVersion={}", door.widgets(), number(&bookmark["object"]));
    assert_eq!(door.watch(&path).await.what().await, "ADDED b");
}
