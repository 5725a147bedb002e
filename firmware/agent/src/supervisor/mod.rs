//! What should run against what runs.
//!
//! A pure state machine: Assignments, finished installations, completions of saves and events of runs go in;
//! effects come out. It is level-triggered: whatever happened, [`Application::reconcile`] compares what is assigned
//! with what is there and takes the next step, so an event missed or doubled changes nothing.
//!
//! Order is what makes it safe under a power cut: what is to run is on flash before the old run is stopped, and the
//! old release stays on flash, as the one to fall back to, until the new one has proven healthy.

mod application;
mod beyond;
mod policy;
mod saving;
mod status;
mod throttle;
mod trial;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmbed_protocol::message::{Pulse, Report};
use wasmbed_protocol::signed::{Entry, RestartPolicy};

use crate::event::{HeldBack, Instance};
use crate::map::Map;
use crate::store::{ApplicationRecord, Digest, Slot};
use application::{Application, Desired, Ended};
use beyond::Beyond;
pub use policy::HEALTHY_MS;

/// Something the supervisor wants done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Make this record durable; answered by [`Supervisor::saved`].
    Save { application: String, record: ApplicationRecord },
    /// Remove the application's record; answered by [`Supervisor::removed`].
    Remove { application: String },
    /// Run the release of this slot; answered by the events of the run.
    Start { application: String, instance: Instance, slot: Slot },
    /// End the run; answered by its last event.
    Stop { instance: Instance },
    /// An application's state changed.
    Report(Report),
}

/// What the supervisor needs to know of a release whose module is in the store, whole and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Digest of its module.
    pub(crate) module: Digest,
    /// What follows a failure.
    pub(crate) restart: RestartPolicy,
}

/// What a run tells, as far as the supervisor cares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RunEvent {
    Started,
    Stats { cpu_ms: u64, memory: u32, held_back: HeldBack },
    Exited { code: i32 },
    Trapped { reason: String },
    Refused { reason: String },
    Stopped,
}

/// All applications of the device.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    applications: Map<String, Application>,
    beyond: Beyond,
    world: World,
    assigned: bool,
}

/// What all applications share.
#[derive(Debug, Default)]
struct World {
    ready: Map<Digest, Ready>,
    instances: Instance,
    effects: VecDeque<Effect>,
}

impl Supervisor {
    /// How many of the assigned ones there is memory for.
    pub(crate) fn kept(&self) -> usize {
        self.beyond.kept()
    }

    /// The Releases that an application has on flash: the one it runs, and the one to fall back to; that not, if it is `without` and may be.
    pub(crate) fn releases_of(&self, application: &str, without: bool) -> impl Iterator<Item = Digest> {
        let application = self.applications.get(application);
        let spared = application.filter(|_| without).and_then(Application::spare);
        let slots = application.map(Application::slots).into_iter().flatten();
        slots.filter(move |slot| Some(*slot) != spared).map(|slot| slot.release)
    }

    /// Lets an application's previous release go, if it is not needed any more.
    pub(crate) fn let_previous_of_go(&mut self, application: &str, now: u64) {
        if let Some(application) = self.applications.get_mut(application)
            && application.let_previous_go()
        {
            application.reconcile(&mut self.world, now);
        }
    }

    /// Whether the Assignment before this one named it, beyond what the device can run.
    pub(crate) fn is_beyond(&self, application: &str) -> bool {
        self.beyond.holds(application)
    }

