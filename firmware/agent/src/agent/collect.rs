//! Lets go what nothing needs any more.

use alloc::vec::Vec;

use super::Agent;
use super::durable::Purpose;
use crate::store::{Digest, Key};

impl Agent {
    /// Removes Releases and modules that no record names, no run uses and no Assignment asks for.
    pub(super) fn collect(&mut self) {
        if !self.supervisor.is_assigned() {
            return;
        }
        let mut needed = self.supervisor.needed();
        let mut all_known = true;
        for (_, release) in self.supervisor.wanted() {
            match self.library.release(&release).and_then(|known| known.program) {
                Some(program) => needed.modules.push(program.digest),
                None => all_known = false,
            }
        }
        let leaving = |digest: &Digest| self.purposes.is_leaving(digest);
        let releases: Vec<Digest> = self.store.releases().map(|(digest, _)| digest).collect();
        let releases: Vec<Digest> =
            releases.into_iter().filter(|digest| !needed.releases.contains(digest) && !leaving(digest)).collect();
        // A module that is half there may be that of a Release which is still to come.
        let modules: Vec<Digest> =
            if all_known { self.store.modules().map(|(digest, _)| digest).collect() } else { Vec::new() };
        let modules: Vec<Digest> =
            modules.into_iter().filter(|digest| !needed.modules.contains(digest) && !leaving(digest)).collect();
        for digest in releases {
            if let Ok(ticket) = self.store.remove(&Key::Release(digest)) {
                self.purposes.insert(ticket, Purpose::ReleaseGone(digest));
            }
        }
        for digest in modules {
            if let Ok(ticket) = self.store.discard(digest) {
                self.purposes.insert(ticket, Purpose::ModuleGone(digest));
            }
        }
    }
}
