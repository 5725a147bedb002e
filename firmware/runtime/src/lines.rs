//! What an application writes, as lines: split, bounded and throttled.

use std::time::Duration;

use crate::rate::Rate;
use crate::{LINE_BYTES, Level, Line, Origin};

/// The log of one application.
#[derive(Debug)]
pub(crate) struct Lines {
    rate: Rate,
    limit: u32,
    output: Vec<u8>,
    error_output: Vec<u8>,
    dropped: u64,
    /// How many of `dropped` a line has said.
    said: u64,
}

impl Lines {
    pub(crate) fn new(bytes_per_second: u32, now: Duration) -> Self {
        Self {
            rate: Rate::new(bytes_per_second, now),
            limit: bytes_per_second,
            output: Vec::new(),
            error_output: Vec::new(),
            dropped: 0,
            said: 0,
        }
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a fragment of standard output or standard error.
    pub(crate) fn write(&mut self, origin: Origin, bytes: &[u8], now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let mut rest = text;
            loop {
                let room = LINE_BYTES - self.pending(origin).len();
                let (now_fits, later) = rest.split_at(room.min(rest.len()));
                self.pending(origin).extend_from_slice(now_fits);
                rest = later;
                if rest.is_empty() {
                    break;
                }
                self.finish(origin, now, sink);
            }
            if ends {
                self.finish(origin, now, sink);
            }
        }
    }

    /// Takes whole lines at a level.
    pub(crate) fn log(&mut self, level: Level, bytes: &[u8], now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut rest = line;
            loop {
                let piece = rest.len().min(character_boundary(rest, LINE_BYTES));
                let (first, later) = rest.split_at(piece);
                self.emit(level, Origin::Log, first, now, sink);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
    }

    /// Gives out what has no line break yet.
    pub(crate) fn flush(&mut self, now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        for origin in [Origin::Output, Origin::ErrorOutput] {
            if !self.pending(origin).is_empty() {
                self.finish(origin, now, sink);
            }
        }
    }

    /// Counts lines that were not even looked at.
    pub(crate) fn count_dropped(&mut self, lines: u64) {
        self.dropped += lines;
    }

    /// Says how many lines were dropped since it was last said; at the end, whatever the rate.
    pub(crate) fn say_dropped(&mut self, sink: &mut dyn FnMut(Line<'_>)) {
        let unsaid = self.dropped - self.said;
        if unsaid == 0 {
            return;
        }
        self.said = self.dropped;
        let text = format!("{unsaid} log lines dropped: more than {} bytes a second (config.ioLimit)", self.limit);
        sink(Line { level: Level::Warn, origin: Origin::Runtime, text: &text });
    }

    fn pending(&mut self, origin: Origin) -> &mut Vec<u8> {
        match origin {
            Origin::ErrorOutput => &mut self.error_output,
            Origin::Output | Origin::Log | Origin::Runtime => &mut self.output,
        }
    }

    /// Gives out the pending line, but for a character that is not complete at the end of a full one.
    fn finish(&mut self, origin: Origin, now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        let mut line = core::mem::take(self.pending(origin));
        let kept =
            if line.len() >= LINE_BYTES { line.split_off(character_boundary(&line, LINE_BYTES)) } else { Vec::new() };
        let level = if origin == Origin::ErrorOutput { Level::Error } else { Level::Info };
        self.emit(level, origin, &line, now, sink);
        line.clear();
        line.extend_from_slice(&kept);
        *self.pending(origin) = line;
    }

    fn emit(&mut self, level: Level, origin: Origin, bytes: &[u8], now: Duration, sink: &mut dyn FnMut(Line<'_>)) {
        // A line counts with its break, so a flood of empty lines is one too.
        if !self.rate.take(bytes.len() + 1, now) {
            self.dropped += 1;
            return;
        }
        self.say_dropped(sink);
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

/// The last boundary of a UTF-8 character in the first `longest` bytes, or `longest` if what is there is not UTF-8.
fn character_boundary(bytes: &[u8], longest: usize) -> usize {
    if bytes.len() <= longest && core::str::from_utf8(bytes).is_ok() {
        return longest;
    }
    let end = longest.min(bytes.len());
    let start_of_last = (end.saturating_sub(4)..end).rev().find(|i| bytes[*i] & 0xC0 != 0x80);
    match start_of_last {
        // The last character is whole if it decodes.
        Some(start) if start > 0 && core::str::from_utf8(&bytes[start..end]).is_err() => start,
        _ => longest,
    }
}

#[cfg(test)]
mod tests {
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
            log.write(Origin::Output, b"one ", Duration::ZERO, sink);
            log.write(Origin::ErrorOutput, b"oops\n", Duration::ZERO, sink);
            log.write(Origin::Output, b"line\nand another\nrest", Duration::ZERO, sink);
            log.flush(Duration::ZERO, sink);
        });
        assert_eq!(texts(&lines), ["oops", "one line", "and another", "rest"]);
        assert_eq!((lines[0].0, lines[0].1), (Level::Error, Origin::ErrorOutput));
        assert_eq!((lines[1].0, lines[1].1), (Level::Info, Origin::Output));
    }

    #[test]
    fn long_lines_come_in_pieces_that_do_not_cut_a_character() {
        let long = "\u{e4}".repeat(LINE_BYTES) + "x";
        for shift in ["", "a"] {
            let text = format!("{shift}{long}");
            let written = collect(100_000, |log, sink| {
                for piece in text.as_bytes().chunks(7) {
                    log.write(Origin::Output, piece, Duration::ZERO, sink);
                }
                log.flush(Duration::ZERO, sink);
            });
            let logged = collect(100_000, |log, sink| log.log(Level::Info, text.as_bytes(), Duration::ZERO, sink));
            assert_eq!(texts(&written).concat(), text);
            assert_eq!(texts(&logged).concat(), text);
            assert!(logged.len() >= 3);
        }
    }

    #[test]
    fn a_flood_is_dropped_counted_and_said() {
        let lines = collect(100, |log, sink| {
            for _ in 0..1000 {
                log.write(Origin::Output, b"123456789\n", Duration::ZERO, sink);
            }
            assert_eq!(log.dropped(), 980);
            log.write(Origin::Output, b"later\n", Duration::from_secs(1), sink);
        });
        assert_eq!(lines.len(), 22);
        assert_eq!(lines[20].2, "980 log lines dropped: more than 100 bytes a second (config.ioLimit)");
        assert_eq!((lines[20].0, lines[20].1), (Level::Warn, Origin::Runtime));
        assert_eq!(lines[21].2, "later");
    }

    #[test]
    fn nothing_in_a_line_can_disturb_a_terminal() {
        let lines = collect(10_000, |log, sink| {
            log.log(Level::Warn, b"\x1b[2Jred\x07\xff\r", Duration::ZERO, sink);
            log.log(Level::Warn, &[0xff; 2000], Duration::ZERO, sink);
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
                    log.write(Origin::Output, piece, Duration::ZERO, sink);
                    log.log(Level::Debug, piece, Duration::ZERO, sink);
                }
                log.flush(Duration::ZERO, sink);
            });
        }
    }
}
