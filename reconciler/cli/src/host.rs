//! The machine that a process runs on; on a cluster its pod.

/// Its name, for a process that was given none.
#[must_use]
pub(crate) fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
