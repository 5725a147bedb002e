//! What of a record is on flash, and what is on its way there.

use alloc::boxed::Box;

use super::application::{Application, Desired};
use super::policy::SAVE_AGAIN_MS;
use super::{Effect, World};
use crate::store::ApplicationRecord;

#[derive(Debug, Default)]
pub(super) struct Saving {
    durable: ApplicationRecord,
    /// Whether there is a record on flash at all.
    exists: bool,
    in_flight: Option<InFlight>,
    /// A save failed; until then the device goes on with what it knows.
    again: Option<u64>,
}

#[derive(Debug)]
enum InFlight {
    Save(Box<ApplicationRecord>),
    Remove,
}

impl Saving {
    /// This record was read from flash.
    pub(super) fn of(record: &ApplicationRecord) -> Self {
        Self { durable: record.clone(), exists: true, ..Self::default() }
    }

    /// Whether there is no record on flash, nor one on its way.
    pub(super) fn is_nothing(&self) -> bool {
        !self.exists && self.in_flight.is_none()
    }

    /// What is on flash, or will be.
    pub(super) fn records(&self) -> impl Iterator<Item = &ApplicationRecord> {
        let in_flight = match &self.in_flight {
            Some(InFlight::Save(record)) => Some(&**record),
            _ => None,
        };
        [&self.durable].into_iter().chain(in_flight)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.again
    }

    pub(super) fn notice_time(&mut self, now: u64) {
        self.again = self.again.filter(|again| now < *again);
    }

    /// Whether the record is to be removed now.
    pub(super) fn begin_removal(&mut self) -> bool {
        let now = self.exists && self.in_flight.is_none() && self.again.is_none();
        if now {
            self.in_flight = Some(InFlight::Remove);
        }
        now
    }
}

impl Application {
    /// A save is done, or failed.
    pub(super) fn saved(&mut self, durable: bool, now: u64) {
        match self.saving.in_flight.take() {
            Some(InFlight::Save(record)) if durable => {
                self.saving = Saving { durable: *record, exists: true, ..Saving::default() };
            }
            Some(_) => self.saving.again = Some(now + SAVE_AGAIN_MS),
            None => {}
        }
    }

    /// A removal is done, or failed.
    pub(super) fn removed(&mut self, durable: bool, now: u64) {
        match self.saving.in_flight.take() {
            Some(InFlight::Remove) if durable => {
                self.saving = Saving::default();
                self.record = ApplicationRecord::default();
            }
            Some(_) => self.saving.again = Some(now + SAVE_AGAIN_MS),
            None => {}
        }
    }

    /// Has the record saved, if flash says something else.
    pub(super) fn persist(&mut self, world: &mut World) {
        let saving = &mut self.saving;
        let waits = saving.in_flight.is_some() || saving.again.is_some() || self.desired == Desired::Absent;
        if !waits && self.record != saving.durable {
            saving.in_flight = Some(InFlight::Save(Box::new(self.record.clone())));
            let (application, record) = (self.name.clone(), self.record.clone());
            world.effects.push_back(Effect::Save { application, record });
        }
    }

    /// Whether flash says what the record says, or cannot be made to for now.
    pub(super) fn is_settled(&self) -> bool {
        let nothing_to_save = self.record == self.saving.durable || self.desired == Desired::Absent;
        self.saving.in_flight.is_none() && (nothing_to_save || self.saving.again.is_some())
    }
}
