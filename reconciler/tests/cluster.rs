//! A repository brought about in a real API.

mod support;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use support::declare::{application, device, sourced};
use support::world::{FLEET, World, step};
use wasmbed_api::{Application, ApplicationPhase, Device, Fleet, Release, Rollout, condition};
use wasmbed_reconciler::Written;

#[tokio::test]
async fn a_revision_becomes_objects_a_release_and_a_rollout() {
    let world = World::new().await;
    let head = world.repository.head();
    let summary = world.reconcile().await;
    assert_eq!(summary.failures, Vec::<String>::new());
    assert_eq!(summary.applied.as_deref(), Some(&*head));
    assert_eq!((summary.written.created, summary.written.releases), (4, 1));

    let labels = world.device("d1").await.metadata.labels.expect("labels");
    assert_eq!(labels["wasmbed.github.io/fleet"], FLEET);
    assert_eq!(labels["wasmbed.github.io/gateway"], "gateway-1");
    assert_eq!(labels["room"], "kitchen");

    let releases = world.releases().await;
    let release = &releases[0];
    assert_eq!(release.spec.revision.as_deref(), Some(&*head));
    assert_eq!(release.metadata.labels.as_ref().expect("labels")["wasmbed.github.io/application"], "hello");
    let (named, content) = wasmbed_protocol::Release::read_unverified(&release.spec.cose.0).expect("signed");
    assert_eq!(Some(named.to_string()), release.metadata.name);
    assert_eq!(content.artifacts[0].digest.0, *release.spec.artifacts[0].digest.as_bytes());
    let module = format!("module-{}", release.spec.artifacts[0].digest);
    assert!(world.api::<ConfigMap>().get(&module).await.is_ok_and(|map| map.immutable == Some(true)));
    let rollout = world.rollout("hello").await;
    assert_eq!(rollout.spec.candidate.map(|digest| digest.to_string()), release.metadata.name);

    let status = world.status().await;
    assert_eq!(status.applied_revision.as_deref(), Some(&*head));
    assert_eq!(condition(&status.conditions, "Ready").expect("set").status, "True");
    let counts = status.counts.expect("counted");
    assert_eq!((counts.devices, counts.applications, counts.gateways, counts.held), (2, 1, 1, 0));
    let application = world.application("hello").await.status.expect("a status");
    assert_eq!((application.phase, application.targets), (Some(ApplicationPhase::Deploying), Some(2)));
    assert_eq!(application.release, rollout.spec.candidate);
}

#[tokio::test]
async fn doing_it_again_writes_nothing() {
    let world = World::new().await;
    world.reconcile().await;
    let before = world.api::<Fleet>().get(FLEET).await.expect("the fleet").metadata.resource_version;
    let again = world.reconcile().await;
    assert_eq!(again.written, Written::default());
    let after = world.api::<Fleet>().get(FLEET).await.expect("the fleet").metadata.resource_version;
    assert_eq!(before, after, "not even a status");
}

#[tokio::test]
async fn a_revert_returns_to_the_release_that_is_there_already() {
    let world = World::new().await;
    let mut reconciler = world.reconciler();
    step(&mut reconciler).await;
    let first = world.rollout("hello").await.spec.candidate;
    world.repository.write("fleet/hello.yaml", &application("hello", &["d1", "d2"], 2)).push("second");
    assert_eq!(step(&mut reconciler).await.written.releases, 1);
    assert_ne!(world.rollout("hello").await.spec.candidate, first);
    world.repository.push_revert();
    let reverted = step(&mut reconciler).await;
    assert_eq!((reverted.written.releases, reverted.compiled), (0, 0));
    assert_eq!(world.rollout("hello").await.spec.candidate, first);
}

