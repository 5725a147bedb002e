//! The Lease of a process that serves a Gateway beside others. Once it lapses, a reconciler says of the devices that were in session
//! here that they cannot be reached.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use wasmbed_api::labels::{GATEWAY, gateway_lease, gateway_replica_manager};
use wasmbed_api::{LEASE_DURATION, MicroTime};

use crate::context::Context;

/// Between two renewals: a Lease outlives two that fail.
const RENEWAL: Duration = Duration::from_secs(LEASE_DURATION.as_secs() / 3);

/// Renews the Lease, for ever; does nothing for the only process of a Gateway.
pub(crate) async fn hold(context: &Context) {
    let Some(replica) = &context.replica else {
        return std::future::pending().await;
    };
    let (api, name) = (leases(context), gateway_lease(&context.name, replica));
    let acquired = MicroTime(Timestamp::now());
    let params = PatchParams::apply(&gateway_replica_manager(replica)).force();
    let mut is_held = false;
    loop {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": name, "labels": { GATEWAY: context.name } },
            "spec": {
                "holderIdentity": replica,
                "leaseDurationSeconds": LEASE_DURATION.as_secs(),
                "acquireTime": acquired,
                "renewTime": MicroTime(Timestamp::now()),
            },
        });
        match api.patch(&name, &params, &Patch::Apply(lease)).await {
            Ok(_) if !is_held => {
                is_held = true;
                // Another process may have taken down what this one said while the Lease was lapsed.
                context.summary_changed.notify_one();
            }
            Ok(_) => {}
            Err(error) => {
                is_held = false;
                tracing::warn!(gateway = context.name, replica, %error, "cannot renew the Lease; trying again");
            }
        }
        tokio::time::sleep(RENEWAL).await;
    }
}

/// Gives the Lease up.
pub(crate) async fn release(context: &Context) {
    let Some(replica) = &context.replica else {
        return;
    };
    let name = gateway_lease(&context.name, replica);
    match leases(context).delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => tracing::warn!(gateway = context.name, replica, %error, "cannot give the Lease up; it lapses"),
        Ok(_) => {}
    }
}

fn leases(context: &Context) -> Api<Lease> {
    Api::namespaced(context.client.clone(), &context.namespace)
}
