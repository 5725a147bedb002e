//! The Gateway's own status.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use wasmbed_api::{Gateway, GatewayPhase, GatewayStatus, condition_types, set_condition};

use crate::context::{Context, FIELD_MANAGER, now};

/// Least time between two writes: thousands of devices that connect at once are one change.
const ROUND: Duration = Duration::from_millis(500);

/// How often keys that nobody hears any more are looked for, and a failed write is tried again.
const REVIEW: Duration = Duration::from_secs(30);

/// Writes the status as it changes, for ever.
pub(crate) async fn run(context: &Context) {
    context.ready().await;
    loop {
        let round = if write(context, true).await { ROUND } else { Duration::ZERO };
        tokio::time::sleep(round).await;
        tokio::select! {
            () = context.summary_changed.notified() => {}
            () = tokio::time::sleep(REVIEW) => {
                let directory = context.directory();
                context.pending().expire(now().at);
                let mut board = context.board();
                directory.enrolling().for_each(|device| board.mark(device));
                context.board_changed.notify_one();
            }
        }
    }
}

/// Writes the status, if the API says otherwise; whether it was. `serving`: whether this process goes on.
pub(crate) async fn write(context: &Context, serving: bool) -> bool {
    let Some(declared) = context.declared.borrow().clone() else {
        return false;
    };
    let seen = declared.status.clone().unwrap_or_default();
    let wanted = status(context, &declared, &seen, serving);
    if says(&seen, &wanted) {
        return false;
    }
    let api = Api::<Gateway>::namespaced(context.client.clone(), &context.namespace);
    apply(&api, &context.name, &wanted).await;
    true
}

/// Says in the status why nobody serves this gateway, unless it says so already.
pub(crate) async fn write_unserved(api: &Api<Gateway>, declared: &Gateway, why: &str) {
    let seen = declared.status.clone().unwrap_or_default();
    let wanted = GatewayStatus {
        phase: Some(GatewayPhase::Failed),
        address: None,
        connected_devices: Some(0),
        observed_generation: declared.metadata.generation,
        conditions: ready(declared, &seen, false, "CannotListen", why.to_owned()),
        ..seen.clone()
    };
    if !says(&seen, &wanted) {
        apply(api, &declared.name_any(), &wanted).await;
    }
}

/// Whether `seen` says what is ours to say as `wanted` does. Conditions of others are theirs to write.
fn says(seen: &GatewayStatus, wanted: &GatewayStatus) -> bool {
    let ours = seen.conditions.iter().filter(|condition| condition.type_ == condition_types::READY).cloned().collect();
    *wanted == GatewayStatus { conditions: ours, ..seen.clone() }
}

/// Our conditions, once the gateway is as ready as said.
fn ready(
    declared: &Gateway,
    seen: &GatewayStatus,
    is_ready: bool,
    reason: &'static str,
    message: String,
) -> Vec<Condition> {
    let mut conditions = seen.conditions.clone();
    conditions.retain(|condition| condition.type_ == condition_types::READY);
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let generation = declared.metadata.generation;
    set_condition(&mut conditions, condition_types::READY, is_ready.into(), reason, message, generation, now);
    conditions
}

async fn apply(api: &Api<Gateway>, name: &str, status: &GatewayStatus) {
    let patch = json!({
        "apiVersion": <Gateway as kube::Resource>::api_version(&()),
        "kind": <Gateway as kube::Resource>::kind(&()),
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    if let Err(error) = api.patch_status(name, &params, &Patch::Apply(patch)).await {
        tracing::warn!(gateway = name, %error, "cannot write the Gateway's status; trying again");
    }
}

fn status(context: &Context, declared: &Gateway, seen: &GatewayStatus, serving: bool) -> GatewayStatus {
    let count = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX));
    let (phase, reason, message) = match &*context.identity.borrow() {
        _ if !serving => (GatewayPhase::Pending, "NotServed", "no process serves this gateway".to_owned()),
        _ if declared.spec.is_suspended() => (GatewayPhase::Stopped, "Suspended", "spec.suspend is true".to_owned()),
        Some(Err(error)) => (GatewayPhase::Failed, "NoIdentity", error.to_string()),
        None => (GatewayPhase::Pending, "Starting", "the gateway reads its identity".to_owned()),
        Some(Ok(_)) => (GatewayPhase::Running, "Serving", format!("devices connect to {}", context.address)),
    };
    let conditions = ready(declared, seen, phase == GatewayPhase::Running, reason, message);
    GatewayStatus {
        phase: Some(phase),
        address: Some(context.address.clone()),
        connected_devices: count(context.sessions.opened()),
        enrolled_devices: count(context.directory().enrolled()),
        pending: context.pending().to_status(),
        observed_generation: declared.metadata.generation,
        conditions,
    }
}
