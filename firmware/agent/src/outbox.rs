//! What waits to be told to a gateway: reports, of which only the latest counts, and lines and outputs, of which
//! the oldest go when there are too many.

use alloc::collections::VecDeque;
use alloc::string::String;

use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::message::{Log, Output, Report};

use crate::map::Map;

/// Most bytes of lines and outputs that wait; it bounds the agent's memory and what is kept while offline.
pub(crate) const MAX_OUTBOX: usize = 8 * 1024;
/// What an entry costs besides its text: its place in the queue, and the allocator's account of its texts. So there are 62 at
/// most, and the queue, which doubles, never asks for room for more than 64.
const ENTRY: usize = 132;
/// Lines and outputs go at forty a second, after this many at once: within what a gateway takes of one device, so that
/// what is too much is dropped here, where it is known who made it.
const PERIOD_MS: u64 = 25;
const BURST: u64 = 150;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    reports: Map<String, Report>,
    entries: VecDeque<Entry>,
    size: usize,
    dropped: Map<Source, u32>,
    /// When all that was sent would have been sent, had it gone at an even pace.
    paid_until: u64,
}

/// Whose entries are counted together: an application's lines, an application's outputs, the agent's lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    application: Option<String>,
    output: bool,
}

#[derive(Debug)]
enum Entry {
    Log(Log),
    Output(Output),
}

impl Entry {
    fn size(&self) -> usize {
        let (application, text) = match self {
            Self::Log(log) => (log.application.as_ref().map_or(0, String::len), log.text.len()),
            Self::Output(output) => (output.application.len(), output.topic.len() + output.payload.len()),
        };
        ENTRY + application + text
    }

    fn source(&self) -> Source {
        match self {
            Self::Log(log) => Source { application: log.application.clone(), output: false },
            Self::Output(output) => Source { application: Some(output.application.clone()), output: true },
        }
    }
}

impl Outbox {
    /// Takes in a state; an earlier one of the same application that still waits is out of date.
    pub(crate) fn report(&mut self, report: Report) {
        self.reports.insert(report.application.clone(), report);
    }

    /// A new session begins with the whole state in its `Hello`.
    pub(crate) fn forget_reports(&mut self) {
        self.reports.clear();
    }

    pub(crate) fn log(&mut self, log: Log) {
        self.push(Entry::Log(log));
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.push(Entry::Output(output));
    }

    /// The next thing to say: states first, then lines and outputs in their order and at their pace.
    pub(crate) fn next(&mut self, now: u64) -> Option<DeviceMessage> {
        if let Some((_, report)) = self.reports.pop_first() {
            return Some(report.into());
        }
        if self.next_deadline().is_some_and(|deadline| now < deadline) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.paid_until = self.paid_until.max(now) + PERIOD_MS;
        self.size -= entry.size();
        let dropped = self.dropped.remove(&entry.source());
        Some(match entry {
            Entry::Log(log) => Log { dropped, ..log }.into(),
            Entry::Output(output) => Output { dropped, ..output }.into(),
        })
    }

    /// When the next line or output may go, if one waits.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        (!self.entries.is_empty()).then(|| self.paid_until.saturating_sub(BURST * PERIOD_MS))
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.size();
        self.entries.push_back(entry);
        while self.size > MAX_OUTBOX {
            self.drop_one();
        }
    }

    /// Drops the oldest entry of who takes most of the room, so that a flood costs the one who makes it.
    fn drop_one(&mut self) {
        let mut sizes: Map<Source, usize> = Map::default();
        for entry in &self.entries {
            *sizes.get_or_insert_with(entry.source(), || 0) += entry.size();
        }
        let Some((greediest, _)) = sizes.iter().max_by_key(|(_, size)| **size) else { return };
        let Some(oldest) = self.entries.iter().position(|entry| entry.source() == *greediest) else { return };
        if let Some(entry) = self.entries.remove(oldest) {
            self.size -= entry.size();
            let dropped = self.dropped.get_or_insert_with(greediest.clone(), || 0);
            *dropped = dropped.saturating_add(1);
        }
    }
}

/// Text as the protocol carries it: no more than `most` bytes, cut at a character.
pub(crate) fn bounded(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
