//! The reconciler as it runs: what happens by itself, and how soon.

mod support;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use support::declare::{application, device, sourced};
use support::world::{FLEET, World};
use wasmbed_api::{Application, Device, Fleet, Gateway, Release, Rollout};

/// Whether the status says of the Fleet as it is now that it is suspended.
async fn says_suspended(world: &World) -> bool {
    let fleet = world.api::<Fleet>().get(FLEET).await.expect("the fleet");
    let conditions = fleet.status.unwrap_or_default().conditions;
    conditions.iter().any(|condition| {
        (condition.type_.as_str(), condition.reason.as_str()) == ("Ready", "Suspended")
            && condition.observed_generation == fleet.metadata.generation
    })
}

async fn is_applied(world: &World, revision: &str) -> bool {
    world.status().await.applied_revision.as_deref() == Some(revision)
}

#[tokio::test]
async fn a_push_to_a_local_repository_is_brought_about_at_once() {
    let world = World::new().await;
    let running = world.run();
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;
    let head = world.repository.write("fleet/hello.yaml", &application("hello", &["d1"], 2)).push("second");
    // The interval is an hour: only the watch can tell.
    world.until("the second revision is applied", || is_applied(&world, &head)).await;
    running.stop().await;
}

#[tokio::test]
async fn what_people_change_or_delete_in_the_cluster_is_put_back() {
    let world = World::new().await;
    let running = world.run();
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;

    world.patch::<Device>("d1", json!({ "spec": { "gatewayId": "gateway-9" } })).await;
    let spec_is_back =
        || async { world.device("d1").await.spec.gateway_id.is_some_and(|id| id.as_str() == "gateway-1") };
    world.until("the spec is put back", spec_is_back).await;

    world
        .patch::<Device>(
            "d1",
            json!({ "metadata": { "labels": { "wasmbed.github.io/gateway": "x", "own": "stays" } } }),
        )
        .await;
    let label_is_back = || async {
        let labels = world.device("d1").await.metadata.labels.unwrap_or_default();
        labels.get("wasmbed.github.io/gateway").is_some_and(|label| label == "gateway-1") && labels.contains_key("own")
    };
    world.until("the label is put back, and what others added stays", label_is_back).await;

    world.api::<Application>().delete("hello", &DeleteParams::default()).await.expect("deleted");
    world.until("the application is back", || async { world.api::<Application>().get("hello").await.is_ok() }).await;

    let release = world.releases().await.remove(0);
    let (name, module) =
        (release.metadata.name.expect("named"), format!("module-{}", release.spec.artifacts[0].digest));
    world.api::<Release>().delete(&name, &DeleteParams::default()).await.expect("deleted");
    world.api::<ConfigMap>().delete(&module, &DeleteParams::default()).await.expect("deleted");
    world.until("the release is back", || async { world.api::<Release>().get(&name).await.is_ok() }).await;
    world.until("the module is back", || async { world.api::<ConfigMap>().get(&module).await.is_ok() }).await;
    running.stop().await;
}

#[tokio::test]
async fn statuses_deleted_by_hand_come_back() {
    let world = World::new().await;
    let running = world.run();
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;
    world.wipe_status::<Fleet>(FLEET).await;
    world.until("the fleet's status is back", || is_applied(&world, &head)).await;
    let phase = || async { world.application("hello").await.status.and_then(|status| status.phase) };
    world.until("the application has a phase", || async { phase().await.is_some() }).await;
    world.wipe_status::<Application>("hello").await;
    world.until("the application's status is back", || async { phase().await.is_some() }).await;
    running.stop().await;
}

#[tokio::test]
async fn a_suspended_fleet_is_left_as_it_is() {
    let world = World::new().await;
    let running = world.run();
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;
    world.patch::<Fleet>(FLEET, json!({ "spec": { "suspend": true } })).await;
    world.until("the status says so", || says_suspended(&world)).await;
    let second = world.repository.write("fleet/d3.yaml", &device("d3")).push("another device");
    world.patch::<Device>("d1", json!({ "spec": { "architecture": "by-hand" } })).await;
    // Each change of the Fleet asks for a pass, and its status says when that is over: two, so that the second began
    // after anything the first may have set off.
    for interval in ["2h", "3h"] {
        world.patch::<Fleet>(FLEET, json!({ "spec": { "interval": interval } })).await;
        world.until("a pass is over", || says_suspended(&world)).await;
    }
    let status = world.status().await;
    assert_eq!(status.observed_revision.as_deref(), Some(&*head), "nobody asked the repository");
    assert_eq!(status.applied_revision.as_deref(), Some(&*head));
    assert!(world.api::<Device>().get_opt("d3").await.expect("readable").is_none(), "nothing was applied");
    assert_eq!(world.device("d1").await.spec.architecture.as_deref(), Some("by-hand"), "nothing was put back");
    world.patch::<Fleet>(FLEET, json!({ "spec": { "suspend": null } })).await;
    world.until("it is taken up again", || is_applied(&world, &second)).await;
    assert_eq!(world.device("d1").await.spec.architecture, None);
    running.stop().await;
}

