//! Webhooks: of the only reconciler, and of several of which one leads.

mod support;

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::DeleteParams;
use serde_json::json;
use support::declare::application;
use support::http::serve;
use support::world::{FLEET, Running, World};
use wasmbed_api::Fleet;
use wasmbed_reconciler::Options;

/// A fleet whose repository is asked every hour, and whose webhooks name `t0ken`.
async fn world() -> World {
    let world = World::new().await;
    let secret: Secret = serde_json::from_value(
        json!({ "metadata": { "name": "hook" }, "stringData": {}, "data": { "token": "dDBrZW4=" } }),
    )
    .expect("a Secret");
    world.api::<Secret>().create(&Default::default(), &secret).await.expect("created");
    // Over HTTP nothing is watched, and the interval is an hour: only the webhook can tell.
    let url = format!("http://{}/fleet.git", serve(world.repository.bare(), false).await);
    world
        .fleet_spec(json!({ "url": url, "path": "fleet", "interval": "1h", "webhookTokenRef": { "name": "hook" } }))
        .await;
    world
}

/// Starts a reconciler, one of several if it has a name; gives also where it answers webhooks.
async fn start(world: &World, name: Option<&str>) -> (Running, SocketAddr) {
    let (bound, mut answering) = tokio::sync::watch::channel(None);
    let options = world.options();
    let running = world.run_with(Options {
        cache: options.cache.join(name.unwrap_or("only")),
        replica: name.map(ToOwned::to_owned),
        hooks: Some("127.0.0.1:0".parse().expect("an address")),
        hooks_bound: Some(bound),
        ..options
    });
    let answering = tokio::time::timeout(support::PATIENCE, answering.wait_for(Option::is_some)).await;
    let address = answering.expect("webhooks are answered").expect("it runs").expect("waited for");
    (running, address)
}

async fn is_applied(world: &World, revision: &str) -> bool {
    world.status().await.applied_revision.as_deref() == Some(revision)
}

fn push(world: &World, number: u8) -> String {
    world.repository.write("fleet/hello.yaml", &application("hello", &["d1"], number)).push(&number.to_string())
}

#[tokio::test]
async fn a_webhook_that_knows_the_token_makes_it_ask_at_once() {
    let world = world().await;
    let (running, address) = start(&world, None).await;
    let head = world.repository.head();
    world.until("the first revision is applied", || is_applied(&world, &head)).await;
    let second = push(&world, 2);
    assert_eq!(post(address, "/hooks/wrong").await, "404");
    // A pass that comes after the wrong call, and sees no more than was fetched before.
    world.wipe_status::<Fleet>(FLEET).await;
    world.until("a pass is over", || is_applied(&world, &head)).await;
    assert_eq!(world.status().await.observed_revision.as_deref(), Some(&*head), "nobody asked the repository");
    assert_eq!(post(address, "/hooks/t0ken").await, "202");
    world.until("the second revision is applied", || is_applied(&world, &second)).await;
    assert!(words(&world).await.is_empty(), "there is nobody else to leave word for");
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_at_a_reconciler_that_does_not_lead_makes_the_leader_ask_at_once() {
    let world = world().await;
    let (a, at_a) = start(&world, Some("a")).await;
    let head = world.repository.head();
    world.until("a leads", || is_applied(&world, &head)).await;
    let (b, at_b) = start(&world, Some("b")).await;
    for (number, address) in [(2, at_b), (3, at_b), (4, at_a)] {
        let revision = push(&world, number);
        assert_eq!(post(address, "/hooks/wrong").await, "404");
        assert_eq!(post(address, "/hooks/t0ken").await, "202");
        world.until("the leader applied it", || is_applied(&world, &revision)).await;
    }
    assert_eq!(words(&world).await, ["wasmbed-hooks"]);

    // The other one leads, and has heard of nothing before.
    a.stop().await;
    let fifth = push(&world, 5);
    world.until("b leads", || is_applied(&world, &fifth)).await;
    let sixth = push(&world, 6);
    assert_eq!(post(at_b, "/hooks/t0ken").await, "202");
    world.until("b applied it", || is_applied(&world, &sixth)).await;
    b.stop().await;
}

#[tokio::test]
async fn without_a_token_nobody_is_heard() {
    let world = world().await;
    world.api::<Secret>().delete("hook", &DeleteParams::default()).await.expect("deleted");
    let (running, address) = start(&world, None).await;
    for path in ["/hooks/t0ken", "/hooks/"] {
        assert_eq!(post(address, path).await, "404");
    }
    running.stop().await;
}

/// ConfigMaps that are no modules.
async fn words(world: &World) -> Vec<String> {
    let names = world.names::<ConfigMap>().await;
    names.into_iter().filter(|name| name.starts_with("wasmbed-hooks")).collect()
}

async fn post(address: std::net::SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer.split(' ').nth(1).expect("a status").to_owned()
}
