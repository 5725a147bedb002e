//! The recent changes of one kind, so that a watch can go on where it was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::object::Stored;

/// How many changes of a kind are remembered at most.
const MAX_EVENTS: usize = 8192;
/// How many bytes of objects they may hold at most.
const MAX_BYTES: usize = 8 << 20;

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) key: Arc<str>,
    pub(crate) before: Option<Arc<Stored>>,
    /// `None`: it was deleted.
    pub(crate) after: Option<Arc<Stored>>,
}

impl Event {
    fn bytes(&self) -> usize {
        let of = |object: &Option<Arc<Stored>>| object.as_ref().map_or(0, |object| object.json().len());
        of(&self.before) + of(&self.after)
    }
}

/// What was asked for happened before the oldest change that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOld {
    /// The oldest version that can be asked for.
    pub(crate) floor: u64,
}

#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<Event>,
    bytes: usize,
    floor: u64,
}

impl History {
    /// A history that begins after `floor`.
    pub(super) fn new(floor: u64) -> Self {
        Self { events: VecDeque::new(), bytes: 0, floor }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
            self.floor = oldest.version;
        }
    }

    /// Every change after `version`, oldest first.
    pub(super) fn after(&self, version: u64) -> Result<impl DoubleEndedIterator<Item = &Event>, TooOld> {
        if version < self.floor {
            return Err(TooOld { floor: self.floor });
        }
        let start = self.events.partition_point(|event| event.version <= version);
        Ok(self.events.range(start..))
    }

    /// The objects as they were at `version`, where they differ from now.
    pub(super) fn as_it_was(&self, version: u64) -> Result<BTreeMap<Arc<str>, Option<Arc<Stored>>>, TooOld> {
        let mut then = BTreeMap::new();
        for event in self.after(version)?.rev() {
            then.insert(event.key.clone(), event.before.clone());
        }
        Ok(then)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::Draft;

    fn object(version: u64, size: usize) -> Arc<Stored> {
        Arc::new(Draft::new(&json!({"metadata": {"uid": "u"}, "data": "x".repeat(size)})).at_version(version))
    }

    fn event(version: u64, key: &str, before: Option<u64>, after: bool) -> Event {
        Event {
            version,
            key: key.into(),
            before: before.map(|version| object(version, 1)),
            after: after.then(|| object(version, 1)),
        }
    }

    #[test]
    fn changes_after_a_version_come_in_order() {
        let mut history = History::new(10);
        for version in 11..15 {
            history.push(event(version, "a", None, true));
        }
        let versions: Vec<u64> = history.after(12).unwrap().map(|event| event.version).collect();
        assert_eq!(versions, [13, 14]);
        assert_eq!(history.after(10).unwrap().count(), 4);
        assert_eq!(history.after(9).err(), Some(TooOld { floor: 10 }));
    }

    #[test]
    fn the_past_is_reconstructed_from_what_was_before() {
        let mut history = History::new(0);
        history.push(event(1, "a", None, true));
        history.push(event(2, "a", Some(1), true));
        history.push(event(3, "a", Some(2), false));
        history.push(event(4, "b", None, true));
        let then = history.as_it_was(1).unwrap();
        assert_eq!(then["a"].as_ref().unwrap().version, 1);
        assert_eq!(then["b"], None);
        assert!(history.as_it_was(4).unwrap().is_empty());
    }

    #[test]
    fn what_is_too_much_is_forgotten_oldest_first() {
        let mut history = History::new(0);
        for version in 1..=(MAX_EVENTS as u64 + 5) {
            history.push(event(version, "a", None, true));
        }
        assert_eq!(history.events.len(), MAX_EVENTS);
        assert_eq!(history.after(4).err(), Some(TooOld { floor: 5 }));
        assert!(history.after(5).is_ok());
        let mut history = History::new(0);
        for version in 1..=3 {
            history.push(Event { version, key: "a".into(), before: None, after: Some(object(version, MAX_BYTES / 2)) });
        }
        assert_eq!(history.events.len(), 1);
    }
}
