//! The Gateway's own status.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use wasmbed_api::labels::gateway_replica_manager;
use wasmbed_api::{Gateway, GatewayPhase, GatewayReplica, GatewayStatus, condition_types, set_condition};

use crate::context::{Context, FIELD_MANAGER, now};

/// Least time between two writes: thousands of devices that connect at once are one change.
const ROUND: Duration = Duration::from_millis(500);

/// How often keys that nobody hears any more are looked for, and a failed write is tried again.
const REVIEW: Duration = Duration::from_secs(30);

/// Writes the status as it changes, for ever.
pub(crate) async fn run(context: &Context) {
    context.ready().await;
    let mut told = None;
    loop {
        let round = if write(context, &mut told).await { ROUND } else { Duration::ZERO };
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

/// Writes the status, if the API says otherwise; whether it was. `told`: what this replica said of itself last.
async fn write(context: &Context, told: &mut Option<GatewayStatus>) -> bool {
    let Some(declared) = context.declared.borrow().clone() else {
        return false;
    };
    let seen = declared.status.clone().unwrap_or_default();
    let api = Api::<Gateway>::namespaced(context.client.clone(), &context.namespace);
    let Some(replica) = &context.replica else {
        let wanted = GatewayStatus { pending: context.pending().to_status(), ..status(context, &declared, &seen) };
        return apply_new(&api, &declared, &seen, &wanted).await;
    };
    let own = own(context, replica, &seen);
    let is_there = own.replicas.iter().all(|replica| seen.replicas.contains(replica))
        && own.pending.iter().all(|pending| seen.pending.contains(pending));
    let is_told = is_there && told.as_ref() == Some(&own);
    if !is_told && apply(&api, &context.name, &gateway_replica_manager(replica), &own).await {
        *told = Some(own);
    }
    // What is common to all replicas is the same whichever writes it.
    let wanted = GatewayStatus {
        pending: seen.pending.clone(),
        replicas: seen.replicas.clone(),
        ..status(context, &declared, &seen)
    };
    apply_common(&api, &declared, &seen, wanted).await || !is_told
}

/// Says in the status that this process serves no more.
pub(crate) async fn write_last(context: &Context) {
    let Some(declared) = context.declared.borrow().clone() else {
        return;
    };
    let seen = declared.status.clone().unwrap_or_default();
    let api = Api::<Gateway>::namespaced(context.client.clone(), &context.namespace);
    let unserved = GatewayStatus {
        phase: Some(GatewayPhase::Pending),
        conditions: ready(&declared, &seen, false, "NotServed", "no process serves this gateway".to_owned()),
        connected_devices: Some(0),
        pending: context.pending().to_status(),
        ..status(context, &declared, &seen)
    };
    let Some(replica) = &context.replica else {
        apply_new(&api, &declared, &seen, &unserved).await;
        return;
    };
    apply(&api, &context.name, &gateway_replica_manager(replica), &GatewayStatus::default()).await;
    if seen.replicas.iter().all(|other| other.name == *replica) {
        apply_common(&api, &declared, &seen, GatewayStatus { replicas: Vec::new(), ..unserved }).await;
    }
}

/// What a replica alone says.
fn own(context: &Context, replica: &str, seen: &GatewayStatus) -> GatewayStatus {
    let connected_devices = count(context.sessions.opened());
    let mut pending = context.pending().to_status();
    let others = seen.pending.iter().filter(|seen| pending.iter().all(|own| own.public_key != seen.public_key)).count();
    pending.truncate(context.limits.pending.saturating_sub(others));
    GatewayStatus {
        replicas: vec![GatewayReplica { name: replica.to_owned(), connected_devices }],
        pending,
        ..GatewayStatus::default()
    }
}

/// Applies what all replicas say alike, if `seen` says otherwise; whether it did. Each tells of itself elsewhere.
async fn apply_common(api: &Api<Gateway>, declared: &Gateway, seen: &GatewayStatus, wanted: GatewayStatus) -> bool {
    if says(seen, &GatewayStatus { pending: seen.pending.clone(), replicas: seen.replicas.clone(), ..wanted.clone() }) {
        return false;
    }
    let common = GatewayStatus { pending: Vec::new(), replicas: Vec::new(), ..wanted };
    apply(api, &declared.name_any(), FIELD_MANAGER, &common).await;
    true
}

async fn apply_new(api: &Api<Gateway>, declared: &Gateway, seen: &GatewayStatus, wanted: &GatewayStatus) -> bool {
    if says(seen, wanted) {
        return false;
    }
    apply(api, &declared.name_any(), FIELD_MANAGER, wanted).await;
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
    apply_new(api, declared, &seen, &wanted).await;
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

/// Applies a status; whether the API took it.
async fn apply(api: &Api<Gateway>, name: &str, manager: &str, status: &GatewayStatus) -> bool {
    let patch = json!({
        "apiVersion": <Gateway as kube::Resource>::api_version(&()),
        "kind": <Gateway as kube::Resource>::kind(&()),
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    match api.patch_status(name, &params, &Patch::Apply(patch)).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(gateway = name, %error, "cannot write the Gateway's status; trying again");
            false
        }
    }
}

/// All but the pending keys, which are one process' own.
fn status(context: &Context, declared: &Gateway, seen: &GatewayStatus) -> GatewayStatus {
    let (phase, reason, message) = match &*context.identity.borrow() {
        _ if declared.spec.is_suspended() => (GatewayPhase::Stopped, "Suspended", "spec.suspend is true".to_owned()),
        Some(Err(error)) => (GatewayPhase::Failed, "NoIdentity", error.to_string()),
        None => (GatewayPhase::Pending, "Starting", "the gateway reads its identity".to_owned()),
        Some(Ok(_)) => (GatewayPhase::Running, "Serving", format!("devices connect to {}", context.address)),
    };
    let others = seen.replicas.iter().filter(|replica| Some(&replica.name) != context.replica.as_ref());
    let elsewhere = others.map(|replica| replica.connected_devices).fold(0, u32::saturating_add);
    GatewayStatus {
        phase: Some(phase),
        address: Some(context.address.clone()),
        connected_devices: Some(count(context.sessions.opened()).saturating_add(elsewhere)),
        enrolled_devices: Some(count(context.directory().enrolled())),
        observed_generation: declared.metadata.generation,
        conditions: ready(declared, seen, phase == GatewayPhase::Running, reason, message),
        ..GatewayStatus::default()
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