#[tokio::test]
async fn a_candidate_becomes_stable_when_its_connected_targets_run_it() {
    let world = World::new().await;
    world.reconcile().await;
    let release = world.rollout("hello").await.spec.candidate.expect("a candidate");
    let runs = json!([{ "name": "hello", "release": release, "phase": "Running" }]);
    world.device_reports("d2", "Disconnected", json!([])).await;
    world.device_reports("d1", "Connected", json!([])).await;
    world.reconcile().await;
    assert_eq!(world.rollout("hello").await.spec.stable, None);
    world.device_reports("d1", "Connected", runs).await;
    world.reconcile().await;
    let rollout = world.rollout("hello").await.spec;
    assert_eq!((rollout.stable, rollout.candidate), (Some(release), None));
    let status = world.application("hello").await.status.expect("a status");
    assert_eq!((status.phase, status.connected, status.running), (Some(ApplicationPhase::Running), Some(1), Some(1)));
    assert_eq!(status.deployed_devices.iter().map(ToString::to_string).collect::<Vec<_>>(), ["d1"]);
}

#[tokio::test]
async fn an_invalid_revision_is_held_whole_and_the_last_good_one_stays_over_a_restart() {
    let world = World::new().await;
    world.reconcile().await;
    let good = world.repository.head();
    let typo = device("d3").replace("gatewayId", "gatewayID");
    world.repository.write("fleet/d3.yaml", &typo).write("fleet/hello.yaml", &application("hello", &["d1"], 2));
    let bad = world.repository.push("a typo");
    let held = world.reconcile().await;
    assert_eq!(held.applied.as_deref(), Some(&*good), "found again by a process that remembers nothing");
    assert_eq!(held.written, Written::default());
    let status = world.status().await;
    assert_eq!((status.observed_revision.as_deref(), status.applied_revision.as_deref()), (Some(&*bad), Some(&*good)));
    let what = &status.held[0];
    assert_eq!((what.file.as_deref(), what.line), (Some("fleet/d3.yaml"), Some(4)));
    assert!(what.message.contains("did you mean `gatewayId`?"), "{}", what.message);
    assert_eq!(condition(&status.conditions, "Ready").expect("set").reason, "RevisionHeld");

    // Neither the status nor what the process remembers is needed to stay there.
    world.wipe_status::<Fleet>(FLEET).await;
    world.patch::<Device>("d1", json!({ "spec": { "architecture": "XTENSA" } })).await;
    let again = world.reconcile().await;
    assert_eq!(again.applied.as_deref(), Some(&*good));
    assert_eq!(again.written.updated, 1, "drift is put back to the last good revision");
    world.repository.push_revert();
    assert!(world.reconcile().await.held.is_empty());
}

