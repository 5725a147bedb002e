//! Where things lie in the memory of a stack.

use core::ops::Range;

/// Bytes below a stack that nothing may touch: more than any frame here has that is not written in order.
pub const GUARD_BYTES: usize = 256;

/// What a stack is filled with before it is used, so that its deepest use can be told.
const PAINT: u32 = 0x57AC_57AC;

/// A stack's memory has no room for a stack and its guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackTooSmall {
    /// Bytes given.
    pub given: usize,
}

impl core::fmt::Display for StackTooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "a stack of {} bytes has no room for its guard: give it at least {SMALLEST}", self.given)
    }
}

impl core::error::Error for StackTooSmall {}

const SMALLEST: usize = 4 * GUARD_BYTES;

/// The guard and the stack above it, as addresses. The guard starts at a multiple of its size, as an MPU wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) guard: Range<usize>,
    pub(crate) stack: Range<usize>,
}

impl Layout {
    pub(crate) fn of(memory: Range<usize>) -> Result<Self, StackTooSmall> {
        let given = memory.len();
        let start = memory.start.checked_next_multiple_of(GUARD_BYTES).ok_or(StackTooSmall { given })?;
        // Stacks are aligned to eight bytes.
        let end = memory.end & !7;
        if given < SMALLEST || end.saturating_sub(start) < 2 * GUARD_BYTES {
            return Err(StackTooSmall { given });
        }
        Ok(Self { guard: start..start + GUARD_BYTES, stack: start + GUARD_BYTES..end })
    }
}

/// Paints the words of a stack, and of its guard.
pub(crate) fn paint(words: &mut [u32]) {
    words.fill(PAINT);
}

/// How many words from the bottom nobody has written.
pub(crate) fn untouched(words: impl IntoIterator<Item = u32>) -> usize {
    words.into_iter().take_while(|word| *word == PAINT).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_aligned_to_its_size_and_the_stack_follows_it() {
        for start in 0x2000_0001_usize..0x2000_0201 {
            let layout = Layout::of(start..start + 4096).expect("it has room");
            assert_eq!(layout.guard.start % GUARD_BYTES, 0);
            assert!(layout.guard.start >= start && layout.guard.start < start + GUARD_BYTES);
            assert_eq!(layout.guard.end, layout.stack.start);
            assert_eq!(layout.stack.end % 8, 0);
            assert!(layout.stack.end <= start + 4096 && layout.stack.end > start + 4096 - 8);
        }
    }

    #[test]
    fn memory_without_room_for_a_stack_is_refused() {
        assert_eq!(Layout::of(0x2000_0000..0x2000_0000), Err(StackTooSmall { given: 0 }));
        assert_eq!(Layout::of(0x2000_0000..0x2000_0200), Err(StackTooSmall { given: 512 }));
        assert_eq!(Layout::of(usize::MAX - 2048..usize::MAX), Layout::of(usize::MAX - 2048..usize::MAX));
        assert!(Layout::of(usize::MAX - 100..usize::MAX).is_err());
    }

    #[test]
    fn the_deepest_use_of_a_stack_is_seen() {
        let mut words = [0; 100];
        paint(&mut words);
        assert_eq!(untouched(words), 100);
        words[60] = 1;
        words[90] = 2;
        assert_eq!(untouched(words), 60);
    }
}
