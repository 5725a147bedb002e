//! What each Device's status should say, and when it is worth a write. Pure but for the clock that is passed in.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use wasmbed_api::{DeviceApplication, DevicePhase, DeviceSession, DeviceStatus, Time};

use crate::directory::Known;
use crate::rate::{Meter, Rate};

/// `lastHeartbeat` is written again once it is older than this; the live one is in the stream of live events.
const HEARTBEAT_LAG: Duration = Duration::from_secs(300);

/// Writes for one Device: eight at once, then one a second. A device that flaps costs no more.
const WRITES: Rate = Rate { period: Duration::from_secs(1), burst: 8 };

/// The fields of a Device's status that its gateway owns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owned {
    pub(crate) phase: Option<DevicePhase>,
    pub(crate) session: Option<DeviceSession>,
    pub(crate) applications: Vec<DeviceApplication>,
    pub(crate) last_heartbeat: Option<Timestamp>,
}

impl Owned {
    /// As a status holds them.
    pub(crate) fn of(status: &DeviceStatus) -> Self {
        Self {
            phase: status.phase,
            session: status.session.clone(),
            applications: status.applications.clone(),
            last_heartbeat: status.last_heartbeat.as_ref().map(|time| time.0),
        }
    }

    /// The status for server-side apply: what is not in it, this manager gives up.
    pub(crate) fn to_json(&self) -> Value {
        let status = DeviceStatus {
            phase: self.phase,
            session: self.session.clone(),
            applications: self.applications.clone(),
            last_heartbeat: self.last_heartbeat.map(Time),
            ..DeviceStatus::default()
        };
        json!(status)
    }

    /// Whether `seen` lacks something that is worth a write.
    fn is_missed_in(&self, seen: &Self) -> bool {
        let late = match (self.last_heartbeat, seen.last_heartbeat) {
            (Some(heard), Some(written)) => heard.as_second() - written.as_second() >= HEARTBEAT_LAG.as_secs() as i64,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let same = self.phase == seen.phase && self.session == seen.session && self.applications == seen.applications;
        late || !same
    }
}

/// What is known here of Devices that were in session since this process started, and which of all are to be looked at.
#[derive(Debug)]
pub(crate) struct Board {
    replica: String,
    started: Instant,
    grace: Duration,
    entries: HashMap<String, Entry>,
    dirty: BTreeSet<String>,
    deferred: HashMap<String, Instant>,
    /// The last words on Devices that were in session here when they went to another gateway.
    parting: HashMap<String, Owned>,
}

#[derive(Debug, Default)]
struct Entry {
    owned: Owned,
    writes: Meter,
}

impl Board {
    /// An empty board. A Device that an earlier process left `Connected` has `grace` to come back.
    pub(crate) fn new(replica: String, grace: Duration, now: Instant) -> Self {
        let (entries, deferred, parting) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { replica, started: now, grace, entries, dirty: BTreeSet::new(), deferred, parting }
    }

    /// A session begins; gives its counter, above every one seen.
    pub(crate) fn open(&mut self, device: &str, seen: Option<&Known>) -> i64 {
        let entry = self.entries.entry(device.to_owned()).or_default();
        let counter = |session: &Option<DeviceSession>| session.as_ref().map_or(0, |session| session.counter);
        let last = counter(&entry.owned.session).max(seen.map_or(0, |known| counter(&known.status.session)));
        let counter = last.saturating_add(1);
        let session = DeviceSession { replica: self.replica.clone(), counter };
        entry.owned = Owned { phase: Some(DevicePhase::Connected), session: Some(session), ..Owned::default() };
        counter
    }

    /// A session tells of its device.
    pub(crate) fn update(
        &mut self,
        device: &str,
        counter: i64,
        applications: Vec<DeviceApplication>,
        heard: Timestamp,
    ) {
        if let Some(entry) = self.current(device, counter) {
            entry.owned.applications = applications;
            entry.owned.last_heartbeat = Some(heard);
            self.mark(device);
        }
    }

    /// A session ended. If a newer one of the device has begun, this one has nothing more to say.
    pub(crate) fn close(&mut self, device: &str, counter: i64, phase: DevicePhase) {
        if let Some(entry) = self.current(device, counter) {
            entry.owned.phase = Some(phase);
            self.mark(device);
        }
    }

    /// The Device's status is to be looked at.
    pub(crate) fn mark(&mut self, device: &str) {
        self.dirty.insert(device.to_owned());
    }

