//! What an application writes, as lines: split, bounded and throttled.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::rate::Rate;
use crate::{LINE_BYTES, Level, Line, Origin};

/// What an application writes to: standard output, or the log at a level. Each makes lines of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Log(Level),
}

impl Stream {
    const ALL: [Self; 5] = [
        Self::Output,
        Self::Log(Level::Error),
        Self::Log(Level::Warn),
        Self::Log(Level::Info),
        Self::Log(Level::Debug),
    ];

    fn index(self) -> usize {
        match self {
            Self::Output => 0,
            Self::Log(Level::Error) => 1,
            Self::Log(Level::Warn) => 2,
            Self::Log(Level::Info) => 3,
            Self::Log(Level::Debug) => 4,
        }
    }

    /// The stream that the SDK's `log` calls by this number.
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// The log of one application.
#[derive(Debug)]
pub(crate) struct Lines {
    rate: Rate,
    limit: u32,
    /// Of each stream, the line that has no end yet.
    pending: [Vec<u8>; Stream::ALL.len()],
    dropped: u64,
    /// How many of `dropped` a line has said.
    said: u64,
}

impl Lines {
    pub(crate) fn new(bytes_per_second: u32, now: Duration) -> Self {
        Self {
            rate: Rate::new(bytes_per_second, now),
            limit: bytes_per_second,
            pending: Default::default(),
            dropped: 0,
            said: 0,
        }
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a fragment: parts of lines, lines, or several.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8], now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut rest, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            loop {
                let room = LINE_BYTES - self.pending[stream.index()].len();
                let (fits, later) = rest.split_at(room.min(rest.len()));
                self.pending[stream.index()].extend_from_slice(fits);
                rest = later;
                if rest.is_empty() {
                    break;
                }
                self.finish(stream, now, sink);
            }
            if ends {
                self.finish(stream, now, sink);
                // The rest of a character that never came.
                self.pending[stream.index()].clear();
            }
        }
    }

    /// Gives out what has no line break yet.
    pub(crate) fn flush(&mut self, now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        for stream in Stream::ALL {
            while !self.pending[stream.index()].is_empty() {
                self.finish(stream, now, sink);
            }
        }
    }

    /// Counts lines that were not even looked at.
    pub(crate) fn count_dropped(&mut self, lines: u64) {
        self.dropped += lines;
    }

    /// Says how many lines were dropped since it was last said.
    pub(crate) fn say_dropped(&mut self, sink: &mut dyn FnMut(Line<'_>)) {
        let unsaid = self.dropped - self.said;
        if unsaid == 0 {
            return;
        }
        self.said = self.dropped;
        let text = format!("{unsaid} log lines dropped: more than {} bytes a second (config.ioLimit)", self.limit);
        sink(Line { level: Level::Warn, origin: Origin::Runtime, text: &text });
    }

    /// Gives out the pending line; a character that a full line cuts stays for the next.
    fn finish(&mut self, stream: Stream, now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        let mut line = core::mem::take(&mut self.pending[stream.index()]);
        let kept = line.split_off(whole_characters(&line));
        self.emit(stream, &line, now, sink);
        // The same buffer again, so that a line costs no allocation.
        line.clear();
        line.extend_from_slice(&kept);
        self.pending[stream.index()] = line;
    }

    fn emit(&mut self, stream: Stream, bytes: &[u8], now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        // A line counts with its break, so a flood of empty lines is one too.
        if !self.rate.take(bytes.len() + 1, now) {
            self.dropped += 1;
            return;
        }
        self.say_dropped(sink);
        let (level, origin) = match stream {
            Stream::Output => (Level::Info, Origin::Output),
            Stream::Log(level) => (level, Origin::Log),
        };
        sink(Line { level, origin, text: readable(bytes).trim_end() });
    }
}

/// The bytes as text of at most [`LINE_BYTES`], which replacement characters could exceed.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        let character = if character.is_control() { ' ' } else { character };
        if text.len() + character.len_utf8() > LINE_BYTES {
            break;
        }
        text.push(character);
    }
    text
}

