//! One application while it runs: what its host functions work on.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::driver::{Counts, Driver};
use crate::guest::{Answer, Guest};
use crate::handles::Handles;
use crate::imports::Import;
use crate::lines::{Lines, Stream};
use crate::rate::Rate;
use crate::wamr::{Flow, Guide, Turns};
use crate::{Application, Grants, Host, Line, Outcome};

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
    driver: Box<dyn Driver>,
    lines: Lines,
    counts: Counts,
    outcome: Option<Outcome>,
}

impl Session {
    /// With an application's grants, arguments, configuration and limits.
    pub(crate) fn new(application: &Application<'_>, mut host: Box<dyn Host>, driver: Box<dyn Driver>) -> Self {
        let Application { limits, grants, args, env, .. } = application;
        let now = host.uptime();
        Self {
            grants: grants.clone(),
            args: args.clone(),
            env: env.clone(),
            handles: Handles::default(),
            publish_rate: Rate::new(limits.publish_per_s, now),
            publish_bytes_rate: Rate::new(limits.publish_bytes_per_s, now),
            probe_rate: Rate::new(limits.probe_per_s, now),
            lines: Lines::new(limits.log_bytes_per_s, now),
            counts: Counts::default(),
            outcome: None,
            driver,
            host,
        }
    }

    /// Tells the platform that the program starts, unless it is already to end.
    pub(crate) fn begin(&mut self) -> bool {
        let goes_on = !self.driver.is_stopping();
        if goes_on {
            self.host.started();
        }
        goes_on
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
        self.counts.log_lines_dropped = self.lines.dropped();
        self.driver.count(self.counts);
    }

    /// Counts a message.
    pub(crate) fn count_message(&mut self, published: bool) {
        if published {
            self.counts.published += 1;
        } else {
            self.counts.publish_refused += 1;
        }
        self.driver.count(self.counts);
    }

    /// Sleeps until the time has passed or the application is stopped. What it wrote is given out first.
    pub(crate) fn sleep(&mut self, time: Duration) -> Answer {
        self.flush();
        if self.driver.sleep(time) { Answer::Nothing } else { Answer::Stopped }
    }

    /// CPU time it has used, to now.
    pub(crate) fn cpu(&mut self) -> Duration {
        self.driver.cpu()
    }

    /// After the interpreter is back: gives out what is left of the log.
    pub(crate) fn finish(&mut self) -> Option<Outcome> {
        self.with_lines(|lines, now, sink| {
            lines.flush(now, sink);
            lines.say_dropped(sink);
        });
        self.outcome.take()
    }
}

impl Turns for Session {
    fn allow(&mut self, allowed: bool) {
        self.driver.allow_turns(allowed);
    }
}

impl Guide for Session {
    fn stack_end(&self) -> usize {
        self.driver.stack_end()
    }

    fn call(&mut self, import: &'static Import, cells: &[u64], memory: &mut [u8]) -> Flow {
        let answer = (import.call)(self, &mut Guest::new(cells, memory));
        if self.driver.is_stopping() {
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
        self.driver.checkpoint()
    }
}
