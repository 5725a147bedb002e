//! Gateways' replicas that serve no more. Each holds a Lease while it does; once that lapsed, its devices cannot be reached, and a
//! Gateway without any is served by nobody. Where replicas hold no Leases, on one machine, nothing of this is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use wasmbed_api::labels::{GATEWAY, GATEWAY_MANAGER, gateway_replica_manager};
use wasmbed_api::{
    Device, DevicePhase, Gateway, GatewayPhase, GatewayStatus, LEASE_DURATION, MicroTime, condition_types,
    set_condition,
};

/// How often the Leases are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Devices of a page of a list.
const PAGE: u32 = 500;
/// Writes at once.
const WRITES: usize = 8;
/// The field manager of what is said of devices for a replica that is no more.
const MANAGER: &str = "wasmbed-replicas";

/// A replica, as its Lease tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    lease: String,
    gateway: String,
    name: String,
    renewed: Option<MicroTime>,
    duration: Duration,
    version: Option<String>,
}

impl Replica {
    fn of(lease: Lease) -> Option<Self> {
        let spec = lease.spec.unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Some(Self {
            gateway: lease.metadata.labels?.remove(GATEWAY)?,
            lease: lease.metadata.name?,
            name: spec.holder_identity?,
            renewed: spec.renew_time,
            duration: seconds.map_or(LEASE_DURATION, Duration::from_secs),
            version: lease.metadata.resource_version,
        })
    }
}

/// Which Leases lapsed and which Gateways nobody serves, by a clock of one's own: those of other machines may differ.
#[derive(Debug, Default)]
pub(crate) struct Served {
    leases: BTreeMap<String, (Option<MicroTime>, Instant)>,
    unserved: BTreeMap<String, Instant>,
}

impl Served {
    /// Takes in the Leases there are; gives those that were not renewed for as long as they say.
    pub(crate) fn lapsed(&mut self, replicas: &[Replica], now: Instant) -> Vec<Replica> {
        let names: BTreeSet<&str> = replicas.iter().map(|replica| replica.lease.as_str()).collect();
        self.leases.retain(|name, _| names.contains(name.as_str()));
        let mut lapsed = Vec::new();
        for replica in replicas {
            let seen = self.leases.entry(replica.lease.clone()).or_insert((replica.renewed.clone(), now));
            if seen.0 != replica.renewed {
                *seen = (replica.renewed.clone(), now);
            }
            if now.saturating_duration_since(seen.1) >= replica.duration {
                lapsed.push(replica.clone());
            }
        }
        lapsed
    }

    /// Takes in the Gateways that are declared, and those that a replica serves; gives those that none has for a while.
    pub(crate) fn unserved(
        &mut self,
        declared: &BTreeSet<String>,
        served: &BTreeSet<String>,
        now: Instant,
    ) -> Vec<String> {
        let unserved: BTreeSet<_> = declared.difference(served).cloned().collect();
        self.unserved.retain(|name, _| unserved.contains(name));
        for name in unserved {
            self.unserved.entry(name).or_insert(now);
        }
        let for_long = |(name, since): (&String, &Instant)| {
            (now.saturating_duration_since(*since) >= LEASE_DURATION).then(|| name.clone())
        };
        self.unserved.iter().filter_map(for_long).collect()
    }
}

