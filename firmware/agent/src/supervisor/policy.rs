//! How long and how often.

/// A new release that ran this long, in milliseconds, is healthy and becomes confirmed.
pub const HEALTHY_MS: u64 = 3_000;

/// After running this long, earlier failures of an application no longer count.
pub(super) const STABLE_MS: u64 = 60_000;

/// So many times the device may start while a new release has not proven healthy; then it is the release's fault.
/// More than one, because a power cut is nobody's.
pub(super) const MAX_UNPROVEN_BOOTS: u32 = 4;

/// How long a record that could not be saved waits for the next attempt.
pub(super) const SAVE_AGAIN_MS: u64 = 30_000;

const FIRST_RESTART_MS: u64 = 1_000;
const LONGEST_RESTART_MS: u64 = 60_000;

/// How long to wait before the `attempt`-th restart, counted from 1.
pub(super) fn restart_delay(attempt: u32) -> u64 {
    let doublings = attempt.saturating_sub(1).min(16);
    (FIRST_RESTART_MS << doublings).min(LONGEST_RESTART_MS)
}