#[tokio::test]
async fn a_device_that_proved_its_code_gets_its_key_committed() {
    use wasmbed_protocol::pairing::{Code, Proof};
    let world = World::new().await;
    let code = Code::new([9; 16]);
    let public = |key: wasmbed_protocol::PublicKey| wasmbed_api::PublicKey::from_bytes(key.0);
    let declared = format!(
        "# The sensor in the hall.\napiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: hall}}\nspec:\n  gatewayId: gateway-1\n  pairing:\n    publicKey: {}\n",
        public(code.key().public())
    );
    world.repository.write("fleet/hall.yaml", &declared).push("a device with a code");
    let secret: Secret = serde_json::from_value(json!({ "metadata": { "name": "write" } })).expect("a Secret");
    world.api::<Secret>().create(&Default::default(), &secret).await.expect("created");
    let url = world.repository.url();
    world
        .fleet_spec(json!({ "url": url, "path": "fleet", "interval": "1h", "writeSecretRef": { "name": "write" } }))
        .await;
    let running = world.run();
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;

    let key = wasmbed_protocol::SigningKey::from_seed(&[3; 32]).public();
    let other = wasmbed_protocol::SigningKey::from_seed(&[4; 32]).public();
    let proof = Proof::new(&code, &[5; 32], "hall", &key);
    let bytes = |bytes: &[u8]| wasmbed_api::ByteString(bytes.to_vec());
    let pending = |key: wasmbed_protocol::PublicKey| {
        json!({
            "publicKey": public(key), "source": "10.0.0.7", "device": "hall", "pairedWith": "hall",
            "exporter": bytes(&[5; 32]), "proof": bytes(&proof.0),
        })
    };
    let says = |pending: Vec<serde_json::Value>| {
        let status = json!({
            "apiVersion": "wasmbed.io/v1", "kind": "Gateway", "metadata": { "name": "gateway-1" },
            "status": { "pending": pending },
        });
        let api = world.api::<Gateway>();
        async move {
            let gateway = PatchParams::apply("wasmbed-gateway").force();
            api.patch_status("gateway-1", &gateway, &Patch::Apply(status)).await.expect("reported");
        }
    };
    // A gateway that lies about who proved it gets nothing committed.
    says(vec![pending(other)]).await;
    says(vec![pending(other), pending(key)]).await;
    let has_key = || async { world.device("hall").await.spec.public_key == Some(public(key)) };
    world.until("the key is committed and applied", has_key).await;
    world.repository.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    let text = std::fs::read_to_string(world.repository.copy().join("fleet/hall.yaml")).expect("read");
    assert!(text.starts_with("# The sensor in the hall."), "{text}");
    assert!(text.contains(&format!("publicKey: {}", public(key))), "{text}");
    assert!(!text.contains(&public(other).to_string()));
    assert!(world.repository.git(&["log", "-1", "--format=%s"]).contains("Enroll hall"));
    running.stop().await;
}

#[tokio::test]
async fn a_newer_revision_supersedes_a_build_that_goes_on_and_the_others_do_not_wait() {
    let world = World::new().await;
    let options = world.options();
    // A builder that takes every question and answers none.
    let silent = tokio::net::UnixListener::bind(world.builder_socket()).expect("a socket");
    let answering_nobody = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    world
        .repository
        .write("fleet/apps/slow/src/main.rs", "pub fn main() {}\n")
        .write("fleet/slow.yaml", &sourced("slow", "apps/slow"))
        .push("something that takes long");
    let running = world.run_with(options);
    let builds = || async {
        let built = |status: wasmbed_api::ApplicationStatus| {
            status.conditions.iter().any(|condition| condition.type_ == "Built" && condition.reason == "Building")
        };
        let slow = world.api::<Application>().get_opt("slow").await.expect("readable");
        slow.and_then(|slow| slow.status).is_some_and(built)
    };
    world.until("it is being built", builds).await;
    let hello_has_a_rollout = || async { world.api::<Rollout>().get_opt("hello").await.is_ok_and(|r| r.is_some()) };
    world.until("the other application advances", hello_has_a_rollout).await;
    let newer = world.repository.write("fleet/slow.yaml", &application("slow", &["d1"], 7)).push("ready-made");
    world.until("the newer revision is applied", || is_applied(&world, &newer)).await;
    running.stop().await;
    answering_nobody.abort();
}
