//! The outgoing half of a stream: keeps every byte until the other end has it.

use super::ring::Ring;
use super::round_trip::RoundTrip;
use super::{MAX_DATA, before};

/// A limit further ahead than this is not one that any receiver gives.
const FURTHEST_LIMIT: u32 = 1 << 24;

#[derive(Debug)]
pub(super) struct Sender<const N: usize> {
    /// From `acked` on: what is not known to have come, and what was not sent yet.
    bytes: Ring<N>,
    acked: u32,
    /// Next to be sent.
    sent: u32,
    /// Behind the last byte that was ever sent.
    furthest: u32,
    /// The other end takes bytes before it.
    limit: u32,
    /// When to send again, or to ask for a limit, if nothing comes.
    timer: Option<u64>,
    round_trip: RoundTrip,
    /// What is being measured: when this offset is acknowledged, and when its bytes went.
    timed: Option<(u32, u64)>,
    /// Nothing came in time: one packet at a time until something does.
    cautious: bool,
    /// The gap that was answered last: other packets that were under way report the same one.
    gap: Option<u32>,
    /// An empty packet is to be sent.
    probe: bool,
    /// Any answer is wanted, though nothing is under way.
    asking: bool,
}

impl<const N: usize> Sender<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Ring::new(),
            acked: 0,
            sent: 0,
            furthest: 0,
            limit: 0,
            timer: None,
            round_trip: RoundTrip::new(),
            timed: None,
            cautious: false,
            gap: None,
            probe: false,
            asking: false,
        }
    }

    /// At the start of a stream. How long answers take on this line stays known.
    pub(super) fn start(&mut self, limit: u32) {
        self.bytes.clear();
        self.acked = 0;
        self.sent = 0;
        self.furthest = 0;
        self.limit = if limit <= FURTHEST_LIMIT { limit } else { 0 };
        self.timer = None;
        self.round_trip.answered();
        self.timed = None;
        self.cautious = false;
        self.gap = None;
        self.probe = false;
        self.asking = false;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        self.bytes.push(bytes)
    }

    pub(super) fn free(&self) -> usize {
        self.bytes.free()
    }

    /// Whether the other end has everything.
    pub(super) fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether bytes went, or a limit was asked for, and the answer is missing.
    pub(super) fn is_waiting(&self) -> bool {
        self.timer.is_some() && (!self.is_done() || self.asking)
    }

    /// Asks for an answer, to know that the other end is there.
    pub(super) fn ask(&mut self) {
        if self.timer.is_none() && !self.asking {
            self.asking = true;
            self.probe = true;
        }
    }

    pub(super) fn patience(&self) -> u64 {
        self.round_trip.patience()
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.timer
    }

    /// Whether [`next`](Self::next) has something without waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.probe || self.ready() > 0 || (self.is_blocked() && self.timer.is_none())
    }

    /// What the time brings.
    pub(super) fn tick(&mut self, now: u64) {
        if self.timer.is_none_or(|timer| now < timer) {
            return;
        }
        self.timer = None;
        self.round_trip.missed();
        self.timed = None;
        if self.sent == self.acked {
            self.probe = self.is_blocked() || self.asking;
        } else {
            self.sent = self.acked;
            self.cautious = true;
            self.gap = Some(self.acked);
        }
    }

    /// What to send now: an offset, and how many bytes [`copy`](Self::copy) gives for it. None at all asks for a limit.
    pub(super) fn next(&mut self, now: u64) -> Option<(u32, usize)> {
        let ready = self.ready();
        if ready == 0 {
            if self.probe {
                self.probe = false;
                self.timer = Some(now + self.patience());
                return Some((self.sent, 0));
            }
            if self.is_blocked() && self.timer.is_none() {
                self.timer = Some(now + self.patience());
            }
            return None;
        }
        let offset = self.sent;
        let count = ready.min(MAX_DATA);
        self.probe = false;
        self.sent = offset.wrapping_add(u32::try_from(count).expect("MAX_DATA is small"));
        if before(self.furthest, self.sent) {
            self.furthest = self.sent;
            self.timed = self.timed.or(Some((self.sent, now)));
        }
        self.timer = self.timer.or(Some(now + self.patience()));
        Some((offset, count))
    }

    /// The bytes that [`next`](Self::next) named.
    pub(super) fn copy(&self, offset: u32, out: &mut [u8]) {
        self.bytes.copy(offset.wrapping_sub(self.acked) as usize, out);
    }

    /// All bytes before `next` have come, bytes before `limit` may be sent. Says that from another time are ignored.
    pub(super) fn credit(&mut self, next: u32, limit: u32, gap: bool, now: u64) {
        let progress = next.wrapping_sub(self.acked);
        if progress > self.furthest.wrapping_sub(self.acked) {
            return;
        }
        if core::mem::take(&mut self.asking) && self.sent == self.acked {
            self.heard(now);
        }
        if limit.wrapping_sub(next) <= FURTHEST_LIMIT && before(self.limit, limit) {
            self.limit = limit;
            if self.sent == self.acked {
                self.heard(now);
            }
        }
        if progress > 0 {
            self.bytes.consume(progress as usize);
            self.acked = next;
            if before(self.sent, next) {
                self.sent = next;
            }
            self.cautious = false;
            if let Some((offset, at)) = self.timed
                && !before(next, offset)
            {
                self.round_trip.measured(now.saturating_sub(at));
                self.timed = None;
            }
            self.heard(now);
        } else if gap && self.sent != next && self.gap != Some(next) {
            self.gap = Some(next);
            self.sent = next;
            self.timed = None;
        }
    }

    fn heard(&mut self, now: u64) {
        self.round_trip.answered();
        self.probe = false;
        self.timer = (self.sent != self.acked).then(|| now + self.patience());
    }

    /// Bytes that may go now.
    fn ready(&self) -> usize {
        if self.cautious && self.sent != self.acked {
            return 0;
        }
        let under_way = self.sent.wrapping_sub(self.acked) as usize;
        let allowed = self.limit.wrapping_sub(self.sent) as usize;
        (self.bytes.len() - under_way).min(allowed)
    }

    /// Whether there are bytes to send, none is under way, and the other end takes none.
    fn is_blocked(&self) -> bool {
        self.sent == self.acked && self.sent == self.limit && !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Sender;
    use crate::link::MAX_DATA;

    const FULL: u32 = MAX_DATA as u32;

    fn sender(limit: u32) -> Sender<2048> {
        let mut sender = Sender::new();
        sender.start(limit);
        assert_eq!(sender.push(&[1; 4096]), 2048);
        sender
    }

    #[test]
    fn no_more_is_sent_than_the_other_end_takes() {
        let mut sender = sender(FULL + 10);
        assert_eq!(sender.next(0), Some((0, MAX_DATA)));
        assert_eq!(sender.next(0), Some((FULL, 10)));
        assert_eq!(sender.next(0), None);
        sender.credit(FULL, FULL + 30, false, 5);
        assert_eq!(sender.next(5), Some((FULL + 10, 20)));
    }

    #[test]
    fn what_is_not_answered_goes_again_one_packet_at_a_time() {
        let mut sender = sender(2048);
        while sender.next(0).is_some() {}
        let deadline = sender.deadline().expect("an answer is missing");
        sender.tick(deadline - 1);
        assert_eq!(sender.next(deadline - 1), None);
        sender.tick(deadline);
        assert_eq!(sender.next(deadline), Some((0, MAX_DATA)));
        assert_eq!(sender.next(deadline), None, "not before the first is answered");
        sender.credit(FULL, 2048, false, deadline + 1);
        assert_eq!(sender.next(deadline + 1), Some((FULL, MAX_DATA)));
        assert_eq!(sender.next(deadline + 1), Some((2 * FULL, MAX_DATA)));
    }

    #[test]
    fn a_gap_is_filled_at_once_and_once() {
        let mut sender = sender(2048);
        while sender.next(0).is_some() {}
        sender.credit(FULL, 2048, false, 1);
        for _ in 0..3 {
            sender.credit(FULL, 2048, true, 2);
        }
        assert_eq!(sender.next(2), Some((FULL, MAX_DATA)));
        sender.credit(FULL, 2048, true, 3);
        assert_eq!(sender.next(3), Some((2 * FULL, MAX_DATA)));
    }

    #[test]
    fn a_lost_limit_is_asked_for() {
        let mut sender = sender(0);
        assert_eq!(sender.next(0), None);
        let deadline = sender.deadline().expect("an answer is missing");
        sender.tick(deadline);
        assert_eq!(sender.next(deadline), Some((0, 0)));
        assert_eq!(sender.next(deadline), None);
        sender.credit(0, 2, false, deadline + 1);
        assert_eq!(sender.next(deadline + 1), Some((0, 2)));
    }

    #[test]
    fn credits_from_another_time_change_nothing() {
        let mut sender = sender(FULL);
        sender.next(0);
        sender.credit(FULL + 1, 4096, false, 1);
        sender.credit(u32::MAX, 4096, false, 1);
        sender.credit(0, u32::MAX, false, 1);
        assert!(!sender.is_done() && sender.next(1).is_none());
        sender.credit(FULL, FULL + 9, false, 1);
        sender.credit(FULL, FULL + 3, false, 1);
        assert_eq!(sender.next(1), Some((FULL, 9)), "a limit is never taken back");
    }
}
