//! How many of the assigned applications the device has memory for.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmbed_protocol::limits::MAX_APPLICATIONS;
use wasmbed_protocol::signed::Entry;

use super::Agent;
use crate::session::Ended;

impl Agent {
    /// How many of these the device has memory for: the first by name, which is the order they are in, until it is used up.
    pub(super) fn room(&self, entries: &[Entry]) -> usize {
        self.room_if(entries, |_| false)
    }

    /// The same, if of some applications the Release to fall back to were let go.
    fn room_if(&self, entries: &[Entry], let_go: impl Fn(&str) -> bool) -> usize {
        let mut left = self.memory_for_applications;
        let fits = |entry: &&Entry| {
            let taken = self.taken(entry, let_go(&entry.application));
            let fits = taken <= left;
            left = left.saturating_sub(taken);
            fits
        };
        entries.iter().take(MAX_APPLICATIONS).take_while(fits).count()
    }

    /// What an application takes: as much as with the largest of the Releases that it has or is to have.
    fn taken(&self, entry: &Entry, without_previous: bool) -> usize {
        let has = self.supervisor.releases_of(&entry.application, without_previous);
        let releases = has.chain([entry.release.0]);
        releases.map(|release| self.library.memory_with(&release)).max().unwrap_or(0)
    }

    /// Takes in applications that there was no memory for, once there is. Where what others would fall back to takes it, and they have
    /// proven healthy without, that goes.
    pub(super) fn make_room(&mut self) {
        if self.purposes.deciding() || !self.supervisor.has_beyond() {
            return;
        }
        let Some(entries) = self.assigned.clone() else { return };
        let room = self.room(&entries);
        if room > self.supervisor.kept() {
            self.ask_for_what_is_lacking(&entries[..room]);
            self.act_on(&entries, room, true);
            return;
        }
        let of_use = |entry: &&Entry| self.taken(entry, true) < self.taken(entry, false);
        let larger: Vec<String> = entries[..room].iter().filter(of_use).map(|it| it.application.to_string()).collect();
        if self.room_if(&entries, |application| larger.iter().any(|it| it == application)) > room {
            for application in larger {
                self.supervisor.let_previous_of_go(&application, self.now);
            }
        }
    }

    /// Ends the session if Releases are lacking that there was no memory for: the gateway believes that a device holds every Release
    /// which an Assignment of the session named, and the next session brings them.
    pub(super) fn ask_for_what_is_lacking(&mut self, kept: &[Entry]) {
        let is_lacking = |entry: &Entry| {
            let digest = &entry.release.0;
            let had_none = self.supervisor.is_beyond(&entry.application) || self.library.was_turned_away(digest);
            had_none && self.library.release(digest).is_none()
        };
        if kept.iter().any(is_lacking) {
            self.end(Ended::because("to be given a Release that there was no memory for"));
        }
    }
}