#[tokio::test]
async fn an_application_that_does_not_build_is_held_alone_at_its_last_spec() {
    let world = World::new().await;
    let mut reconciler = world.reconciler();
    step(&mut reconciler).await;
    let before = world.application("hello").await.spec;
    world
        .repository
        .write("fleet/apps/hello/Cargo.toml", "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .write("fleet/apps/hello/src/main.rs", "pub fn main() {}\n")
        .write("fleet/apps/hello/.cargo/config.toml", "[build]\nrustc = \"./evil\"\n")
        .write("fleet/hello.yaml", &sourced("hello", "apps/hello"))
        .write("fleet/other.yaml", &application("other", &["d1"], 3));
    let head = world.repository.push("sources that are refused, and another application");
    let summary = step(&mut reconciler).await;
    assert_eq!(summary.applied.as_deref(), Some(&*head));
    assert_eq!(summary.held.len(), 1);
    assert_eq!(world.application("hello").await.spec, before);
    assert!(world.rollout("other").await.spec.candidate.is_some(), "the others advance");
    let status = world.status().await;
    assert_eq!(status.held[0].application.as_ref().map(ToString::to_string).as_deref(), Some("hello"));
    assert_eq!(status.held[0].reason, "SourceRefused");
    assert!(
        status.held[0].file.as_deref().is_some_and(|file| file.contains(".cargo/config.toml")),
        "{:?}",
        status.held
    );
    let hello = world.application("hello").await.status.expect("a status");
    let built = condition(&hello.conditions, "Built").expect("set");
    assert_eq!((&*built.status, &*built.reason), ("False", "SourceRefused"));
    assert!(built.message.contains(&head[..10]), "{}", built.message);
    // Drift of a held application is put back to what was built last.
    world.patch::<Application>("hello", json!({ "spec": { "description": "by hand" } })).await;
    assert_eq!(step(&mut reconciler).await.written.updated, 1);
    assert_eq!(world.application("hello").await.spec, before);
    // A process that remembers nothing leaves it as it is.
    let restarted = world.reconcile().await;
    assert_eq!(restarted.written, Written::default());
    assert_eq!(world.application("hello").await.spec, before);
}

#[tokio::test]
async fn a_builder_that_is_away_holds_only_what_needs_it() {
    let world = World::new().await;
    world
        .repository
        .write("fleet/apps/new/src/main.rs", "pub fn main() {}\n")
        .write("fleet/new.yaml", &sourced("new", "apps/new"))
        .push("something to build");
    let summary = world.reconcile().await;
    assert_eq!(summary.held[0].reason, "BuilderFailed");
    assert!(world.rollout("hello").await.spec.candidate.is_some());
    let new = world.application("new").await.status.expect("a status");
    assert_eq!(new.phase, Some(ApplicationPhase::Failed));
    assert_eq!(world.names::<Rollout>().await, ["hello"]);
}

#[tokio::test]
async fn what_leaves_the_repository_is_pruned_unless_the_fleet_says_no() {
    let world = World::new().await;
    world.repository.write("fleet/other.yaml", &application("other", &["d1"], 3)).push("another");
    world.reconcile().await;
    world.repository.remove("fleet/other.yaml").push("gone");
    let url = world.repository.url();
    world.fleet_spec(json!({ "url": url, "path": "fleet", "prune": false })).await;
    assert_eq!(world.reconcile().await.written.deleted, 0);
    assert_eq!(world.names::<Application>().await.len(), 2);
    world.fleet_spec(json!({ "url": url, "path": "fleet" })).await;
    assert_eq!(world.reconcile().await.written.deleted, 1);
    assert_eq!(world.names::<Application>().await, ["hello"]);
    assert_eq!(world.names::<Rollout>().await, ["hello"]);
    assert_eq!(world.releases().await.len(), 2, "so that bringing it back builds nothing");
}

#[tokio::test]
async fn an_application_that_no_board_of_its_targets_can_hold_is_held_with_the_numbers() {
    let world = World::new().await;
    let small = device("d3")
        .replace("mcuType: Host", "mcuType: Stm32F4Disco")
        .replace("emulation: {}", "architecture: ARM_CORTEX_M");
    let other = application("other", &["d3"], 3);
    // The module of these tests has a whole page of memory.
    world.repository.write("fleet/d3.yaml", &small).write("fleet/other.yaml", &other).push("a small board");
    let summary = world.reconcile().await;
    assert_eq!(summary.held.len(), 1, "{:?}", summary.held);
    let status = world.status().await;
    assert_eq!(status.held[0].reason, "ModuleRefused");
    assert!(status.held[0].message.contains("Stm32F4Disco"), "{}", status.held[0].message);

    let limited = format!("{other}  config: {{memoryLimit: 128Ki}}\n");
    world.repository.write("fleet/other.yaml", &limited).push("more than the board has");
    world.reconcile().await;
    let held = world.status().await.held.remove(0);
    assert_eq!((held.file.as_deref(), held.line), (Some("fleet/other.yaml"), Some(1)));
    let what = held.message;
    assert!(what.contains("config.memoryLimit is 131072 bytes, and Stm32F4Disco has 61440"), "{what}");

    world.repository.write("fleet/other.yaml", &application("other", &["d1"], 3)).push("another device");
    assert!(world.reconcile().await.held.is_empty());
    // Where no limit is declared, it is what the module needs: a page, the interpreter's stack, and some.
    let release = world.rollout("other").await.spec.candidate.expect("offered");
    let named = |one: &Release| one.metadata.name == Some(release.to_string());
    let release = world.releases().await.into_iter().find(named);
    let memory = release.expect("its Release").spec.limits.memory_bytes;
    assert!((73_728..131_072).contains(&memory), "{memory}");
}

#[tokio::test]
async fn a_commit_that_deletes_everything_is_held_until_a_commit_allows_it() {
    let world = World::new().await;
    world.reconcile().await;
    for file in ["fleet/gateway.yaml", "fleet/devices.yaml", "fleet/hello.yaml"] {
        world.repository.remove(file);
    }
    world.repository.write("fleet/README.md", "nothing").push("everything goes");
    let held = world.reconcile().await;
    assert_eq!(held.written, Written::default());
    let what = &world.status().await.held[0];
    assert_eq!(what.reason, "DeletionHeld");
    let hash = what.message.split("Allow-Deletion: ").nth(1).expect("the word").split('`').next().expect("its end");
    world.repository.push(&format!("it is meant\n\nAllow-Deletion: {hash}"));
    let allowed = world.reconcile().await;
    assert_eq!((allowed.held.len(), allowed.written.deleted), (0, 4));
    assert!(world.names::<Device>().await.is_empty());
}

#[tokio::test]
async fn deletions_add_up_over_a_day() {
    let world = World::new().await;
    let many: Vec<String> = (1..=5).map(|n| device(&format!("d{n}"))).collect();
    world.repository.write("fleet/devices.yaml", &many.join("---\n")).push("five devices");
    world.reconcile().await;
    world.repository.write("fleet/devices.yaml", &many[..4].join("---\n")).push("four");
    assert_eq!(world.reconcile().await.written.deleted, 1);
    world.repository.write("fleet/devices.yaml", &many[..3].join("---\n")).push("three");
    let held = world.reconcile().await;
    assert_eq!(held.written.deleted, 0);
    assert!(held.held[0].message.contains("within the last day"), "{}", held.held[0].message);
}

#[tokio::test]
async fn a_repository_or_branch_that_is_gone_is_told_and_changes_nothing() {
    let world = World::new().await;
    world.reconcile().await;
    let url = world.repository.url();
    world.fleet_spec(json!({ "url": url, "path": "fleet", "branch": "nowhere" })).await;
    assert!(world.reconcile().await.source_error.is_some_and(|error| error.contains("no branch `nowhere`")));
    let conditions = world.status().await.conditions;
    assert_eq!(condition(&conditions, "Fetched").expect("set").reason, "BranchMissing");
    world.fleet_spec(json!({ "url": url, "path": "fleet" })).await;
    std::fs::remove_dir_all(world.repository.bare()).expect("removed");
    let gone = world.reconcile().await;
    assert_eq!(gone.written, Written::default());
    let conditions = world.status().await.conditions;
    assert_eq!(condition(&conditions, "Fetched").expect("set").reason, "RepositoryMissing");
    assert_eq!(world.names::<Device>().await.len(), 2);
}

#[tokio::test]
async fn a_forced_push_is_brought_about() {
    let world = World::new().await;
    world.repository.write("fleet/hello.yaml", &application("hello", &["d1"], 2)).push("second");
    world.reconcile().await;
    world.repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let forced = world.repository.write("fleet/hello.yaml", &application("hello", &["d2"], 1)).commit("another");
    world.repository.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    let summary = world.reconcile().await;
    assert_eq!(summary.applied.as_deref(), Some(&*forced));
    assert_eq!(world.application("hello").await.spec.target_devices.expect("named").names()[0].as_str(), "d2");
}

#[tokio::test]
async fn an_application_applied_by_hand_is_told_so_and_reaches_no_device() {
    let world = World::new().await;
    world.reconcile().await;
    let by_hand = serde_yaml::from_str(&application("own", &["d1"], 5)).expect("an Application");
    world.api::<Application>().create(&Default::default(), &by_hand).await.expect("created");
    assert_eq!(world.reconcile().await.written, Written::default());
    let conditions = world.application("own").await.status.expect("a status").conditions;
    assert_eq!(condition(&conditions, "NotInGit").expect("set").status, "True");
    assert_eq!(world.names::<Rollout>().await, ["hello"]);
}

#[tokio::test]
async fn a_board_that_cannot_run_and_an_old_form_are_told_on_the_object() {
    let world = World::new().await;
    let old = "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {name: d3}\nspec: {mcuType: Esp32DevkitC, preferredGateway: gateway-1}\n";
    world.repository.write("fleet/d3.yaml", old).push("an old board");
    world.reconcile().await;
    let conditions = world.device("d3").await.status.expect("a status").conditions;
    assert_eq!(condition(&conditions, "CannotRun").expect("set").reason, "ArchitectureUnsupported");
    let form = condition(&conditions, "DeprecatedForm").expect("set");
    assert!(form.message.contains("gatewayId: gateway-1"), "{}", form.message);
    world.repository.write("fleet/d3.yaml", &device("d3")).push("a new board");
    world.reconcile().await;
    assert_eq!(world.device("d3").await.status.unwrap_or_default().conditions, []);
}

#[tokio::test]
async fn the_seeds_files_are_applied_to_the_api_as_they_are() {
    let world = World::new().await;
    let by_hand = PatchParams::apply("kubectl").validation_strict();
    for document in serde_yaml::Deserializer::from_str(include_str!("../api/tests/seed.yaml")) {
        let object = Value::deserialize(document).expect("YAML");
        let word = |value: &Value| value.as_str().expect("a word").to_owned();
        let (group, version) = object["apiVersion"].as_str().and_then(|text| text.split_once('/')).expect("both");
        let (kind, name) = (word(&object["kind"]), word(&object["metadata"]["name"]));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), FLEET, &resource);
        let mut versions = Vec::new();
        for _ in 0..2 {
            let applied = api.patch(&name, &by_hand, &Patch::Apply(&object)).await.expect(&kind);
            assert_eq!(applied.data["spec"], object["spec"], "{kind}");
            assert!(applied.data["status"].is_null(), "{kind}: a status is not a file's to say");
            versions.push(applied.metadata.resource_version);
        }
        assert_eq!(versions[0], versions[1], "{kind}: applied again, it is the same");
    }
    assert_eq!(
        world.device("sensor-1").await.spec.gateway_id.expect("there").as_str(),
        "gateway-1",
        "the old name of it"
    );
}

