//! The contract, held by a server of one's choice: `WASMBED_CONTRACT_KUBECONFIG=... cargo test --test any_endpoint`.
#![allow(clippy::unwrap_used)]

mod contract;

use std::path::Path;

use contract::Door;
use futures::FutureExt as _;
use serde_json::json;

type Run = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! list {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        vec![$($(
            (stringify!($name), (|door: Door| -> Run { Box::pin(contract::$module::$name(door)) }) as fn(Door) -> Run),
        )*)*]
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_holds_at_the_endpoint() {
    let Ok(path) = std::env::var("WASMBED_CONTRACT_KUBECONFIG") else {
        eprintln!("skipped: WASMBED_CONTRACT_KUBECONFIG names no kubeconfig of a server to hold the contract against");
        return;
    };
    let kubeconfig = kube::config::Kubeconfig::read_from(Path::new(&path)).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let root = Door { client, namespace: "default".into() };
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let made = root.post(definitions, &contract::door::widget_definition()).await;
    assert!(matches!(made.code, 201 | 405 | 409), "{}", made.text);
    root.until("/apis/contract.wasmbed.test/v1/widgets", |answer| answer.code == 200).await;
    let mut failed = Vec::new();
    for (index, (name, scenario)) in scenarios!(list).into_iter().enumerate() {
        let namespace = format!("contract-{}-{index}", std::process::id());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        root.post("/api/v1/namespaces", &object).await.ok();
        let door = Door { client: root.client.clone(), namespace: namespace.clone() };
        let outcome = std::panic::AssertUnwindSafe(scenario(door)).catch_unwind().await;
        eprintln!("{name}: {}", if outcome.is_ok() { "holds" } else { "FAILS" });
        if outcome.is_err() {
            failed.push(name);
        }
        root.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await;
    }
    assert!(failed.is_empty(), "{failed:?}");
}
