//! What an application's driver and its owner both see.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wasmbed_runtime::Counts;

/// The two never run at once, and neither is interrupted by the other in the middle of a write, as the driver is held: so a number may
/// be written in two halves.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) stop: AtomicBool,
    /// Ticks of the processor used in slices that are over.
    pub(crate) used: Wide,
    /// When the slice began that is under way.
    pub(crate) began: Wide,
    log_lines_dropped: Wide,
    published: Wide,
    publish_refused: Wide,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn set_counts(&self, counts: Counts) {
        self.log_lines_dropped.set(counts.log_lines_dropped);
        self.published.set(counts.published);
        self.publish_refused.set(counts.publish_refused);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            log_lines_dropped: self.log_lines_dropped.get(),
            published: self.published.get(),
            publish_refused: self.publish_refused.get(),
        }
    }
}

/// A 64-bit number on a core that reads and writes 32 bits at once.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    low: AtomicU32,
    high: AtomicU32,
}

impl Wide {
    pub(crate) const fn new() -> Self {
        Self { low: AtomicU32::new(0), high: AtomicU32::new(0) }
    }

    pub(crate) fn set(&self, value: u64) {
        self.low.store(value as u32, Ordering::Relaxed);
        self.high.store((value >> 32) as u32, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        u64::from(self.high.load(Ordering::Relaxed)) << 32 | u64::from(self.low.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_number_keeps_both_halves() {
        let wide = Wide::default();
        wide.set(0x0123_4567_89ab_cdef);
        assert_eq!(wide.get(), 0x0123_4567_89ab_cdef);
    }
}