#[tokio::test]
async fn ten_releases_of_an_application_are_kept_and_what_its_rollout_names() {
    let world = World::new().await;
    let mut reconciler = world.reconciler();
    step(&mut reconciler).await;
    let first = world.rollout("hello").await.spec.candidate.expect("a candidate");
    world.device_reports("d1", "Connected", json!([{ "name": "hello", "release": first, "phase": "Running" }])).await;
    for number in 2..=14 {
        world.repository.write("fleet/hello.yaml", &application("hello", &["d1", "d2"], number)).push("another");
        step(&mut reconciler).await;
    }
    let rollout = world.rollout("hello").await.spec;
    assert_eq!(rollout.stable, Some(first));
    let kept = world.releases().await;
    assert!((10..=12).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().any(|release| release.metadata.name == Some(first.to_string())));
    let modules = world.names::<ConfigMap>().await.into_iter().filter(|name| name.starts_with("module-")).count();
    assert_eq!(modules, kept.len());
}

#[tokio::test]
async fn two_fleets_in_a_namespace_are_refused() {
    let world = World::new().await;
    let second = json!({ "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": "second" }, "spec": { "url": "/x" } });
    let second: Fleet = serde_json::from_value(second).expect("a Fleet");
    world.api::<Fleet>().create(&Default::default(), &second).await.expect("created");
    let refused = wasmbed_reconciler::reconcile_once(world.options()).await.expect_err("two");
    assert!(refused.to_string().contains("2 Fleets"), "{refused}");
}