/// How many bytes of a full line to give out now: all, but for the beginning of a character at its end.
fn whole_characters(line: &[u8]) -> usize {
    if line.len() < LINE_BYTES {
        return line.len();
    }
    let cut = match core::str::from_utf8(&line[line.len() - 4..]) {
        Ok(_) => None,
        // The last four bytes may start within a character: look for the beginning of the last one.
        Err(_) => (line.len() - 3..line.len()).rev().find(|i| line[*i] & 0xC0 == 0xC0),
    };
    match cut {
        Some(start) if core::str::from_utf8(&line[start..]).is_err() => start,
        _ => line.len(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    fn collect(rate: u32, work: impl FnOnce(&mut Lines, &mut dyn FnMut(Line<'_>))) -> Vec<(Level, Origin, String)> {
        let mut lines = Vec::new();
        let mut log = Lines::new(rate, Duration::ZERO);
        work(&mut log, &mut |line| {
            assert!(line.text.len() <= LINE_BYTES);
            lines.push((line.level, line.origin, line.text.to_owned()));
        });
        lines
    }

    fn texts(lines: &[(Level, Origin, String)]) -> Vec<&str> {
        lines.iter().map(|(_, _, text)| text.as_str()).collect()
    }

    #[test]
    fn fragments_become_lines() {
        let lines = collect(10_000, |log, sink| {
            log.write(Stream::Output, b"one ", Duration::ZERO, sink);
            log.write(Stream::Log(Level::Error), b"oops\n", Duration::ZERO, sink);
            log.write(Stream::Output, b"line\nand another\nrest", Duration::ZERO, sink);
            log.flush(Duration::ZERO, sink);
        });
        assert_eq!(texts(&lines), ["oops", "one line", "and another", "rest"]);
        assert_eq!((lines[0].0, lines[0].1), (Level::Error, Origin::Log));
        assert_eq!((lines[1].0, lines[1].1), (Level::Info, Origin::Output));
    }

    #[test]
    fn long_lines_come_in_pieces_that_do_not_cut_a_character() {
        let long = "\u{e4}".repeat(LINE_BYTES) + "x";
        for shift in ["", "a"] {
            let text = format!("{shift}{long}");
            let written = collect(100_000, |log, sink| {
                for piece in text.as_bytes().chunks(7) {
                    log.write(Stream::Output, piece, Duration::ZERO, sink);
                }
                log.flush(Duration::ZERO, sink);
            });
            let logged = collect(100_000, |log, sink| {
                log.write(Stream::Log(Level::Info), format!("{text}\n").as_bytes(), Duration::ZERO, sink);
            });
            assert_eq!(texts(&written).concat(), text);
            assert_eq!(texts(&logged).concat(), text);
            assert!(logged.len() >= 3);
        }
    }

    #[test]
    fn a_flood_is_dropped_counted_and_said() {
        let lines = collect(100, |log, sink| {
            for _ in 0..1000 {
                log.write(Stream::Output, b"123456789\n", Duration::ZERO, sink);
            }
            assert_eq!(log.dropped(), 980);
            log.write(Stream::Output, b"later\n", Duration::from_secs(1), sink);
        });
        assert_eq!(lines.len(), 22);
        assert_eq!(lines[20].2, "980 log lines dropped: more than 100 bytes a second (config.ioLimit)");
        assert_eq!((lines[20].0, lines[20].1), (Level::Warn, Origin::Runtime));
        assert_eq!(lines[21].2, "later");
    }

    #[test]
    fn nothing_in_a_line_can_disturb_a_terminal() {
        let lines = collect(10_000, |log, sink| {
            log.write(Stream::Log(Level::Warn), b"\x1b[2Jred\x07\xff\r\n", Duration::ZERO, sink);
            log.write(Stream::Log(Level::Warn), &[0xff; 2000], Duration::ZERO, sink);
        });
        assert_eq!(lines[0].2, " [2Jred \u{fffd}");
        assert!(lines.len() > 2);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_bounded_lines(bytes: Vec<u8>, size in 1_usize..700) {
            collect(u32::MAX / 4, |log, sink| {
                let many: Vec<u8> = bytes.iter().copied().cycle().take(bytes.len() * 20).collect();
                for piece in many.chunks(size) {
                    log.write(Stream::Output, piece, Duration::ZERO, sink);
                    log.write(Stream::Log(Level::Debug), piece, Duration::ZERO, sink);
                }
                log.flush(Duration::ZERO, sink);
            });
        }
    }
}
