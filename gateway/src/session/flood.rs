//! What applications say, up to a rate. Devices bound their applications already; this holds a device that does not.

use std::time::{Duration, Instant};

use wasmbed_protocol::message::{Level, Log, Output};
use wasmbed_streams::live::LiveKind;

use super::Action;
use crate::rate::{Meter, Rate};

/// Lines of a device: 50 a second, 200 at once.
const LINES: Rate = Rate { period: Duration::from_millis(20), burst: 200 };
/// Outputs of a device: 50 a second, 200 at once.
const OUTPUTS: Rate = Rate { period: Duration::from_millis(20), burst: 200 };

#[derive(Debug, Default)]
pub(super) struct Flood {
    lines: Meter,
    outputs: Meter,
    dropped: u64,
}

impl Flood {
    pub(super) fn log(&mut self, log: Log, now: Instant) -> Vec<Action> {
        if self.lines.count(LINES, now).is_err() {
            self.dropped += 1;
            return Vec::new();
        }
        let mut actions = self.confess(&log.application, log.dropped);
        let kind = LiveKind::Log { level: word(log.level).to_owned(), text: log.text };
        actions.push(Action::Live { application: log.application, kind });
        actions
    }

    pub(super) fn output(&mut self, output: Output, now: Instant) -> Vec<Action> {
        if self.outputs.count(OUTPUTS, now).is_err() {
            self.dropped += 1;
            return Vec::new();
        }
        let application = Some(output.application);
        let mut actions = self.confess(&application, output.dropped);
        let kind = LiveKind::Output { topic: output.topic, payload: output.payload };
        actions.push(Action::Live { application, kind });
        actions
    }

    /// Says what is missing before what comes next.
    fn confess(&mut self, application: &Option<String>, by_device: Option<u32>) -> Vec<Action> {
        let warn = |text: String| Action::Live {
            application: application.clone(),
            kind: LiveKind::Log { level: "warn".to_owned(), text },
        };
        let mut actions = Vec::new();
        if let Some(count) = by_device.filter(|count| *count > 0) {
            actions.push(warn(format!("{count} dropped by the device: more than its limits allow")));
        }
        if self.dropped > 0 {
            actions.push(warn(format!("{} dropped by the gateway: more than 50 a second", self.dropped)));
            self.dropped = 0;
        }
        actions
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Stdout => "output",
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}
