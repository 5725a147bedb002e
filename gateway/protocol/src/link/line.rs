//! What each end keeps about the line itself.

use super::frame::{Decoder, FrameBuffer};
use super::packet::Packet;

/// Not more often than this is the other end told, in milliseconds, that what it sends belongs to nothing.
const RESET_PAUSE_MS: u64 = 100;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) decoder: Decoder,
    pub(super) epoch: u32,
    /// Never goes back, whatever clock stands behind it.
    now: u64,
    /// Nothing was sent since the last pause: a zero goes before the next frame.
    is_quiet: bool,
    /// RESET is to be said, for this tag.
    reset: Option<u32>,
    /// Not before this time.
    reset_at: u64,
}

impl Line {
    /// An end that has just begun, and says so.
    pub(super) const fn new(epoch: u32) -> Self {
        Self { decoder: Decoder::new(), epoch, now: 0, is_quiet: true, reset: Some(0), reset_at: 0 }
    }

    pub(super) fn clock(&mut self, now: u64) -> u64 {
        self.now = self.now.max(now);
        self.now
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The other end is to be told that it began anew here, or that there is no stream of this tag.
    pub(super) fn reset(&mut self, tag: u32) {
        self.reset = Some(tag);
    }

    pub(super) fn write_reset(&mut self, frame: &mut FrameBuffer, now: u64) -> bool {
        match self.reset {
            Some(tag) if now >= self.reset_at => {
                self.reset = None;
                self.reset_at = now + RESET_PAUSE_MS;
                Packet::Reset { epoch: self.epoch, tag }.write(frame);
                true
            }
            _ => false,
        }
    }

    pub(super) fn reset_deadline(&self) -> Option<u64> {
        self.reset.map(|_| self.reset_at.max(self.now))
    }

    /// What is left to do with a frame once its packet is written, or that there is none.
    pub(super) fn finish<'a>(&mut self, frame: &'a mut FrameBuffer, is_written: bool) -> Option<&'a [u8]> {
        let was_quiet = core::mem::replace(&mut self.is_quiet, !is_written);
        is_written.then(|| frame.finish(was_quiet))
    }
}
