//! What kube-rs builds on top: reflectors, controllers, finalizers, events, elections; on the embedded API and on a real one.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use contract::door::{GROUP, PATIENCE};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;
use support::side::Side;
use tokio::time::timeout;

on_both! {
    a_reflector_that_lists_by_pages_sees_every_change,
    a_reflector_that_streams_its_list_sees_every_change,
    a_reflector_goes_on_after_its_version_is_gone,
    a_controller_reconciles_what_it_and_what_it_owns_change,
    the_finalizer_helper_runs_its_cleanup_before_the_object_goes,
    a_recorder_counts_an_event_that_comes_again,
    of_many_that_run_for_leader_exactly_one_is_elected,
    concurrent_writers_of_one_object_lose_nothing,
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"n": "1"}})).unwrap()
}

/// Waits until something holds.
async fn until(what: impl Fn() -> bool) {
    let waited = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waited).await.expect("what is waited for comes");
}

async fn reflects(side: Side, config: watcher::Config) {
    let maps: Api<ConfigMap> = Api::default_namespaced(side.client());
    for index in 0..25 {
        maps.create(&PostParams::default(), &map(&format!("m{index:02}"))).await.unwrap();
    }
    let (reader, writer) = reflector::store();
    let stream = reflector(writer, watcher(maps.clone(), config)).default_backoff();
    let running = tokio::spawn(stream.for_each(|_| async {}));
    timeout(PATIENCE, reader.wait_until_ready()).await.unwrap().unwrap();
    assert_eq!(reader.len(), 25);
    maps.create(&PostParams::default(), &map("late")).await.unwrap();
    maps.delete("m00", &DeleteParams::default()).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"n": "7"}}));
    maps.patch("m01", &PatchParams::default(), &patch).await.unwrap();
    until(|| {
        let state = reader.state();
        let names: BTreeSet<String> = state.iter().map(|map| map.name_any()).collect();
        let changed = state.iter().any(|map| map.data.iter().flatten().any(|(_, value)| value == "7"));
        names.contains("late") && !names.contains("m00") && changed
    })
    .await;
    running.abort();
}

async fn a_reflector_that_lists_by_pages_sees_every_change(side: Side) {
    reflects(side, watcher::Config::default().page_size(7)).await;
}

async fn a_reflector_that_streams_its_list_sees_every_change(side: Side) {
    reflects(side, watcher::Config::default().streaming_lists()).await;
}

async fn a_reflector_goes_on_after_its_version_is_gone(side: Side) {
    let kind = GroupVersionKind::gvk(GROUP, "v1", "Widget");
    let widgets: Api<DynamicObject> = Api::default_namespaced_with(side.client(), &ApiResource::from_gvk(&kind));
    // A version from before there were widgets is gone: the watcher lists anew.
    let mut events = Box::pin(widgets.watch(&Default::default(), "1").await.unwrap());
    let first = timeout(PATIENCE, events.try_next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(first, kube::core::WatchEvent::Error(status) if status.code == 410));
}

async fn a_controller_reconciles_what_it_and_what_it_owns_change(side: Side) {
    let client = side.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let owners = watcher::Config::default().labels("role=owner");
    let owned = watcher::Config::default().labels("role=owned");
    let run = Controller::new(maps.clone(), owners)
        .owns(maps.clone(), owned)
        .run(
            |owner: Arc<ConfigMap>, client: Arc<Client>| async move {
                let maps: Api<ConfigMap> = Api::default_namespaced((*client).clone());
                let reference = owner.controller_owner_ref(&()).unwrap();
                let child = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"made": "yes"}, "metadata": {
                    "name": format!("{}-child", owner.name_any()), "labels": {"role": "owned"}, "ownerReferences": [reference]}});
                let params = PatchParams::apply("controller").force();
                maps.patch(&format!("{}-child", owner.name_any()), &params, &Patch::Apply(child))
                    .await?;
                Ok::<_, kube::Error>(Action::await_change())
            },
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(client),
        );
    let running = tokio::spawn(run.for_each(|_| async {}));
    let mut owner = map("o");
    owner.metadata.labels = Some([("role".to_owned(), "owner".to_owned())].into());
    maps.create(&PostParams::default(), &owner).await.unwrap();
    let door = &side.door;
    let child = format!("{}/o-child", door.core("configmaps"));
    door.until(&child, |answer| answer.code == 200).await;
    // Drift is put back, and a deleted child is made anew.
    let drift = Patch::Merge(json!({"data": {"made": "no"}}));
    maps.patch("o-child", &PatchParams::default(), &drift).await.unwrap();
    door.until(&child, |answer| answer.body["data"]["made"] == "yes").await;
    let before = maps.get("o-child").await.unwrap().uid();
    maps.delete("o-child", &DeleteParams::default()).await.unwrap();
    door.until(&child, |answer| answer.code == 200 && answer.body["metadata"]["uid"].as_str() != before.as_deref())
        .await;
    running.abort();
    // Without its controller the child goes with its owner.
    maps.delete("o", &DeleteParams::default()).await.unwrap();
    door.until(&child, |answer| answer.code == 404).await;
}

