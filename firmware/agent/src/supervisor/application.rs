//! One application: its record, its run, and the next step from what is to what should be.

use alloc::string::{String, ToString};
use core::mem;

use alloc::format;
use wasmbed_protocol::signed::{Entry, RunState};

use super::policy::{HEALTHY_MS, MAX_UNPROVEN_BOOTS, SAVE_AGAIN_MS, STABLE_MS, restart_delay};
use super::{Effect, World};
use crate::event::Instance;
use crate::store::{ApplicationRecord, Digest, Failed, Slot};

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
        Self {
            release: entry.release.0,
            suspended: entry.state == RunState::Suspended,
            restart: entry.restart,
        }
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
    counter: u64,
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
    saving: Saving,
    pub(super) run: Run,
    /// Restarts since the last long run: what the policy counts.
    attempts: u32,
    /// Restarts since the release was taken: what people see.
    pub(super) restarts: u32,
    /// Whether this boot is already counted among those of an unproven release.
    counted: bool,
    /// Why the last run ended badly.
    pub(super) error: Option<String>,
    /// What keeps the assigned release from being installed.
    pub(super) problem: Option<String>,
    pub(super) cpu_ms: u64,
    memory: u32,
    pub(super) reported: Option<wasmbed_protocol::message::Report>,
}

/// What of the record is on flash.
#[derive(Debug)]
struct Saving {
    durable: ApplicationRecord,
    /// Whether there is a record on flash at all.
    exists: bool,
    in_flight: Option<InFlight>,
    /// A save failed; until then the device goes on with what it knows.
    again: Option<u64>,
}

#[derive(Debug)]
enum InFlight {
    Save(ApplicationRecord),
    Remove,
}

impl Application {
    pub(super) fn new(name: &str) -> Self {
        let saving = Saving { durable: ApplicationRecord::default(), exists: false, in_flight: None, again: None };
        Self {
            name: name.to_string(),
            desired: Desired::Unknown,
            record: ApplicationRecord::default(),
            saving,
            run: Run::Idle,
            attempts: 0,
            restarts: 0,
            counted: false,
            error: None,
            problem: None,
            cpu_ms: 0,
            memory: 0,
            reported: None,
        }
    }

    pub(super) fn restored(name: &str, record: ApplicationRecord) -> Self {
        let mut application = Self::new(name);
        application.saving.durable = record.clone();
        application.saving.exists = true;
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
        self.persist(world, now);
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
            Run::Active { since: Some(since), .. } if !self.record.confirmed => Some(since + HEALTHY_MS),
            Run::Active { since: Some(since), .. } if self.attempts > 0 => Some(since + STABLE_MS),
            _ => None,
        };
        match (run, self.saving.again) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn started(&mut self, now: u64) {
        if let Run::Active { since, .. } = &mut self.run {
            *since = Some(now);
        }
    }

    pub(super) fn used(&mut self, cpu_ms: u64, memory: u32) {
        self.cpu_ms = cpu_ms;
        self.memory = memory;
    }

    pub(super) fn ended(&mut self, how: Ended, world: &World, now: u64) {
        self.memory = 0;
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

    pub(super) fn saved(&mut self, durable: bool, now: u64) {
        match self.saving.in_flight.take() {
            Some(InFlight::Save(record)) if durable => {
                self.saving.durable = record;
                self.saving.exists = true;
                self.saving.again = None;
            }
            Some(_) => self.saving.again = Some(now + SAVE_AGAIN_MS),
            None => {}
        }
    }

    pub(super) fn removed(&mut self, durable: bool, now: u64) {
        match self.saving.in_flight.take() {
            Some(InFlight::Remove) if durable => {
                self.saving.durable = ApplicationRecord::default();
                self.saving.exists = false;
                self.saving.again = None;
                self.record = ApplicationRecord::default();
            }
            Some(_) => self.saving.again = Some(now + SAVE_AGAIN_MS),
            None => {}
        }
    }

    /// Whether it was to be erased and nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.desired == Desired::Absent
            && !self.saving.exists
            && self.saving.in_flight.is_none()
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
        let in_flight = match &self.saving.in_flight {
            Some(InFlight::Save(record)) => [record.current, record.previous],
            _ => [None, None],
        };
        [self.record.current, self.record.previous, self.saving.durable.current, self.saving.durable.previous]
            .into_iter()
            .chain(in_flight)
            .chain([running])
            .flatten()
    }

    /// Whether this very release was tried, for this very counter, and given up.
    pub(super) fn gave_up(&self, present: &Present) -> bool {
        let failed = self.record.failed.as_ref();
        failed.is_some_and(|failed| failed.release == present.release && failed.restart_counter == present.restart)
    }

    pub(super) fn let_previous_go(&mut self) -> bool {
        let free = self.record.confirmed && self.record.previous.is_some();
        if free {
            self.record.previous = None;
        }
        free
    }

