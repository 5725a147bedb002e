//! The applications on a device, as it tells of them.

use std::collections::BTreeMap;

use wasmbed_api::{DeviceApplication, Digest, InstancePhase, Name, Throttled};
use wasmbed_protocol::limits::MAX_APPLICATIONS;
use wasmbed_protocol::message::{Phase, Pulse, Report};
use wasmbed_streams::live::LiveKind;

/// The last word on each application. Reports bring changes; heartbeats put right what a lost report left wrong.
#[derive(Debug, Default)]
pub(crate) struct Applications(BTreeMap<String, Report>);

/// What a report changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Nothing,
    /// What a status says, and nothing that those who watch are told.
    Status,
    /// Where the application is.
    Phase(LiveKind),
}

impl Applications {
    /// As told in `Hello`.
    pub(crate) fn new(running: Vec<Report>) -> Self {
        let mut applications = Self::default();
        for report in running {
            applications.report(report);
        }
        applications
    }

    /// Takes a report; gives what changed.
    pub(crate) fn report(&mut self, report: Report) -> Change {
        let kind = LiveKind::Phase { phase: word(report.phase).to_owned(), reason: report.error.clone() };
        if report.phase == Phase::Erased {
            return self.0.remove(&report.application).map_or(Change::Nothing, |_| Change::Phase(kind));
        }
        if self.0.len() >= MAX_APPLICATIONS && !self.0.contains_key(&report.application) {
            return Change::Nothing;
        }
        let Some(mut before) = self.0.insert(report.application.clone(), report.clone()) else {
            return Change::Phase(kind);
        };
        if before == report {
            return Change::Nothing;
        }
        before.throttled = report.throttled;
        if before == report { Change::Status } else { Change::Phase(kind) }
    }

    /// Takes a heartbeat: what it does not name is gone, and the phases it names are right.
    pub(crate) fn pulse(&mut self, pulses: &[Pulse]) {
        self.0.retain(|application, _| pulses.iter().any(|pulse| pulse.application == *application));
        for pulse in pulses {
            if let Some(report) = self.0.get_mut(&pulse.application) {
                if report.phase != pulse.phase {
                    // The reason belonged to the phase it was reported with.
                    report.error = None;
                    report.fallback = None;
                    report.throttled = None;
                }
                report.phase = pulse.phase;
                report.restarts = pulse.restarts;
            }
        }
    }

    /// As a Device's status holds them. A name that is none of Kubernetes' is left out.
    pub(crate) fn to_status(&self) -> Vec<DeviceApplication> {
        let application = |report: &Report| {
            Some(DeviceApplication {
                name: report.application.parse::<Name>().ok()?,
                release: Digest::from_bytes(report.release.0),
                phase: instance_phase(report.phase)?,
                error: report.error.clone(),
                restarts: report.restarts,
                throttled: report.throttled.map(throttled),
            })
        };
        self.0.values().filter_map(application).collect()
    }
}

fn instance_phase(phase: Phase) -> Option<InstancePhase> {
    Some(match phase {
        Phase::Fetching => InstancePhase::Fetching,
        Phase::Starting => InstancePhase::Starting,
        Phase::Running => InstancePhase::Running,
        Phase::Finished => InstancePhase::Completed,
        Phase::Suspended => InstancePhase::Suspended,
        Phase::Restarting => InstancePhase::Restarting,
        Phase::Failed => InstancePhase::Failed,
        Phase::FellBack => InstancePhase::FellBack,
        Phase::Erased => return None,
    })
}

fn throttled(by: wasmbed_protocol::message::Throttled) -> Throttled {
    match by {
        wasmbed_protocol::message::Throttled::CpuTime => Throttled::CpuTime,
        wasmbed_protocol::message::Throttled::Log => Throttled::Log,
        wasmbed_protocol::message::Throttled::Output => Throttled::Output,
    }
}

/// The word of [`InstancePhase`] for a phase, and `Erased`.
fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Fetching => "Fetching",
        Phase::Starting => "Starting",
        Phase::Running => "Running",
        Phase::Finished => "Completed",
        Phase::Suspended => "Suspended",
        Phase::Restarting => "Restarting",
        Phase::Failed => "Failed",
        Phase::FellBack => "FellBack",
        Phase::Erased => "Erased",
    }
}