async fn the_finalizer_helper_runs_its_cleanup_before_the_object_goes(side: Side) {
    let maps: Api<ConfigMap> = Api::default_namespaced(side.client());
    let made = maps.create(&PostParams::default(), &map("m")).await.unwrap();
    let step = |object: ConfigMap| {
        let maps = maps.clone();
        async move {
            let seen = std::sync::Mutex::new(None);
            finalizer(&maps, "wasmbed.test/cleanup", Arc::new(object), |event| {
                *seen.lock().unwrap() = Some(matches!(event, Finalizer::Cleanup(_)));
                async { Ok::<_, Infallible>(Action::await_change()) }
            })
            .await
            .unwrap();
            seen.into_inner().unwrap()
        }
    };
    assert_eq!(step(made).await, None, "the finalizer is added first");
    let held = maps.get("m").await.unwrap();
    assert_eq!(held.finalizers(), ["wasmbed.test/cleanup"]);
    assert_eq!(step(held).await, Some(false));
    maps.delete("m", &DeleteParams::default()).await.unwrap();
    let going = maps.get("m").await.unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(step(going).await, Some(true));
    assert!(maps.get_opt("m").await.unwrap().is_none());
}

async fn a_recorder_counts_an_event_that_comes_again(side: Side) {
    let client = side.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let made = maps.create(&PostParams::default(), &map("m")).await.unwrap();
    let reporter = Reporter { controller: "test".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let event = Event {
        type_: EventType::Warning,
        reason: "Tested".into(),
        note: Some("it is tested".into()),
        action: "Testing".into(),
        secondary: None,
    };
    recorder.publish(&event, &made.object_ref(&())).await.unwrap();
    recorder.publish(&event, &made.object_ref(&())).await.unwrap();
    let events: Api<CoreEvent> = Api::default_namespaced(client);
    let about = format!("involvedObject.uid={}", made.uid().unwrap());
    let found = events.list(&ListParams::default().fields(&about)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].message.as_deref(), Some("it is tested"));
    assert!(found.items[0].series.is_some());
}

/// Takes the lease if it is free, as an elected leader does: with the version it saw.
async fn take(leases: &Api<Lease>, name: &str) -> bool {
    let now = Some(MicroTime(Timestamp::now()));
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(15),
        acquire_time: now.clone(),
        renew_time: now,
        ..LeaseSpec::default()
    };
    let Some(mut lease) = leases.get_opt("leader").await.unwrap() else {
        let lease =
            Lease { metadata: ObjectMeta { name: Some("leader".into()), ..ObjectMeta::default() }, spec: Some(spec) };
        return leases.create(&PostParams::default(), &lease).await.is_ok();
    };
    let held = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    if held.is_some_and(|holder| !holder.is_empty()) {
        return false;
    }
    lease.spec = Some(spec);
    leases.replace("leader", &PostParams::default(), &lease).await.is_ok()
}

async fn of_many_that_run_for_leader_exactly_one_is_elected(side: Side) {
    let client = side.client();
    for round in 0..3 {
        let runs = (0..8).map(|index| {
            let leases: Api<Lease> = Api::default_namespaced(client.clone());
            tokio::spawn(async move { take(&leases, &format!("{round}-{index}")).await })
        });
        let won = futures::future::join_all(runs).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
        let leases: Api<Lease> = Api::default_namespaced(client.clone());
        let free = Patch::Merge(json!({"spec": {"holderIdentity": ""}}));
        leases.patch("leader", &PatchParams::default(), &free).await.unwrap();
    }
}

async fn concurrent_writers_of_one_object_lose_nothing(side: Side) {
    let client = side.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &map("m")).await.unwrap();
    let writes = (0..40).map(|index| {
        let maps = maps.clone();
        tokio::spawn(async move {
            let key = format!("k{index}");
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {&key: "v"}});
            if index % 2 == 0 {
                let params = PatchParams::apply(&format!("manager-{index}"));
                maps.patch("m", &params, &Patch::Apply(config)).await.unwrap();
            } else {
                maps.patch("m", &PatchParams::default(), &Patch::Merge(config)).await.unwrap();
            }
        })
    });
    for done in futures::future::join_all(writes).await {
        done.unwrap();
    }
    assert_eq!(maps.get("m").await.unwrap().data.unwrap().len(), 41);
}
