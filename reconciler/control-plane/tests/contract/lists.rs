//! Lists: pages, selectors, versions.

use serde_json::json;

use super::Door;
use super::door::names;

pub async fn a_list_is_sorted_by_name_and_has_a_version(door: Door) {
    for name in ["b", "a", "c"] {
        door.make(name, json!({})).await;
    }
    let list = door.get(&door.widgets()).await.ok();
    assert_eq!(list["kind"], "WidgetList");
    assert_eq!(list["apiVersion"], "contract.wasmbed.test/v1");
    assert_eq!(names(&list), ["a", "b", "c"]);
    assert!(list["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(list["metadata"]["continue"].as_str().unwrap_or_default(), "");
}

pub async fn a_limited_list_is_continued_as_it_was_at_its_first_page(door: Door) {
    for name in ["a", "b", "c", "d", "e"] {
        door.make(name, json!({})).await;
    }
    let first = door.get(&format!("{}?limit=2", door.widgets())).await.ok();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    door.delete(&door.widget("c"), &json!({})).await.ok();
    door.make("bb", json!({})).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = door.get(&format!("{}?limit=2&continue={token}", door.widgets())).await.ok();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = door.get(&format!("{}?continue={token}", door.widgets())).await.ok();
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["metadata"]["continue"].as_str().unwrap_or_default(), "");
    assert_eq!(door.names(&door.widgets()).await, ["a", "b", "bb", "d", "e"]);
}

pub async fn a_broken_continue_token_is_a_bad_request(door: Door) {
    door.get(&format!("{}?limit=2&continue=nonsense", door.widgets())).await.fails(400, "BadRequest");
}

pub async fn equality_and_set_selectors_pick_by_label(door: Door) {
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "cache")] {
        door.make_labelled(name, "tier", tier).await;
    }
    door.make("d", json!({})).await;
    for (selector, expected) in [
        ("tier%3Dweb", vec!["a"]),
        ("tier%21%3Dweb", vec!["b", "c", "d"]),
        ("tier%20in%20(web,db)", vec!["a", "b"]),
        ("tier%20notin%20(web,db)", vec!["c", "d"]),
        ("tier", vec!["a", "b", "c"]),
        ("%21tier", vec!["d"]),
        ("tier,tier%21%3Ddb", vec!["a", "c"]),
    ] {
        let path = format!("{}?labelSelector={selector}", door.widgets());
        assert_eq!(door.names(&path).await, expected, "{selector}");
    }
    let broken = format!("{}?labelSelector=tier%20~%20x", door.widgets());
    door.get(&broken).await.fails(400, "BadRequest");
}

pub async fn field_selectors_pick_by_name_and_an_unknown_field_is_a_bad_request(door: Door) {
    door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    let path = format!("{}?fieldSelector=metadata.name%3Db", door.widgets());
    assert_eq!(door.names(&path).await, ["b"]);
    let path = format!("{}?fieldSelector=metadata.name%21%3Db", door.widgets());
    assert_eq!(door.names(&path).await, ["a"]);
    let path = format!("/apis/contract.wasmbed.test/v1/widgets?fieldSelector=metadata.namespace%3D{}", door.namespace);
    assert_eq!(door.names(&path).await, ["a", "b"]);
    let path = format!("{}?fieldSelector=spec.size%3D1", door.widgets());
    let status = door.get(&path).await.fails(400, "BadRequest");
    assert!(status["message"].as_str().unwrap().contains("field label not supported: spec.size"), "{status}");
}

pub async fn a_list_over_all_namespaces_holds_each(door: Door) {
    door.make("everywhere", json!({})).await;
    let list = door.get("/apis/contract.wasmbed.test/v1/widgets").await.ok();
    let found = list["items"].as_array().unwrap().iter();
    let mine = found.filter(|item| item["metadata"]["namespace"] == door.namespace.as_str());
    assert_eq!(mine.count(), 1);
}

pub async fn a_version_from_the_future_is_a_timeout(door: Door) {
    let path = format!("{}?resourceVersion=999999999999&resourceVersionMatch=NotOlderThan", door.widgets());
    let status = door.get(&path).await.fails(504, "Timeout");
    assert!(status["message"].as_str().unwrap().contains("Too large resource version"), "{status}");
}

pub async fn an_exact_version_is_given_as_it_was(door: Door) {
    let then = door.make("a", json!({"size": 1})).await;
    door.make("b", json!({})).await;
    let patch = json!({"spec": {"size": 2}});
    door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    let version = then["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{}?resourceVersion={version}&resourceVersionMatch=Exact", door.widgets());
    let list = door.get(&path).await.ok();
    assert_eq!(names(&list), ["a"]);
    assert_eq!(list["items"][0]["spec"]["size"], 1);
    assert_eq!(list["metadata"]["resourceVersion"], version);
}