#[tokio::test]
async fn another_folder_of_the_same_revision_declares_something_else() {
    let world = World::new().await;
    let lab = device("d9").replace("gatewayId: gateway-1, ", "");
    world.repository.write("lab/d9.yaml", &lab).push("another folder");
    let mut reconciler = world.reconciler();
    step(&mut reconciler).await;
    world.fleet_spec(json!({ "url": world.repository.url(), "path": "lab", "prune": false })).await;
    assert_eq!(step(&mut reconciler).await.written.created, 1);
    assert_eq!(world.names::<Device>().await, ["d1", "d2", "d9"]);
}

#[tokio::test]
async fn a_release_that_was_tampered_with_is_put_back() {
    let world = World::new().await;
    world.reconcile().await;
    let release = world.releases().await.remove(0);
    let name = release.metadata.name.clone().expect("named");
    world.patch::<wasmbed_api::Release>(&name, json!({ "spec": { "config": { "args": ["--evil"] } } })).await;
    assert_eq!(world.reconcile().await.written.releases, 1);
    assert_eq!(world.releases().await[0].spec, release.spec);
}

#[tokio::test]
async fn a_damaged_cache_of_the_repository_is_fetched_anew() {
    let world = World::new().await;
    let mut reconciler = world.reconciler();
    step(&mut reconciler).await;
    let repositories = world.options().cache.join("repositories");
    for mirror in std::fs::read_dir(&repositories).expect("there").flatten() {
        let packs = mirror.path().join("objects/pack");
        std::fs::remove_dir_all(&packs).expect("removed");
        std::fs::create_dir(&packs).expect("empty");
    }
    let head = world.repository.write("fleet/d3.yaml", &device("d3")).push("another device");
    let summary = world.reconcile().await;
    assert_eq!((summary.applied.as_deref(), summary.written.created), (Some(&*head), 1));
}

