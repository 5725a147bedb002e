//! One application while it runs: what its host functions work on.

use core::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::control::Control;
use crate::guest::{Answer, Guest};
use crate::handles::Handles;
use crate::imports::Import;
use crate::lines::{Lines, Stream};
use crate::pace::Pace;
use crate::rate::Rate;
use crate::wamr::{Flow, Guide};
use crate::{Application, Grants, Host, Limits, Line, Outcome};

/// An application's side of the host functions.
pub(crate) struct Session {
    pub(crate) host: Box<dyn Host>,
    pub(crate) grants: Grants,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) handles: Handles,
    pub(crate) publish_rate: Rate,
    pub(crate) publish_bytes_rate: Rate,
    pub(crate) probe_rate: Rate,
    pub(crate) control: Arc<Control>,
    lines: Lines,
    pace: Pace,
    outcome: Option<Outcome>,
}

impl Session {
    /// On the thread that will run the application, whose CPU time is counted from now.
    pub(crate) fn new(
        limits: &Limits,
        grants: Grants,
        args: Vec<String>,
        env: Vec<(String, String)>,
        mut host: Box<dyn Host>,
        control: Arc<Control>,
    ) -> Self {
        let now = host.uptime();
        Self {
            grants,
            args,
            env,
            handles: Handles::default(),
            publish_rate: Rate::new(limits.publish_per_s, now),
            publish_bytes_rate: Rate::new(limits.publish_bytes_per_s, now),
            probe_rate: Rate::new(limits.probe_per_s, now),
            lines: Lines::new(limits.log_bytes_per_s, now),
            pace: Pace::new(limits.cpu_ms_per_s),
            outcome: None,
            control,
            host,
        }
    }

    /// Takes a fragment of what the application writes.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        self.with_lines(|lines, now, sink| lines.write(stream, bytes, now, sink));
    }

    /// Counts text that was too long to look at as dropped.
    pub(crate) fn drop_text(&mut self) {
        self.with_lines(|lines, _, _| lines.count_dropped(1));
    }

    /// Gives out unfinished lines.
    pub(crate) fn flush(&mut self) {
        self.with_lines(Lines::flush);
    }

    fn with_lines(&mut self, work: impl FnOnce(&mut Lines, Duration, &mut dyn FnMut(Line<'_>))) {
        let now = self.host.uptime();
        let host = &mut self.host;
        work(&mut self.lines, now, &mut |line| host.log(line));
        self.control.log_lines_dropped.store(self.lines.dropped(), Ordering::Relaxed);
    }

    /// Sleeps until the time has passed or the application is stopped. What it wrote is given out first.
    pub(crate) fn sleep(&mut self, time: Duration) -> Answer {
        self.flush();
        // So that the time asleep earns the CPU share it should, and the statistics are right meanwhile.
        self.pace.settle(&self.control);
        if self.control.sleep(time) { Answer::Nothing } else { Answer::Stopped }
    }

    /// CPU time it has used, to now.
    pub(crate) fn cpu(&mut self) -> Duration {
        self.pace.settle(&self.control);
        self.control.stats().cpu
    }

    /// After the interpreter is back: gives out what is left of the log and brings the account up to date.
    pub(crate) fn finish(&mut self) -> Option<Outcome> {
        self.with_lines(|lines, now, sink| {
            lines.flush(now, sink);
            lines.say_dropped(sink);
        });
        self.pace.settle(&self.control);
        self.outcome.take()
    }
}

impl Guide for Session {
    fn call(&mut self, import: &'static Import, cells: &[u64], memory: &mut [u8]) -> Flow {
        let answer = (import.call)(self, &mut Guest::new(cells, memory));
        if self.control.is_stopping() {
            return Flow::End;
        }
        match answer {
            Answer::Nothing => Flow::Continue(0),
            // WAMR takes the lower half of the cell.
            Answer::I32(value) => Flow::Continue(u64::from(value.cast_unsigned())),
            Answer::I64(value) => Flow::Continue(value.cast_unsigned()),
            Answer::Stopped => Flow::End,
            Answer::End(outcome) => {
                self.outcome = Some(outcome);
                Flow::End
            }
        }
    }

    fn pause(&mut self) -> Option<NonZeroU32> {
        self.pace.checkpoint(&self.control)
    }
}

/// What of an application its thread needs.
pub(crate) struct Belongings {
    pub(crate) grants: Grants,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl From<&Application<'_>> for Belongings {
    fn from(application: &Application<'_>) -> Self {
        Self { grants: application.grants.clone(), args: application.args.clone(), env: application.env.clone() }
    }
}
