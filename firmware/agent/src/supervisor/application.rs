//! One application: its record, its run, and the next step from what is to what should be.

use alloc::format;
use alloc::string::{String, ToString};
use core::mem;

use wasmbed_protocol::signed::{Entry, RunState};

use super::policy::{HEALTHY_MS, STABLE_MS};
use super::saving::Saving;
use super::throttle::Throttle;
use super::{Effect, World};
use crate::event::{HeldBack, Instance};
use crate::store::{ApplicationRecord, Digest, Slot};

/// What an Assignment says of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Desired {
    /// No Assignment is known: nothing is started and nothing is erased.
    Unknown,
    /// It is to be stopped and erased.
    Absent,
    /// It is to be there.
    Present(Present),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) release: Digest,
    pub(super) suspended: bool,
    pub(super) restart: u64,
}

impl From<&Entry> for Present {
    fn from(entry: &Entry) -> Self {
        Self { release: entry.release.0, suspended: entry.state == RunState::Suspended, restart: entry.restart }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    /// Nothing runs.
    Idle,
    /// It failed, and is started again at this time.
    Waiting { until: u64 },
    /// It runs, or is about to: `since` is when its `_start` was entered.
    Active { instance: Instance, what: Target, since: Option<u64> },
    /// It was told to stop.
    Stopping { instance: Instance, slot: Slot },
    /// It returned with success.
    Finished { what: Target },
    /// It failed for good.
    Failed { what: Target },
}

/// What runs, and for which restart counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) slot: Slot,
    pub(super) counter: u64,
}

/// How a run ended.
pub(super) enum Ended {
    Exited(i32),
    Failed(String),
    Stopped,
}

#[derive(Debug)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) desired: Desired,
    /// As it should be on flash.
    pub(super) record: ApplicationRecord,
    pub(super) saving: Saving,
    pub(super) run: Run,
    /// Restarts since the last long run: what the policy counts.
    pub(super) attempts: u32,
    /// Restarts since the release was taken: what people see.
    pub(super) restarts: u32,
    /// Whether this boot is already counted among those of an unproven release.
    pub(super) counted: bool,
    /// Why the last run ended badly.
    pub(super) error: Option<String>,
    /// What keeps the assigned release from being installed.
    pub(super) problem: Option<String>,
    pub(super) cpu_ms: u64,
    memory: u32,
    pub(super) throttle: Throttle,
    pub(super) reported: Option<wasmbed_protocol::message::Report>,
}