    /// The Device is not this gateway's any more. Of one in session it is still to be said that it left.
    pub(crate) fn forget(&mut self, device: &str) {
        self.deferred.remove(device);
        match self.entries.remove(device) {
            Some(Entry { owned, .. }) if owned.phase == Some(DevicePhase::Connected) => {
                self.parting.insert(device.to_owned(), Owned { phase: Some(DevicePhase::Disconnected), ..owned });
                self.mark(device);
            }
            _ => drop(self.dirty.remove(device)),
        }
    }

    /// The last words on a Device that is not this gateway's any more, if there are any and no other gateway had it in
    /// session since.
    pub(crate) fn last_words(&self, device: &str, seen: &DeviceStatus) -> Option<Owned> {
        self.parting.get(device).filter(|last| last.session == seen.session && last.phase != seen.phase).cloned()
    }

    /// Whether there are last words on a Device.
    pub(crate) fn is_parting(&self, device: &str) -> bool {
        self.parting.contains_key(device)
    }

    /// The last words on a Device have been said, or have become idle.
    pub(crate) fn parted(&mut self, device: &str) {
        self.parting.remove(device);
    }

    /// Devices to be looked at now.
    pub(crate) fn take_dirty(&mut self, now: Instant) -> Vec<String> {
        let due = self.deferred.extract_if(|_, at| *at <= now).map(|(device, _)| device);
        self.dirty.extend(due);
        std::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// When a Device is to be looked at that had its share of writes.
    pub(crate) fn deferred_until(&self) -> Option<Instant> {
        self.deferred.values().min().copied()
    }

    /// What to write for a Device, if anything. `enrolling`: its key is being taken up.
    pub(crate) fn judge(&mut self, device: &str, known: &Known, enrolling: bool, now: Instant) -> Option<Owned> {
        let seen = Owned::of(&known.status);
        let wanted = match self.entries.get(device) {
            Some(entry) => {
                if self.is_fenced(&entry.owned, &seen) {
                    return None;
                }
                entry.owned.clone()
            }
            None => self.unvisited(&seen, known.key.is_some(), enrolling, now),
        };
        if !wanted.is_missed_in(&seen) {
            return None;
        }
        if let Some(entry) = self.entries.get_mut(device)
            && let Err(wait) = entry.writes.count(WRITES, now)
        {
            self.deferred.insert(device.to_owned(), now + wait);
            return None;
        }
        Some(wanted)
    }

    /// Whether another replica holds a newer session of this device than we do.
    pub(crate) fn is_superseded(&self, device: &str, seen: &DeviceStatus) -> bool {
        self.entries.get(device).is_some_and(|entry| self.is_fenced(&entry.owned, &Owned::of(seen)))
    }

    /// A lower counter never overwrites a higher one that another replica wrote. Replicas that did not see each other's
    /// session in time may both give the same: then one that is over gives way, and of two that go on the first by name does.
    fn is_fenced(&self, ours: &Owned, seen: &Owned) -> bool {
        let (Some(our), Some(their)) = (&ours.session, &seen.session) else {
            return false;
        };
        let is_over = |owned: &Owned| owned.phase != Some(DevicePhase::Connected);
        let gives_way = match (is_over(ours), is_over(seen)) {
            (true, false) => true,
            (false, true) => false,
            _ => our.replica < their.replica,
        };
        their.replica != self.replica && (their.counter > our.counter || (their.counter == our.counter && gives_way))
    }

    /// What to say of a Device that was not in session since this process started.
    fn unvisited(&self, seen: &Owned, has_key: bool, enrolling: bool, now: Instant) -> Owned {
        let phase = match seen.phase {
            None | Some(DevicePhase::Pending | DevicePhase::Enrolling | DevicePhase::Enrolled) => match has_key {
                true => DevicePhase::Enrolled,
                false if enrolling => DevicePhase::Enrolling,
                false => DevicePhase::Pending,
            },
            Some(DevicePhase::Connected) if self.is_orphan(seen) && now >= self.started + self.grace => {
                DevicePhase::Disconnected
            }
            Some(phase) => phase,
        };
        Owned { phase: Some(phase), ..seen.clone() }
    }

    fn is_orphan(&self, seen: &Owned) -> bool {
        seen.session.as_ref().is_none_or(|session| session.replica == self.replica)
    }

    fn current(&mut self, device: &str, counter: i64) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(device)?;
        let ours = entry.owned.session.as_ref().is_some_and(|session| session.counter == counter);
        ours.then_some(entry)
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