    fn notice_time(&mut self, now: u64) {
        if self.saving.again.is_some_and(|again| now >= again) {
            self.saving.again = None;
        }
        if let Run::Active { what, since: Some(since), .. } = self.run {
            if now >= since + HEALTHY_MS {
                self.confirm(what);
            }
            if now >= since + STABLE_MS {
                self.attempts = 0;
            }
        }
    }

    /// Brings the record to what it should be.
    fn decide(&mut self, world: &World) {
        let Desired::Present(present) = self.desired else { return };
        if self.record.failed.is_some() && !self.gave_up(&present) {
            self.record.failed = None;
        }
        if self.record.failed.is_none() {
            match self.record.current {
                Some(current) if current.release == present.release => self.count_restart(&present),
                _ => self.adopt(&present, world),
            }
        }
        self.count_boot(&present, world);
    }

    fn count_restart(&mut self, present: &Present) {
        if self.record.restart_counter != present.restart {
            self.record.restart_counter = present.restart;
            self.begin_anew();
        }
    }

    /// Makes the assigned release the current one, once it is installed.
    fn adopt(&mut self, present: &Present, world: &World) {
        let Some(ready) = world.ready.get(&present.release) else { return };
        let new = Slot { release: present.release, module: ready.module };
        let old = self.record.confirmed.then_some(self.record.current).flatten();
        let proven = self.record.previous.is_some_and(|previous| previous.release == new.release);
        self.record.previous = match old {
            Some(old) => Some(old),
            None if proven => None,
            None => self.record.previous,
        };
        self.record.current = Some(new);
        self.record.confirmed = proven;
        self.record.restart_counter = present.restart;
        self.problem = None;
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.record.restarts = 0;
        self.counted = false;
        self.attempts = 0;
        self.restarts = 0;
        self.error = None;
        if !matches!(self.run, Run::Active { .. } | Run::Stopping { .. }) {
            self.run = Run::Idle;
        }
    }

    /// A release that takes the whole device down never reports its failure; the number of boots tells.
    fn count_boot(&mut self, present: &Present, world: &World) {
        let Some(current) = self.record.current else { return };
        if present.suspended || self.record.confirmed || self.counted || !world.ready.contains_key(&current.release) {
            return;
        }
        self.counted = true;
        self.record.restarts = self.record.restarts.saturating_add(1);
        if self.record.restarts > MAX_UNPROVEN_BOOTS {
            let reason = format!("the device restarted {MAX_UNPROVEN_BOOTS} times before it proved healthy");
            self.fall_back(current.release, self.record.restart_counter, reason, world);
        }
    }

    fn confirm(&mut self, what: Target) {
        if self.record.current == Some(what.slot) && !self.record.confirmed {
            self.record.confirmed = true;
            self.record.restarts = 0;
        }
    }

    fn failed(&mut self, what: Target, reason: String, world: &World, now: u64) {
        self.error = Some(reason.clone());
        let unproven = self.record.current == Some(what.slot) && !self.record.confirmed;
        if unproven && self.fall_back(what.slot.release, what.counter, reason, world) {
            return;
        }
        let policy = world.ready.get(&what.slot.release).map(|ready| &ready.restart);
        match policy {
            Some(policy) if policy.auto && self.attempts < policy.max => {
                self.attempts += 1;
                self.restarts = self.restarts.saturating_add(1);
                self.run = Run::Waiting { until: now + restart_delay(self.attempts) };
            }
            _ => self.run = Run::Failed { what },
        }
    }

    /// Goes back to the previous confirmed release, if there is one; whether there was.
    fn fall_back(&mut self, release: Digest, restart_counter: u64, reason: String, world: &World) -> bool {
        let Some(previous) = self.record.previous.filter(|slot| world.ready.contains_key(&slot.release)) else {
            return false;
        };
        self.begin_anew();
        self.record.current = Some(previous);
        self.record.previous = None;
        self.record.confirmed = true;
        self.error = Some(reason.clone());
        self.record.failed = Some(Failed { release, restart_counter, reason: bounded(reason) });
        true
    }

    fn persist(&mut self, world: &mut World, now: u64) {
        let waits = self.saving.again.is_some_and(|again| now < again);
        if self.saving.in_flight.is_some() || waits || self.desired == Desired::Absent {
            return;
        }
        if self.record != self.saving.durable {
            self.saving.in_flight = Some(InFlight::Save(self.record.clone()));
            let (application, record) = (self.name.clone(), self.record.clone());
            world.effects.push_back(Effect::Save { application, record });
        }
    }

    /// Whether flash says what the record says, or cannot be made to for now.
    fn is_settled(&self) -> bool {
        let nothing_to_save = self.record == self.saving.durable || self.desired == Desired::Absent;
        self.saving.in_flight.is_none() && (nothing_to_save || self.saving.again.is_some())
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
        if self.desired == Desired::Absent && self.saving.exists && self.saving.again.is_none() {
            self.saving.in_flight = Some(InFlight::Remove);
            world.effects.push_back(Effect::Remove { application: self.name.clone() });
        }
    }
}

/// A reason as the record keeps it: what is read back must equal what was written.
fn bounded(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(Failed::MAX_REASON));
    reason
}