/// Puts a module into the build cache, as if the sources in the working copy had been built to it.
fn built_before(world: &World, application: &str, folder: &str, number: u8) {
    use base64::Engine;
    use wasmbed_builder::closure::FolderTree;
    use wasmbed_builder::{BuildRequest, Cache, Closure, Limits, Module, Profile, Target, Trust};
    let closure = Closure::of(&FolderTree::new(world.repository.copy()), folder).expect("sources");
    let request = BuildRequest {
        fleet: format!("{FLEET}/{FLEET}"),
        application: application.to_owned(),
        trust: Trust::Branch,
        closure,
        target: Target::default(),
        profile: Profile::default(),
        limits: Limits::default(),
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(support::declare::module(number)).expect("base64");
    let module = Module::check(bytes, &Limits::default()).expect("a module");
    let cache = Cache::open(world.options().cache.join("build")).expect("a cache");
    cache.keep(&request, &module).expect("kept");
}

#[tokio::test]
async fn sources_that_were_built_before_need_no_builder_and_a_revert_goes_back_to_them() {
    let world = World::new().await;
    world
        .repository
        .write("fleet/apps/new/src/main.rs", "pub fn main() {}\n")
        .write("fleet/new.yaml", &sourced("new", "apps/new"));
    built_before(&world, "new", "fleet/apps/new", 9);
    world.repository.push("something built before");
    let mut reconciler = world.reconciler();
    let first = step(&mut reconciler).await;
    assert_eq!((first.held.len(), first.compiled, first.written.releases), (0, 0, 2));
    let release = world.rollout("new").await.spec.candidate;
    let before = world.application("new").await.metadata.resource_version;

    world.repository.write("README.md", "words").push("nothing declared, nothing built");
    assert_eq!(step(&mut reconciler).await.written, Written::default());
    assert_eq!(world.application("new").await.metadata.resource_version, before, "not even a status");

    world.repository.write("fleet/apps/new/src/main.rs", "pub fn main() { loop {} }\n").push("to be built");
    let away = step(&mut reconciler).await;
    assert_eq!(away.held[0].reason, "BuilderFailed");
    assert_eq!(world.rollout("new").await.spec.candidate, release, "what was built last stays");
    world.repository.push_revert();
    let reverted = step(&mut reconciler).await;
    assert_eq!((reverted.held.len(), reverted.compiled, reverted.written), (0, 0, Written::default()));
}

#[tokio::test]
async fn a_fleet_that_asks_for_signed_commits_follows_none_unverified() {
    let world = World::new().await;
    let url = world.repository.url();
    world.fleet_spec(json!({ "url": url, "path": "fleet", "verify": { "secretRef": { "name": "keys" } } })).await;
    let summary = world.reconcile().await;
    assert_eq!((&*summary.held[0].reason, summary.written), ("CannotVerify", Written::default()));
    assert!(world.names::<Device>().await.is_empty());
}