impl Application {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            desired: Desired::Unknown,
            record: ApplicationRecord::default(),
            saving: Saving::default(),
            run: Run::Idle,
            attempts: 0,
            restarts: 0,
            counted: false,
            error: None,
            problem: None,
            cpu_ms: 0,
            memory: 0,
            throttle: Throttle::default(),
            reported: None,
        }
    }

    pub(super) fn restored(name: &str, record: ApplicationRecord) -> Self {
        let mut application = Self::new(name);
        application.saving = Saving::of(&record);
        application.record = record;
        application
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn desire(&mut self, desired: Desired) {
        if self.desired != desired {
            self.problem = None;
        }
        self.desired = desired;
    }

    pub(super) fn set_problem(&mut self, problem: Option<String>) {
        self.problem = problem;
    }

    pub(super) fn runs(&self, instance: Instance) -> bool {
        match self.run {
            Run::Active { instance: mine, .. } | Run::Stopping { instance: mine, .. } => mine == instance,
            _ => false,
        }
    }

    pub(super) fn memory(&self) -> u64 {
        u64::from(self.memory)
    }

    /// Compares what should be with what is and takes the next step.
    pub(super) fn reconcile(&mut self, world: &mut World, now: u64) {
        self.notice_time(now);
        self.decide(world);
        self.persist(world);
        if self.is_settled() {
            self.act(world, now);
        }
        if let Some(report) = self.report(world)
            && self.reported.as_ref() != Some(&report)
        {
            self.reported = Some(report.clone());
            world.effects.push_back(Effect::Report(report));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let run = match self.run {
            Run::Waiting { until } => Some(until),
            Run::Active { what, since: Some(since), .. } if self.is_on_trial(what) => Some(since + HEALTHY_MS),
            Run::Active { since: Some(since), .. } if self.attempts > 0 => Some(since + STABLE_MS),
            _ => None,
        };
        match (run, self.saving.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn started(&mut self, now: u64) {
        if let Run::Active { since, .. } = &mut self.run {
            *since = Some(now);
        }
    }

    pub(super) fn used(&mut self, cpu_ms: u64, memory: u32, held_back: HeldBack, now: u64) {
        self.cpu_ms = cpu_ms;
        self.memory = memory;
        self.throttle.account(held_back, now);
    }

    pub(super) fn ended(&mut self, how: Ended, world: &World, now: u64) {
        self.memory = 0;
        self.throttle = Throttle::default();
        match mem::replace(&mut self.run, Run::Idle) {
            Run::Active { what, .. } => match how {
                Ended::Exited(0) => {
                    self.confirm(what);
                    self.run = Run::Finished { what };
                }
                Ended::Exited(code) => self.failed(what, format!("exited with code {code}"), world, now),
                Ended::Failed(reason) => self.failed(what, reason, world, now),
                Ended::Stopped => self.failed(what, "stopped by the device".to_string(), world, now),
            },
            // It was to end; how it did does not matter.
            Run::Stopping { .. } => {}
            other => self.run = other,
        }
    }

    /// Whether it was to be erased and nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.desired == Desired::Absent
            && self.saving.is_nothing()
            && !matches!(self.run, Run::Active { .. } | Run::Stopping { .. })
    }

    /// The assigned release, if it is still to be installed.
    pub(super) fn wanted(&self, world: &World) -> Option<Digest> {
        let Desired::Present(present) = self.desired else { return None };
        let given_up = self.gave_up(&present);
        (!given_up && !world.ready.contains_key(&present.release)).then_some(present.release)
    }

    pub(super) fn desired_release(&self) -> Option<Digest> {
        match self.desired {
            Desired::Present(present) => Some(present.release),
            _ => None,
        }
    }

    /// What a record, on flash or about to be, names, and what runs.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let running = match self.run {
            Run::Active { what, .. } => Some(what.slot),
            Run::Stopping { slot, .. } => Some(slot),
            _ => None,
        };
        let records = self.saving.records().chain([&self.record]);
        records.flat_map(|record| [record.current, record.previous]).chain([running]).flatten()
    }

    fn notice_time(&mut self, now: u64) {
        self.saving.notice_time(now);
        if let Run::Active { what, since: Some(since), .. } = self.run {
            if now >= since + HEALTHY_MS {
                self.confirm(what);
            }
            if now >= since + STABLE_MS {
                self.attempts = 0;
            }
        }
    }

    /// Starts, stops and erases.
    fn act(&mut self, world: &mut World, now: u64) {
        let target = self.target(world);
        match self.run {
            Run::Active { instance, what, .. } if target != Some(what) => {
                self.run = Run::Stopping { instance, slot: what.slot };
                world.effects.push_back(Effect::Stop { instance });
            }
            Run::Active { .. } | Run::Stopping { .. } => {}
            Run::Waiting { until } if target.is_some() && now < until => {}
            Run::Finished { what } | Run::Failed { what } if target == Some(what) => {}
            Run::Idle | Run::Waiting { .. } | Run::Finished { .. } | Run::Failed { .. } => {
                self.run = Run::Idle;
                match target {
                    Some(target) => self.start(target, world),
                    None => self.erase(world),
                }
            }
        }
    }

    /// What should run now, of what is here.
    fn target(&self, world: &World) -> Option<Target> {
        let Desired::Present(present) = self.desired else { return None };
        // Flash can lose what was there; until it is fetched again the release before it is better than nothing.
        let is_ready = |slot: &Slot| world.ready.contains_key(&slot.release);
        let slot = self.record.current.filter(is_ready).or(self.record.previous.filter(is_ready))?;
        // What was given up does not run, and without a release to fall back to nothing does.
        let given_up = self.gave_up(&present) && slot.release == present.release;
        (!present.suspended && !given_up).then_some(Target { slot, counter: self.record.restart_counter })
    }

    fn start(&mut self, what: Target, world: &mut World) {
        world.instances = world.instances.wrapping_add(1);
        let instance = world.instances;
        self.cpu_ms = 0;
        self.run = Run::Active { instance, what, since: None };
        world.effects.push_back(Effect::Start { application: self.name.clone(), instance, slot: what.slot });
    }

    fn erase(&mut self, world: &mut World) {
        if self.desired == Desired::Absent && self.saving.begin_removal() {
            world.effects.push_back(Effect::Remove { application: self.name.clone() });
        }
    }
}
