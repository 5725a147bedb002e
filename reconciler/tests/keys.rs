//! The release key: waited for, replaced, stolen.

mod support;

use kube::api::PostParams;
use serde_json::json;
use support::declare::application;
use support::world::{FLEET, World};
use wasmbed_api::{Digest, Release, Rollout, labels};
use wasmbed_protocol::SigningKey;

/// Waits until the application has been offered a Release, other than `not`.
async fn candidate(world: &World, not: Option<Digest>) -> Digest {
    let offered = async || {
        let rollout = world.api::<Rollout>().get_opt("hello").await.expect("read")?;
        rollout.spec.candidate.filter(|candidate| Some(*candidate) != not)
    };
    world.until("a release is offered", async || offered().await.is_some()).await;
    offered().await.expect("seen just now")
}

/// Waits until the application's stable Release is this one.
async fn runs_everywhere(world: &World, release: Digest) {
    let runs = json!([{ "name": "hello", "release": release, "phase": "Running" }]);
    world.device_reports("d1", "Connected", runs.clone()).await;
    world.device_reports("d2", "Connected", runs).await;
    world.until("it is stable", async || world.rollout("hello").await.spec.stable == Some(release)).await;
}

#[tokio::test]
async fn without_a_key_everything_is_held_and_says_what_to_do_and_with_one_it_goes_on() {
    let world = World::new().await;
    let running = world.run_with(world.options_with_secret());
    let held = async || world.status().await.held.into_iter().find(|held| held.reason == "ReleaseRefused");
    world.until("it is held", async || held().await.is_some()).await;
    let message = held().await.expect("seen just now").message;
    assert!(message.contains(&format!("Secret {FLEET}/release; `wasmbed keys publish` writes it")), "{message}");
    assert!(world.releases().await.is_empty());

    world.write_key(1).await;
    let release = candidate(&world, None).await;
    assert!(world.is_signed_by(&release, 1).await);
    world.until("nothing is held", async || held().await.is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_replaced_key_signs_again_what_is_offered_and_what_is_stable_and_makes_no_new_release() {
    let world = World::new().await;
    world.write_key(1).await;
    let running = world.run_with(world.options_with_secret());
    let first = candidate(&world, None).await;
    runs_everywhere(&world, first).await;
    world.repository.write("fleet/hello.yaml", &application("hello", &["d1", "d2"], 2)).push("second");
    let second = candidate(&world, Some(first)).await;
    assert!(world.is_signed_by(&first, 1).await && world.is_signed_by(&second, 1).await);

    world.write_key(2).await;
    for release in [first, second] {
        world.until("it is signed again", async || world.is_signed_by(&release, 2).await).await;
    }
    assert_eq!(world.releases().await.len(), 2);
    assert_eq!(world.status().await.held, []);
    running.stop().await;

    // One that remembers nothing, and another key.
    world.write_key(3).await;
    let running = world.run_with(world.options_with_secret());
    for release in [first, second] {
        world.until("it is signed again", async || world.is_signed_by(&release, 3).await).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn what_a_stolen_key_signed_is_not_signed_again() {
    let world = World::new().await;
    world.write_key(1).await;
    let running = world.run_with(world.options_with_secret());
    let good = candidate(&world, None).await;
    runs_everywhere(&world, good).await;

    // A thief of the release key who may write to the cluster, too.
    let mut forged: Release = world.api().get(&good.to_string()).await.expect("the release");
    let (_, mut content) = wasmbed_protocol::Release::read_unverified(&forged.spec.cose.0).expect("a Release");
    content.config.args = vec!["--evil".to_owned()];
    forged.spec.cose.0 = content.sign(&SigningKey::from_seed(&[1; 32])).expect("signed");
    let evil = Digest::from_bytes(content.digest().expect("short").0);
    forged.metadata =
        kube::core::ObjectMeta { name: Some(evil.to_string()), labels: forged.metadata.labels, ..Default::default() };
    assert_eq!(forged.metadata.labels.as_ref().map(|all| all[labels::FLEET].as_str()), Some(FLEET));
    world.api::<Release>().create(&PostParams::default(), &forged).await.expect("created");
    assert!(world.is_signed_by(&evil, 1).await);
    world.patch::<Rollout>("hello", json!({ "spec": { "stable": evil } })).await;

    world.write_key(2).await;
    world.until("the good one is signed again", async || world.is_signed_by(&good, 2).await).await;
    let held = async || world.status().await.held.into_iter().find(|held| held.reason == "ReleaseNotSignedAgain");
    world.until("the forged one is held", async || held().await.is_some()).await;
    let message = held().await.expect("seen just now").message;
    assert!(
        message.contains(&evil.to_string()) && message.contains(&format!("that makes Release {good} now")),
        "{message}"
    );
    assert!(world.is_signed_by(&evil, 1).await, "it stays as it was");
    running.stop().await;
}
