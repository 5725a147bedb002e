//! Lines of a process, waited for one condition at a time.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Far beyond what any step takes on a slow and busy machine.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// The lines of a stream, read by a thread of their own.
pub struct Lines {
    what: String,
    lines: Receiver<String>,
    /// The last lines, for the message when a wait fails.
    seen: Vec<String>,
}

impl Lines {
    /// Reads `stream` to its end.
    pub fn of(what: &str, stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { what: what.to_owned(), lines, seen: Vec::new() }
    }

    /// The next line that is `wanted`; those before it are passed over.
    pub fn next<T>(&mut self, why: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.seen.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(error) => {
                    let tail = &self.seen[self.seen.len().saturating_sub(15)..];
                    let how = match error {
                        RecvTimeoutError::Timeout => "did not come",
                        RecvTimeoutError::Disconnected => "cannot come, the process ended",
                    };
                    panic!("{}: {why}: {how}; last lines:\n{}", self.what, tail.join("\n"));
                }
            }
        }
    }

    /// Passes over what is there already.
    pub fn skip(&mut self) {
        self.pass(|_| {});
    }

    /// As [`Lines::skip`], and looks at each.
    pub fn pass(&mut self, mut look: impl FnMut(&str)) {
        while let Ok(line) = self.lines.try_recv() {
            look(&line);
            self.seen.push(line);
        }
    }
}

/// Waits until `holds`, and says what was last seen if it never does.
pub fn wait_for<T: std::fmt::Debug>(why: &str, mut look: impl FnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{why}: still {seen:#?}");
        // Asked again, not slept over: the condition above decides.
        std::thread::sleep(Duration::from_millis(50));
    }
}
