//! Writes statuses where they differ from what is.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use wasmbed_api::{Condition, FleetCounts, FleetStatus, Truth, condition_types, set_condition};

use super::bring::{CONCURRENT_WRITES, Standing, spec_of};
use super::{Reconciler, Summary};
use crate::cluster::{FleetView, View, Watched};
use crate::declarations::Declarations;
use crate::plan::{Kind, ObjectId};
use crate::status::{ApplicationFacts, FleetFacts, PlainFacts};
use crate::tally::Targeting;
use crate::{rollout, status};

/// What reporting needs from the rest of the pass, and what it need not do twice.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) standings: BTreeMap<Arc<str>, Standing>,
    /// The devices' generation and the declarations whose conditions are written.
    devices: Option<(u64, usize)>,
}

type Write = (Watched, Arc<str>, Value);

impl Reconciler {
    pub(super) async fn report(&mut self, name: &Arc<str>, fleet: &FleetView, summary: &mut Summary) {
        let now = Timestamp::now();
        let mut writes = Vec::new();
        let declarations = self.accepted.as_ref().map(|accepted| Arc::clone(accepted.loaded.declarations()));
        if !fleet.spec.is_suspended() {
            self.application_statuses(name, declarations.as_deref(), now, &mut writes);
            self.rollout_statuses(name, declarations.as_deref(), &mut writes);
            self.plain_statuses(name, declarations.as_ref(), now, &mut writes);
        }
        self.write(writes, summary).await;
        if !summary.failures.is_empty() {
            // What could not be written is looked at again.
            self.reported.devices = None;
        }
        let status = self.fleet_status(name, fleet, summary, now);
        let before = FleetStatus { conditions: sorted(&fleet.status.conditions), ..fleet.status.clone() };
        if status != before {
            self.write(vec![(Watched::Fleets, Arc::clone(name), body(&status))], summary).await;
        }
    }

    /// Says on every Fleet that there may only be one.
    pub(super) async fn report_fleet_count(&self) {
        let fleets = self.cluster.view().fleets.clone();
        for (name, fleet) in &fleets {
            let mut status = fleet.status.clone();
            let message = format!("the namespace has {} Fleets; delete all but one", fleets.len());
            let generation = fleet.generation;
            set_condition(
                &mut status.conditions,
                condition_types::READY,
                Truth::False,
                "ManyFleets",
                message,
                generation,
                Timestamp::now(),
            );
            if status != fleet.status
                && let Err(error) = self.cluster.apply_status(Watched::Fleets, name, &body(&status)).await
            {
                tracing::warn!(%error, "the status of a Fleet cannot be written");
            }
        }
    }

    async fn write(&self, writes: Vec<Write>, summary: &mut Summary) {
        // Boxed, because the compiler cannot tell that unboxed ones of many lifetimes may move between threads.
        let applied = writes.iter().map(|(what, name, status)| {
            async move { (*what, name, self.cluster.apply_status(*what, name, status).await) }.boxed()
        });
        let applied: Vec<_> = applied.collect();
        let results: Vec<_> = futures::stream::iter(applied).buffer_unordered(CONCURRENT_WRITES).collect().await;
        for (what, name, result) in results {
            if let Err(error) = result {
                tracing::warn!(?what, %name, %error, "a status cannot be written");
                summary.failures.push(format!("status of {name}: {error}"));
            }
        }
    }

    fn application_statuses(
        &mut self,
        fleet: &str,
        declarations: Option<&Declarations>,
        now: Timestamp,
        writes: &mut Vec<Write>,
    ) {
        let view = self.cluster.view();
        let head = self.accepted.as_ref().map(|accepted| accepted.revision.id.to_string()).unwrap_or_default();
        for (name, application) in &view.applications {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            let in_git = application.fleet.as_deref() == Some(fleet);
            let standing = self.reported.standings.get(name).filter(|_| in_git);
            if in_git && standing.is_none() {
                // Nothing is known of it: it waits for a revision, or for its deletion.
                continue;
            }
            let work = self.works.get(name);
            let spec = work.and_then(|work| spec_of(&work.object)).unwrap_or(&application.spec);
            let rollout = view.rollouts.get(name).map(|rollout| &*rollout.spec).filter(|_| in_git);
            let release = rollout.and_then(|rollout| rollout.candidate.or(rollout.stable));
            let tally = match view.objects.get(&id).filter(|_| in_git) {
                Some(object) => {
                    let of = Targeting { fleet, application: name, spec, fingerprint: object.fingerprint };
                    self.targets.tally(&view, of, release.as_ref())
                }
                None => Arc::default(),
            };
            let revision = release.and_then(|digest| view.releases.get(&digest)?.revision.as_deref());
            let status = status::application(&ApplicationFacts {
                spec,
                before: &application.status,
                generation: application.generation,
                build: standing.map(|standing| &standing.build),
                refused: standing.and_then(|standing| standing.refused.as_deref()),
                rollout,
                counts: tally.counts,
                running_on: tally.running_on.iter().filter_map(|name| name.parse().ok()).collect(),
                error: tally.error.clone(),
                revision,
                head: &head,
                deprecated: declarations.and_then(|d| d.deprecated(&id)),
                now,
            });
            let mut before = application.status.clone();
            before.conditions = sorted(&before.conditions);
            if status != before {
                writes.push((Watched::Applications, Arc::clone(name), body(&status)));
            }
        }
    }