/// Looks after the replicas of a namespace's Gateways, for ever.
pub(crate) async fn run(client: Client, namespace: String) {
    let mut served = Served::default();
    loop {
        if let Err(error) = look(&client, &namespace, &mut served).await {
            tracing::warn!(%error, "the replicas of gateways cannot be looked after; trying again");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(client: &Client, namespace: &str, served: &mut Served) -> kube::Result<()> {
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let gateways = Api::<Gateway>::namespaced(client.clone(), namespace);
    let listed = leases.list(&ListParams::default().labels(GATEWAY)).await?;
    let replicas: Vec<_> = listed.items.into_iter().filter_map(Replica::of).collect();
    let lapsed = served.lapsed(&replicas, Instant::now());
    for replica in &lapsed {
        tracing::warn!(gateway = replica.gateway, replica = replica.name, "a replica renews its Lease no more");
        take_down(client, namespace, replica).await?;
        forget(&gateways, &replica.gateway, &replica.name).await?;
        let precondition = Preconditions { resource_version: replica.version.clone(), uid: None };
        let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
        // One that was renewed at this moment serves again, and says so itself.
        ignoring(&[404, 409], leases.delete(&replica.lease, &params).await)?;
    }
    let live = replicas.iter().filter(|replica| !lapsed.contains(replica));
    let live: BTreeSet<_> = live.map(|replica| replica.gateway.clone()).collect();
    let declared = gateways.list(&ListParams::default()).await?.items;
    let names = declared.iter().map(ResourceExt::name_any).collect();
    let unserved = served.unserved(&names, &live, Instant::now());
    for gateway in declared.iter().filter(|gateway| unserved.contains(&gateway.name_any())) {
        say_unserved(&gateways, gateway).await?;
    }
    Ok(())
}

/// Says of the devices that were in session at a replica that they cannot be reached.
async fn take_down(client: &Client, namespace: &str, replica: &Replica) -> kube::Result<()> {
    let api = Api::<Device>::namespaced(client.clone(), namespace);
    let mut params = ListParams::default().labels(&format!("{GATEWAY}={}", replica.gateway)).limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        let writes = page.items.iter().filter(|device| is_in_session(device, &replica.name)).map(|device| {
            let api = api.clone();
            async move { ignoring(&[404, 409], say_unreachable(&api, device).await) }
        });
        let written: Vec<_> =
            futures::stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(WRITES).collect().await;
        written.into_iter().collect::<kube::Result<Vec<()>>>()?;
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}

fn is_in_session(device: &Device, replica: &str) -> bool {
    device.status.as_ref().is_some_and(|status| {
        status.phase == Some(DevicePhase::Connected)
            && status.session.as_ref().is_some_and(|session| session.replica == replica)
    })
}

/// Nothing is written over a session that begins meanwhile: the resource version is that of the session that was seen.
async fn say_unreachable(api: &Api<Device>, device: &Device) -> kube::Result<()> {
    let metadata = json!({ "name": device.name_any(), "resourceVersion": device.resource_version() });
    let status = json!({ "phase": DevicePhase::Unreachable });
    apply(api, &device.name_any(), MANAGER, metadata, status).await
}

/// Takes what a replica said of itself out of its Gateway's status: the fields go with their manager.
async fn forget(api: &Api<Gateway>, gateway: &str, replica: &str) -> kube::Result<()> {
    let manager = gateway_replica_manager(replica);
    ignoring(&[404], apply(api, gateway, &manager, json!({ "name": gateway }), json!({})).await)
}

async fn say_unserved(api: &Api<Gateway>, gateway: &Gateway) -> kube::Result<()> {
    let seen = gateway.status.clone().unwrap_or_default();
    let mut conditions = seen.conditions.clone();
    conditions.retain(|condition| condition.type_ == condition_types::READY);
    let before = conditions.clone();
    let message = format!(
        "no process serves this gateway: run one that is started with --name {}, or take the declaration away",
        gateway.name_any()
    );
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let generation = gateway.metadata.generation;
    set_condition(&mut conditions, condition_types::READY, false.into(), "NotServed", message, generation, now);
    if conditions == before && seen.phase == Some(GatewayPhase::Pending) && seen.address.is_none() {
        return Ok(());
    }
    let status = GatewayStatus {
        phase: Some(GatewayPhase::Pending),
        connected_devices: Some(0),
        observed_generation: generation,
        conditions,
        ..GatewayStatus::default()
    };
    let metadata = json!({ "name": gateway.name_any(), "resourceVersion": gateway.resource_version() });
    let written = apply(api, &gateway.name_any(), GATEWAY_MANAGER, metadata, json!(status)).await;
    ignoring(&[404, 409], written)
}

async fn apply<K>(api: &Api<K>, name: &str, manager: &str, metadata: Value, status: Value) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata, "status": status,
    });
    api.patch_status(name, &PatchParams::apply(manager).force(), &Patch::Apply(patch)).await.map(drop)
}

/// Answers that mean that somebody else was faster, whose word counts.
fn ignoring<T>(codes: &[u16], answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if codes.contains(&status.code) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(name: &str, renewed: i64) -> Replica {
        Replica {
            lease: format!("gateway-g-{name}"),
            gateway: "g".into(),
            name: name.into(),
            renewed: Some(MicroTime(Timestamp::from_second(renewed).expect("it is in range"))),
            duration: Duration::from_secs(15),
            version: None,
        }
    }

    fn names(replicas: &[Replica]) -> Vec<&str> {
        replicas.iter().map(|replica| replica.name.as_str()).collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_lease_lapses_when_it_was_not_renewed_for_its_duration_whatever_clock_its_holder_has() {
        let (mut served, start) = (Served::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(served.lapsed(&[replica("a", 1), replica("b", 9_000_000_000)], at(0)).is_empty(), "just seen");
        assert!(served.lapsed(&[replica("a", 2), replica("b", 9_000_000_000)], at(14)).is_empty());
        assert_eq!(names(&served.lapsed(&[replica("a", 2), replica("b", 9_000_000_000)], at(15))), ["b"]);
        assert_eq!(names(&served.lapsed(&[replica("a", 2), replica("b", 3)], at(29))), ["a"], "b renewed it");
    }

    #[test]
    fn a_lease_that_went_and_came_again_is_a_new_one() {
        let (mut served, start) = (Served::default(), Instant::now());
        served.lapsed(&[replica("a", 1)], start);
        served.lapsed(&[], start + Duration::from_secs(10));
        assert!(served.lapsed(&[replica("a", 1)], start + Duration::from_secs(20)).is_empty());
    }

    #[test]
    fn a_gateway_is_unserved_once_it_had_time_to_be_served() {
        let (mut served, start) = (Served::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let declared = set(&["g", "h"]);
        assert!(served.unserved(&declared, &set(&["g"]), at(0)).is_empty());
        assert!(served.unserved(&declared, &set(&["g"]), at(14)).is_empty());
        assert_eq!(served.unserved(&declared, &set(&["g"]), at(15)), ["h"]);
        assert!(served.unserved(&declared, &set(&["g", "h"]), at(20)).is_empty());
        assert!(served.unserved(&set(&["h"]), &set(&[]), at(30)).is_empty(), "it was served a moment ago");
        assert!(served.unserved(&set(&[]), &set(&[]), at(60)).is_empty(), "nobody declares it");
    }
}
