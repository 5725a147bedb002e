//! Webhooks on a cluster: whichever of the chart's reconcilers is called, with the rights that it has there.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmbed_api::Fleet;
use wasmbed_control_plane_testing::Options;

use crate::edition::TENANT;
use crate::http::serve;
use crate::installation::Installation;
use crate::lines::DEADLINE;
use crate::pod::Pod;
use crate::repository::Repository;

const VALUES: &str = "
tls:
  mode: secret
  ca: {secret: streams-ca}
  callersCa: {secret: callers-ca}
fleets:
  - namespace: plant-a
    name: plant-a
    createNamespace: true
    create: false
    webhookTokenRef: {name: webhook}
";
const GATEWAY: &str = "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata: {name: gateway-1}\nspec: {}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_at_any_replica_makes_the_leader_ask_at_once() {
    let Some(mut installation) = Installation::of(VALUES, &[TENANT], Options::default()).await else { return };
    let admin = installation.admin.clone();
    let repository = Repository::create(installation.folder());
    repository.write("gateway.yaml", GATEWAY);
    let first = repository.push("A gateway");
    // Over HTTP nothing is watched, and the interval is a day: only a webhook can tell.
    let url = format!("http://{}/fleet.git", serve(repository.bare.clone(), false).await);
    let token = json!({ "metadata": { "name": "webhook" }, "stringData": { "token": "t0ken" } });
    let token: Secret = serde_json::from_value(token).unwrap();
    Api::<Secret>::namespaced(admin.clone(), TENANT).create(&PostParams::default(), &token).await.unwrap();
    let fleet = json!({
        "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": TENANT },
        "spec": { "url": url, "interval": "24h", "webhookTokenRef": { "name": "webhook" } },
    });
    let fleets = Api::<Fleet>::namespaced(admin.clone(), TENANT);
    fleets.patch(TENANT, &PatchParams::apply("kubectl"), &Patch::Apply(fleet)).await.unwrap();

    let reconcilers = installation.pods.start_all("wasmbed-reconciler-plant-a").await;
    let leader = leader(&admin).await;
    let (leads, waits): (Vec<_>, Vec<_>) = reconcilers.iter().partition(|pod| leader.starts_with(&pod.name));
    let ([leads], [waits]) = (leads.as_slice(), waits.as_slice()) else { panic!("one of two leads") };

    let maps = Api::<ConfigMap>::namespaced(admin.clone(), TENANT);
    applies(&fleets, &first).await;
    for (number, pod, word_was_left) in [(2, leads, false), (3, waits, true), (4, waits, true), (5, leads, true)] {
        repository.write(&format!("{number}.yaml"), &GATEWAY.replace("-1", &format!("-{number}")));
        let revision = repository.push("Another gateway");
        assert_eq!(call(pod, "wrong").await, "404");
        assert_eq!(call(pod, "t0ken").await, "202", "{}", pod.log());
        assert_eq!(maps.get_opt("wasmbed-hooks").await.unwrap().is_some(), word_was_left);
        applies(&fleets, &revision).await;
    }
}

/// Waits until the leader brought a revision about.
async fn applies(fleets: &Api<Fleet>, revision: &str) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let status = fleets.get(TENANT).await.unwrap().status.unwrap_or_default();
        if status.applied_revision.as_deref() == Some(revision) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{revision} is not applied: {status:?}");
        // Asked again, not slept over: the condition above decides.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Who holds the reconcilers' Lease, once one does.
async fn leader(admin: &Client) -> String {
    let leases = Api::<Lease>::namespaced(admin.clone(), TENANT);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let lease = leases.get_opt("wasmbed-reconciler").await.unwrap();
        if let Some(holder) = lease.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty()) {
            return holder;
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody leads");
        // Asked again, not slept over: the condition above decides.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What a pod answers to a webhook with a token.
async fn call(pod: &Pod, token: &str) -> String {
    let mut stream = TcpStream::connect((pod.address, 8080)).await.unwrap();
    let request = format!("POST /hooks/{token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}