    fn rollout_statuses(&mut self, fleet: &str, declarations: Option<&Declarations>, writes: &mut Vec<Write>) {
        let Some(declarations) = declarations else { return };
        let view = self.cluster.view();
        for (name, spec) in declarations.applications() {
            let id = ObjectId { kind: Kind::Application, name: Arc::clone(name) };
            let (Some(rollout), Some(object)) = (view.rollouts.get(name), view.objects.get(&id)) else { continue };
            let there = view.applications.get(name).map_or(spec, |application| &*application.spec);
            let spec = self.works.get(name).and_then(|work| spec_of(&work.object)).unwrap_or(there);
            let release = rollout.spec.candidate.or(rollout.spec.stable);
            let of = Targeting { fleet, application: name, spec, fingerprint: object.fingerprint };
            let counts = self.targets.tally(&view, of, release.as_ref()).counts;
            let status = rollout::status(&rollout.spec, &counts, rollout.generation);
            if status != rollout.status {
                writes.push((Watched::Rollouts, Arc::clone(name), body(&status)));
            }
        }
    }

    /// Conditions on Devices and Gateways.
    fn plain_statuses(
        &mut self,
        fleet: &str,
        declarations: Option<&Arc<Declarations>>,
        now: Timestamp,
        writes: &mut Vec<Write>,
    ) {
        let view = self.cluster.view();
        for (name, gateway) in &view.gateways {
            let id = ObjectId { kind: Kind::Gateway, name: Arc::clone(name) };
            let conditions = status::plain(&PlainFacts {
                before: &gateway.status.conditions,
                generation: gateway.generation,
                in_git: gateway.fleet.as_deref() == Some(fleet),
                deprecated: declarations.and_then(|d| d.deprecated(&id)),
                cannot_run: None,
                now,
            });
            writes.extend(conditions.map(|c| (Watched::Gateways, Arc::clone(name), json!({ "conditions": c }))));
        }
        let seen = (view.devices_generation, declarations.map_or(0, |d| Arc::as_ptr(d) as usize));
        if self.reported.devices == Some(seen) {
            return;
        }
        for (name, device) in &view.devices {
            let id = ObjectId { kind: Kind::Device, name: Arc::clone(name) };
            let in_git = device.fleet.as_deref() == Some(fleet);
            let conditions = status::plain(&PlainFacts {
                before: &device.conditions,
                generation: device.generation,
                in_git,
                deprecated: declarations.and_then(|d| d.deprecated(&id)),
                cannot_run: status::cannot_run(device.board),
                now,
            });
            writes.extend(conditions.map(|c| (Watched::Devices, Arc::clone(name), json!({ "conditions": c }))));
        }
        self.reported.devices = Some(seen);
    }

    fn fleet_status(&self, name: &str, fleet: &FleetView, summary: &Summary, now: Timestamp) -> FleetStatus {
        let view = self.cluster.view();
        let accepted = self.accepted.as_ref().map(|accepted| accepted.revision.id.to_string());
        let working_on = accepted.as_deref().filter(|id| summary.applied.as_deref() != Some(*id));
        status::fleet(FleetFacts {
            before: &fleet.status,
            generation: fleet.generation,
            suspended: fleet.spec.is_suspended(),
            observed: summary.observed.clone().or_else(|| fleet.status.observed_revision.clone()),
            applied: summary.applied.clone().or_else(|| fleet.status.applied_revision.clone()),
            working_on,
            fetched: self.heard.at,
            source_error: self.heard.error.clone(),
            held: summary.held.clone(),
            counts: count(&view, name),
            failures: &summary.failures,
            now,
        })
    }
}

fn count(view: &View, fleet: &str) -> FleetCounts {
    let ours = |of: &Option<String>| of.as_deref() == Some(fleet);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let devices = || view.devices.values().filter(|device| ours(&device.fleet));
    FleetCounts {
        devices: number(devices().count()),
        connected: number(devices().filter(|device| device.connected).count()),
        applications: number(view.applications.values().filter(|a| ours(&a.fleet)).count()),
        gateways: number(view.gateways.values().filter(|g| ours(&g.fleet)).count()),
        held: 0,
    }
}

fn sorted(conditions: &[Condition]) -> Vec<Condition> {
    let mut sorted = conditions.to_vec();
    sorted.sort_by(|a, b| a.type_.cmp(&b.type_));
    sorted
}

fn body(status: &impl Serialize) -> Value {
    serde_json::to_value(status).expect("a status has string keys and no other way to fail")
}
