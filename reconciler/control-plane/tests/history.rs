//! The past that an API remembers has an end, and who asks for what lies before it is told so.
//!
//! Each test runs at the embedded API, which forgets when much changed, and at a kube-apiserver that has etcd compacted every second.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use std::time::Duration;

use contract::Door;
use contract::door::names;
use contract::transcript::difference;
use serde_json::{Value, json};
use support::Plane;
use support::kubernetes::door;
use wasmbed_control_plane_testing::{Kubernetes, Options};

macro_rules! on_both {
    ($($name:ident => $scenario:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let plane = Plane::open().await;
                let embedded = plane.door_to("scenario-0").await;
                $scenario(&embedded).await;
                let options = Options {
                    crds: contract::door::definitions(),
                    compaction: Some(Duration::from_secs(1)),
                    ..Options::default()
                };
                let Some(kubernetes) = Kubernetes::for_test(options).await else { return };
                let real = door(&kubernetes).await;
                $scenario(&real).await;
                let difference = difference(
                    &embedded.transcript.seen(&embedded.namespace),
                    &real.transcript.seen(&real.namespace),
                );
                assert!(difference.is_none(), "a client sees a difference:\n{}", difference.unwrap_or_default());
            }
        )*
    };
}

on_both! {
    an_expired_continue_token_is_told_and_the_list_goes_on_as_things_are_now => continued,
    a_version_that_is_forgotten_is_told_to_lists_and_watches => at_a_version,
}

/// Changes more than the embedded API remembers of a kind, and waits until a list is told that its version is forgotten.
async fn forget(door: &Door, list: &str) -> Value {
    let filling = "x".repeat(1 << 20);
    for round in 0..8 {
        let patch = json!({"spec": {"anything": {"filling": filling, "round": round}}});
        door.patch(&door.widget("a"), "merge-patch+json", &patch).await.ok();
    }
    door.until(list, |answer| answer.code == 410).await.fails(410, "Expired")
}

async fn continued(door: &Door) {
    for name in ["a", "b", "c", "d"] {
        door.make(name, json!({})).await;
    }
    let first = door.get(&format!("{}?limit=1", door.widgets())).await.ok();
    let after = |list: &Value| {
        let token = list["metadata"]["continue"].as_str().expect("a token to go on with");
        format!("{}?limit=1&continue={token}", door.widgets())
    };
    let status = forget(door, &after(&first)).await;
    assert!(status["message"].as_str().unwrap().contains("continue parameter is too old"), "{status}");

    // Whoever would rather have the rest as it is than begin anew goes on with the token of the refusal.
    door.make("bb", json!({})).await;
    door.delete(&door.widget("c"), &json!({})).await.ok();
    let second = door.get(&after(&status)).await.ok();
    assert_eq!(names(&second), ["b"]);
    let third = door.until(&after(&second), |_| true).await.ok();
    assert_eq!(names(&third), ["bb"]);
    assert_eq!(door.names(&door.widgets()).await, ["a", "b", "bb", "d"]);
}

async fn at_a_version(door: &Door) {
    let made = door.make("a", json!({})).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = format!("{}?resourceVersion={version}&resourceVersionMatch=Exact", door.widgets());
    forget(door, &exact).await;
    // No older than that is what there is now.
    let newer = format!("{}?resourceVersion={version}&resourceVersionMatch=NotOlderThan", door.widgets());
    assert_eq!(door.names(&newer).await, ["a"]);
}

/// Of the embedded API alone: what a kube-apiserver keeps for watches outlives a compaction.
#[tokio::test]
async fn a_watch_from_a_version_that_is_forgotten_is_gone() {
    let plane = Plane::open().await;
    let door = plane.door_to("past").await;
    let made = door.make("a", json!({})).await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    forget(&door, &format!("{}?resourceVersion={version}&resourceVersionMatch=Exact", door.widgets())).await;
    let mut watch = door.watch(&format!("{}?watch=true&resourceVersion={version}", door.widgets())).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.next().await, None);
}
