//! How an application's state reads to others.

use alloc::string::String;

use wasmbed_protocol::ReleaseDigest;
use wasmbed_protocol::limits::MAX_REASON;
use wasmbed_protocol::message::{Phase, Pulse, Report};

use super::World;
use super::application::{Application, Desired, Run};

impl Application {
    /// Its state, if an Assignment names it.
    pub(super) fn report(&self, world: &World) -> Option<Report> {
        let Desired::Present(present) = self.desired else { return None };
        let current = self.record.current;
        let fell_back = self.gave_up(&present) && current.is_some_and(|slot| slot.release != present.release);
        let phase = self.phase(world)?;
        let error = match phase {
            Phase::Fetching => self.problem.clone(),
            Phase::Restarting | Phase::Failed => self.error.clone(),
            Phase::FellBack => self.record.failed.as_ref().map(|failed| failed.reason.clone()),
            _ => None,
        };
        Some(Report {
            application: self.name.clone(),
            release: ReleaseDigest(present.release),
            phase,
            restarts: self.restarts,
            error: error.map(bounded),
            fallback: current.filter(|_| fell_back).map(|slot| ReleaseDigest(slot.release)),
            throttled: self.throttle.by(),
        })
    }

    /// Its state, in short.
    pub(super) fn pulse(&self, world: &World) -> Option<Pulse> {
        let phase = self.phase(world)?;
        Some(Pulse { application: self.name.clone(), phase, cpu_ms: self.cpu_ms, restarts: self.restarts })
    }

    /// The last word on an application that was erased.
    pub(super) fn farewell(&self) -> Report {
        Report {
            application: self.name.clone(),
            release: self.reported.as_ref().map_or(ReleaseDigest([0; 32]), |report| report.release),
            phase: Phase::Erased,
            restarts: 0,
            error: None,
            fallback: None,
            throttled: None,
        }
    }

    fn phase(&self, world: &World) -> Option<Phase> {
        let Desired::Present(present) = self.desired else { return None };
        if present.suspended {
            return Some(Phase::Suspended);
        }
        if self.gave_up(&present) {
            let instead = self.record.current.is_some_and(|slot| slot.release != present.release);
            return Some(if instead { Phase::FellBack } else { Phase::Failed });
        }
        let installed = self.record.current.is_some_and(|slot| slot.release == present.release);
        if !installed || !world.ready.contains_key(&present.release) {
            return Some(Phase::Fetching);
        }
        Some(match self.run {
            Run::Active { since: Some(_), .. } if self.record.confirmed => Phase::Running,
            Run::Active { .. } | Run::Idle | Run::Stopping { .. } => Phase::Starting,
            Run::Waiting { .. } => Phase::Restarting,
            Run::Finished { .. } => Phase::Finished,
            Run::Failed { .. } => Phase::Failed,
        })
    }
}

/// A reason as the protocol carries it.
fn bounded(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}
