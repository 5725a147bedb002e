//! What time is measured by.

/// A counter that runs always and never goes back: a board's timer.
pub trait Clock: Sync {
    /// Ticks since any moment.
    fn ticks(&self) -> u64;

    /// How many ticks a second has.
    fn ticks_per_second(&self) -> u32;
}
