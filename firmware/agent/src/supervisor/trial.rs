//! A new release on trial: taken as the current one, confirmed, or fallen back from.

use alloc::format;
use alloc::string::String;

use super::World;
use super::application::{Application, Desired, Present, Run, Target};
use super::policy::{MAX_UNPROVEN_BOOTS, restart_delay};
use crate::store::{Digest, Failed, Slot};

impl Application {
    /// Whether this very release was tried, for this very counter, and given up.
    pub(super) fn gave_up(&self, present: &Present) -> bool {
        let failed = self.record.failed.as_ref();
        failed.is_some_and(|failed| failed.release == present.release && failed.restart_counter == present.restart)
    }

    /// The release before the one that has proven healthy: it may go where there is no room for it.
    pub(super) fn spare(&self) -> Option<Slot> {
        self.record.previous.filter(|previous| self.record.confirmed && self.record.current != Some(*previous))
    }

    pub(super) fn let_previous_go(&mut self) -> bool {
        let free = self.record.confirmed && self.record.previous.is_some();
        if free {
            self.record.previous = None;
        }
        free
    }

    /// Brings the record to what it should be.
    pub(super) fn decide(&mut self, world: &World) {
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

    /// Whether this run is to show whether its release is healthy.
    pub(super) fn is_on_trial(&self, what: Target) -> bool {
        self.record.current == Some(what.slot) && !self.record.confirmed
    }

    pub(super) fn confirm(&mut self, what: Target) {
        if self.is_on_trial(what) {
            self.record.confirmed = true;
            self.record.restarts = 0;
        }
    }

    pub(super) fn failed(&mut self, what: Target, reason: String, world: &World, now: u64) {
        self.error = Some(reason.clone());
        if self.is_on_trial(what) && self.fall_back(what.slot.release, what.counter, reason, world) {
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
}

/// A reason as the record keeps it: what is read back must equal what was written.
fn bounded(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(Failed::MAX_REASON));
    reason
}