pub async fn an_exact_version_is_paged_as_it_was(door: Door) {
    door.make("a", json!({"size": 1})).await;
    let then = door.make("b", json!({})).await;
    door.make("c", json!({})).await;
    door.delete(&door.widget("a"), &json!({})).await.ok();
    let version = then["metadata"]["resourceVersion"].as_str().unwrap();
    // A limit at a version has always meant exactly that version.
    for query in ["&resourceVersionMatch=Exact", ""] {
        let path = format!("{}?resourceVersion={version}&limit=1{query}", door.widgets());
        let first = door.get(&path).await.ok();
        assert_eq!(names(&first), ["a"]);
        assert_eq!(first["metadata"]["resourceVersion"], version);
        let token = first["metadata"]["continue"].as_str().unwrap();
        let second = door.get(&format!("{}?limit=1&continue={token}", door.widgets())).await.ok();
        assert_eq!(names(&second), ["b"]);
        assert_eq!(second["metadata"]["resourceVersion"], version);
        assert_eq!(second["metadata"]["continue"].as_str().unwrap_or_default(), "");
    }
    let future = format!("{}?resourceVersion=999999999999&resourceVersionMatch=Exact", door.widgets());
    door.get(&future).await.fails(504, "Timeout");
}

pub async fn a_list_no_older_than_a_version_is_of_the_present(door: Door) {
    let then = door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    let version = then["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{}?resourceVersion={version}", door.widgets());
    for query in ["", "&resourceVersionMatch=NotOlderThan"] {
        let list = door.until(&format!("{path}{query}"), |answer| answer.body["items"][1].is_object()).await.ok();
        assert_eq!(names(&list), ["a", "b"]);
        let found: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(found > version.parse().unwrap());
    }
    let limited = format!("{path}&resourceVersionMatch=NotOlderThan&limit=1");
    let list = door.get(&limited).await.ok();
    assert_eq!(names(&list)[0], "a");
}

pub async fn a_list_of_any_version_holds_what_was_there(door: Door) {
    door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    // What is read from a cache may be older than the last write; not for long.
    for query in ["", "&resourceVersionMatch=NotOlderThan", "&limit=1", "&limit=1&resourceVersionMatch=NotOlderThan"] {
        let path = format!("{}?resourceVersion=0{query}", door.widgets());
        let list = door.until(&path, |answer| !answer.body["items"][0].is_null()).await.ok();
        assert_eq!(names(&list)[0], "a", "{query}");
    }
}

pub async fn versions_that_contradict_what_is_asked_are_refused(door: Door) {
    let then = door.make("a", json!({})).await;
    door.make("b", json!({})).await;
    let version = then["metadata"]["resourceVersion"].as_str().unwrap();
    let first = door.get(&format!("{}?limit=1", door.widgets())).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    for query in [
        "resourceVersion=0&resourceVersionMatch=Exact".to_owned(),
        "resourceVersionMatch=Exact".to_owned(),
        "resourceVersionMatch=NotOlderThan".to_owned(),
        format!("resourceVersion={version}&resourceVersionMatch=Sometimes"),
        format!("limit=1&continue={token}&resourceVersionMatch=Exact"),
        format!("limit=1&continue={token}&resourceVersion={version}&resourceVersionMatch=Exact"),
        "sendInitialEvents=true".to_owned(),
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
    ] {
        door.get(&format!("{}?{query}", door.widgets())).await.fails(422, "Invalid");
    }
    for query in [format!("limit=1&continue={token}&resourceVersion={version}"), "limit=some".to_owned()] {
        door.get(&format!("{}?{query}", door.widgets())).await.fails(400, "BadRequest");
    }
    let going_on = format!("{}?limit=1&continue={token}&resourceVersion=0", door.widgets());
    assert_eq!(door.names(&going_on).await, ["b"]);
}

pub async fn an_object_is_read_no_older_than_a_version(door: Door) {
    let made = door.make("a", json!({})).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    for query in ["resourceVersion=0".to_owned(), format!("resourceVersion={version}")] {
        let path = format!("{}?{query}", door.widget("a"));
        assert_eq!(door.until(&path, |answer| answer.code == 200).await.ok(), made);
    }
    let future = format!("{}?resourceVersion=999999999999", door.widget("a"));
    door.get(&future).await.fails(504, "Timeout");
}
