//! What was answered stays, whatever happens to the process or the file.
#![allow(clippy::unwrap_used)]

mod contract;
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use support::{Plane, options};
use wasmbed_control_plane::{ControlPlane, DATA_FILE, OpenError, StorageError};

const FOLDER: &str = "CONTROL_PLANE_TEST_FOLDER";

/// Not a test of its own: the child of the one below, which writes until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of another test"]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let control_plane = ControlPlane::open(options(Path::new(&folder))).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client("test"), "test");
    let writers = (0..8).map(|writer| {
        let maps = maps.clone();
        tokio::spawn(async move {
            for index in 0.. {
                let name = format!("m-{writer}-{index}");
                let object =
                    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"x": "x".repeat(300)}}))
                        .unwrap();
                let made = maps.create(&PostParams::default(), &object).await.unwrap();
                println!("answered {name} {}", made.resource_version().unwrap());
            }
        })
    });
    futures::future::join_all(writers).await;
}

#[tokio::test]
async fn every_answered_write_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut last_version = 0;
    let mut answered: Vec<(String, String)> = Vec::new();
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some((_, rest)) = line.split_once("answered ") else {
                continue;
            };
            let Some((name, version)) = rest.split_once(' ') else {
                continue;
            };
            answered.push((name.to_owned(), version.to_owned()));
            seen += 1;
            if seen == 60 {
                // SIGKILL: the rest of the lines are what it could still say.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= 60, "the child wrote only {seen} objects");
        // The last line may have been cut off in the middle of its version.
        answered.pop();

        let control_plane = ControlPlane::open(options(folder.path())).await.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(control_plane.client("test"), "test");
        for (name, version) in &answered {
            let found = maps.get(name).await.unwrap();
            assert_eq!(found.resource_version().as_ref(), Some(version), "{name}");
        }
        let list = maps.list(&ListParams::default()).await.unwrap();
        let version: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
        assert!(version > last_version, "versions go on where they were");
        last_version = version;
        for map in list.items {
            maps.delete(&map.name_any(), &Default::default()).await.unwrap();
        }
        answered.clear();
        control_plane.close().await;
    }
}

/// Not a test of its own: the child of the one below, for which the disk is full at 4 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child process of another test"]
async fn child_that_fills_the_disk() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let control_plane = ControlPlane::open(options(Path::new(&folder))).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client("test"), "test");
    for index in 0..10_000 {
        let name = format!("m-{index}");
        let object = json!({"metadata": {"name": name}, "data": {"x": "x".repeat(20_000)}});
        let object = serde_json::from_value(object).unwrap();
        match maps.create(&PostParams::default(), &object).await {
            Ok(_) => println!("answered {name}"),
            Err(error) => {
                println!("refused {name} {error}");
                // What is there can still be read, and a refused write has left nothing behind.
                assert!(maps.get_opt(&name).await.unwrap().is_none());
                maps.get("m-0").await.unwrap();
                // Once there is space, it goes on without a restart.
                let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
                setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
                maps.create(&PostParams::default(), &object).await.unwrap();
                println!("answered {name}");
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_a_write_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_that_fills_the_disk", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let answered: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("answered ")?.1)).collect();
    let refused = text.lines().find(|line| line.contains("refused ")).unwrap_or_default();
    assert!(answered.len() > 10, "{text}{complaint}");
    assert!(refused.contains("make space on the disk"), "{text}{complaint}");
    assert!(output.status.success(), "{text}{complaint}");
    let control_plane = ControlPlane::open(options(folder.path())).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client("test"), "test");
    let list = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), answered.len());
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let plane = Plane::open().await;
    let door = plane.door();
    let object = door.make("a", json!({"size": 1, "tags": ["t"]})).await;
    let plane = plane.reopened().await;
    let door = plane.door();
    assert_eq!(door.get(&door.widget("a")).await.ok(), object);
    assert_eq!(door.names(&format!("{}?labelSelector=nothing", door.widgets())).await, Vec::<String>::new());
    let changed = door.patch(&door.widget("a"), "merge-patch+json", &json!({"spec": {"size": 2}})).await.ok();
    let number = |object: &serde_json::Value| -> u64 {
        object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    assert!(number(&changed) > number(&object));
}

#[tokio::test]
async fn dependents_of_an_owner_deleted_before_a_restart_still_go() {
    let plane = Plane::open().await;
    let door = plane.door();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "ownerReferences": [
        {"apiVersion": "contract.wasmbed.test/v1", "kind": "Widget", "name": "gone", "uid": "00000000-0000-4000-8000-000000000000"}]}});
    // An owner that was never there is as good as one that is gone.
    door.post(&door.core("configmaps"), &object).await.ok();
    let plane = plane.reopened().await;
    let door = plane.door();
    let path = format!("{}/m", door.core("configmaps"));
    door.until(&path, |answer| answer.code == 404).await;
}

async fn damage(change: impl FnOnce(&Path)) -> String {
    let plane = Plane::open().await;
    let door = plane.door();
    for index in 0..50 {
        door.make(&format!("w{index}"), json!({"anything": {"x": "x".repeat(500)}})).await;
    }
    let folder = plane.folder;
    plane.control_plane.close().await;
    let file = folder.path().join(DATA_FILE);
    change(&file);
    let before = std::fs::read(&file).unwrap();
    let error = ControlPlane::open(options(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Storage(StorageError::Damaged { .. })), "{error:?}");
    assert!(std::fs::read(&file).unwrap() == before, "a damaged file is left as it is");
    error.to_string()
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_as_it_is() {
    let truncated = damage(|file| {
        let length = std::fs::metadata(file).unwrap().len();
        let open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        open.set_len(length / 2).unwrap();
    });
    let truncated = truncated.await;
    assert!(truncated.contains(DATA_FILE) && truncated.contains("backup"), "{truncated}");
    damage(|file| std::fs::write(file, b"").unwrap()).await;
    damage(|file| std::fs::write(file, b"this is no database at all, but some text").unwrap()).await;
    let flipped = damage(|file| {
        let mut bytes = std::fs::read(file).unwrap();
        // The content of some object: what no page's structure would show.
        let at = bytes.windows(64).position(|window| window.iter().all(|byte| *byte == b'x')).unwrap();
        bytes[at + 20] ^= 1;
        std::fs::write(file, bytes).unwrap();
    });
    flipped.await;
}

#[tokio::test]
async fn a_folder_in_use_is_not_opened_twice() {
    let plane = Plane::open().await;
    let error = ControlPlane::open(options(plane.folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Storage(StorageError::InUse { .. })), "{error:?}");
    assert!(error.to_string().contains("another process"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = ControlPlane::open(options(&file.join("below"))).await.unwrap_err();
    assert!(error.to_string().contains("below"), "{error}");
}

#[tokio::test]
async fn a_closed_control_plane_answers_with_an_error() {
    let plane = Plane::open().await;
    let door = plane.door();
    plane.control_plane.close().await;
    let answer = door.post(&door.widgets(), &door.named("a")).await;
    answer.fails(500, "InternalError");
}