    /// Whether there is no memory for some of the assigned ones.
    pub(crate) fn has_beyond(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// Takes in a record found on flash at boot. What it says runs once an Assignment is known too.
    pub(crate) fn restore(&mut self, application: &str, record: ApplicationRecord) {
        self.applications.insert(application.to_string(), Application::restored(application, record));
    }

    /// The complete set of what the device is to run, and how many of it, the first by name, there is memory for: an application not
    /// named is stopped and erased, and so is one that there is no memory for.
    pub(crate) fn assign(&mut self, entries: &[Entry], room: usize, now: u64) {
        self.assigned = true;
        let (kept, beyond) = entries.split_at(room.min(entries.len()));
        for report in self.beyond.replace(beyond, entries) {
            self.world.effects.push_back(Effect::Report(report));
        }
        for application in self.applications.values_mut() {
            if !kept.iter().any(|entry| entry.application == application.name()) {
                application.desire(Desired::Absent);
            }
        }
        for entry in kept {
            self.applications
                .get_or_insert_with(entry.application.clone(), || Application::new(&entry.application))
                .desire(Desired::Present(entry.into()));
        }
        self.reconcile_all(now);
    }

    /// Whether an Assignment is known, be it from before the last boot.
    pub(crate) fn is_assigned(&self) -> bool {
        self.assigned
    }

    /// The release is in the store with its module, both verified.
    pub(crate) fn ready(&mut self, release: Digest, ready: Ready, now: u64) {
        self.world.ready.insert(release, ready);
        self.reconcile_all(now);
    }

    /// The release is not in the store any more, or what is there is damaged.
    pub(crate) fn not_ready(&mut self, release: &Digest, now: u64) {
        self.world.ready.remove(release);
        self.reconcile_all(now);
    }

    /// What keeps the assigned release from being installed; `None` when nothing does.
    pub(crate) fn problem(&mut self, application: &str, problem: Option<String>, now: u64) {
        if let Some(application) = self.applications.get_mut(application) {
            application.set_problem(problem);
            application.reconcile(&mut self.world, now);
        }
    }

    /// A [`Effect::Save`] is done.
    pub(crate) fn saved(&mut self, application: &str, durable: bool, now: u64) {
        if let Some(application) = self.applications.get_mut(application) {
            application.saved(durable, now);
            application.reconcile(&mut self.world, now);
        }
    }

    /// A [`Effect::Remove`] is done.
    pub(crate) fn removed(&mut self, name: &str, durable: bool, now: u64) {
        let Some(application) = self.applications.get_mut(name) else { return };
        application.removed(durable, now);
        application.reconcile(&mut self.world, now);
        if application.is_gone() {
            self.remove(name);
        }
    }

    /// A run did something. Events of runs that are over change nothing.
    pub(crate) fn run_event(&mut self, instance: Instance, event: RunEvent, now: u64) {
        let Some(application) = self.applications.values_mut().find(|application| application.runs(instance)) else {
            return;
        };
        match event {
            RunEvent::Started => application.started(now),
            RunEvent::Stats { cpu_ms, memory, held_back } => application.used(cpu_ms, memory, held_back, now),
            RunEvent::Exited { code } => application.ended(Ended::Exited(code), &self.world, now),
            RunEvent::Trapped { reason } | RunEvent::Refused { reason } => {
                application.ended(Ended::Failed(reason), &self.world, now);
            }
            RunEvent::Stopped => application.ended(Ended::Stopped, &self.world, now),
        }
        application.reconcile(&mut self.world, now);
    }

    /// Lets an application's previous release go, so that there is room for a new one; whether there was one to let
    /// go. Only what is not needed any more goes: the release to fall back to stays while it may be needed.
    pub(crate) fn let_previous_go(&mut self, now: u64) -> bool {
        for application in self.applications.values_mut() {
            if application.let_previous_go() {
                application.reconcile(&mut self.world, now);
                return true;
            }
        }
        false
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, now: u64) {
        self.reconcile_all(now);
    }

    /// When [`tick`](Self::tick) is needed next.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.applications.values().filter_map(Application::next_deadline).min()
    }

    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.world.effects.pop_front()
    }

    /// Assigned releases that are not in the store, with their application.
    pub(crate) fn wanted(&self) -> Vec<(String, Digest)> {
        let wanted = |application: &Application| application.wanted(&self.world);
        self.applications.values().filter_map(|a| wanted(a).map(|release| (a.name.clone(), release))).collect()
    }

    /// Releases and modules that a record or the Assignment needs; everything else in the store may go.
    pub(crate) fn needed(&self) -> Needed {
        let mut needed = Needed::default();
        for application in self.applications.values() {
            for slot in application.slots() {
                needed.releases.push(slot.release);
                needed.modules.push(slot.module);
            }
            if let Some(release) = application.desired_release() {
                needed.releases.push(release);
                needed.modules.extend(self.world.ready.get(&release).map(|ready| ready.module));
            }
        }
        needed
    }

    /// Which application an instance is a run of.
    pub(crate) fn application_of(&self, instance: Instance) -> Option<&str> {
        self.applications.values().find(|application| application.runs(instance)).map(Application::name)
    }

    /// The state of every application.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let kept = self.applications.values().filter_map(|application| application.report(&self.world));
        kept.chain(self.beyond.reports()).collect()
    }

    /// The state of every application, in short.
    pub(crate) fn pulses(&self) -> Vec<Pulse> {
        let kept = self.applications.values().filter_map(|application| application.pulse(&self.world));
        kept.chain(self.beyond.pulses()).collect()
    }

    /// Linear memory that runs use now, in bytes.
    pub(crate) fn memory_used(&self) -> u64 {
        self.applications.values().map(Application::memory).sum()
    }

    fn reconcile_all(&mut self, now: u64) {
        for application in self.applications.values_mut() {
            application.reconcile(&mut self.world, now);
        }
        let gone: Vec<String> =
            self.applications.values().filter(|a| a.is_gone()).map(|a| a.name().to_string()).collect();
        for name in gone {
            self.remove(&name);
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(application) = self.applications.remove(name) else { return };
        // Of one that is beyond what the device can run, that is the last word.
        if !self.beyond.holds(name) {
            self.world.effects.push_back(Effect::Report(application.farewell()));
        }
    }
}

/// What must stay in the store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) releases: Vec<Digest>,
    pub(crate) modules: Vec<Digest>,
}

#[cfg(test)]
mod tests;
