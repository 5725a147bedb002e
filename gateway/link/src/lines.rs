//! A device's log, cut into lines.

use crate::event::Event;

/// Longest line that is kept together, in bytes.
const LONGEST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    /// Text before this line is missing.
    after_gap: bool,
}

impl Lines {
    /// Takes log bytes, in which zero stands for missing text; tells each line that is whole.
    pub(crate) fn take(&mut self, bytes: &[u8], tell: &dyn Fn(Event)) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end(tell),
                0 => {
                    self.end(tell);
                    self.after_gap = true;
                }
                b'\r' => {}
                byte => {
                    self.line.push(byte);
                    if self.line.len() == LONGEST {
                        self.end(tell);
                    }
                }
            }
        }
    }

    /// Tells what is there of the line that was begun.
    pub(crate) fn end(&mut self, tell: &dyn Fn(Event)) {
        if !self.line.is_empty() {
            let text = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            tell(Event::Log { text, after_gap: std::mem::take(&mut self.after_gap) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{Event, LONGEST, Lines};

    fn told(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let told = RefCell::new(Vec::new());
        let mut lines = Lines::default();
        for piece in pieces {
            lines.take(piece, &|event| match event {
                Event::Log { text, after_gap } => told.borrow_mut().push((text, after_gap)),
                other => panic!("{other:?}"),
            });
        }
        told.into_inner()
    }

    #[test]
    fn lines_are_whole_however_they_are_cut() {
        let is = [("one".to_owned(), false), ("zwei \u{e4}".to_owned(), false)];
        assert_eq!(told(&[b"on", b"e\r\nzwei \xC3", b"\xA4\n"]), is);
    }

    #[test]
    fn a_gap_is_marked_at_the_line_behind_it() {
        let is = [("a".to_owned(), false), ("b".to_owned(), true), ("c".to_owned(), false)];
        assert_eq!(told(&[b"a\0b\nc\n"]), is);
    }

    #[test]
    fn a_line_that_never_ends_is_cut() {
        let told = told(&[&[b'x'; 3 * LONGEST]]);
        assert_eq!(told.len(), 3);
    }
}
