//! What a process and its descendants use, as Linux counts it.

use std::collections::BTreeMap;
use std::fs;

/// Memory of some processes, in kilobytes of 1024 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Each page shared out among the processes that share it.
    pub pss: u64,
    /// Each page counted for every process that has it.
    pub rss: u64,
}

/// The process and its descendants, as they are now.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Some(parent) = stat(id).and_then(|fields| fields.first()?.parse().ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.get(id).cloned().unwrap_or_default());
        next += 1;
    }
    found
}

/// What they hold; none if Linux does not tell.
pub fn memory(processes: &[u32]) -> Option<Memory> {
    let mut sum = Memory::default();
    for id in processes {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        sum.pss += kilobytes(&text, "Pss:")?;
        sum.rss += kilobytes(&text, "Rss:")?;
    }
    Some(sum)
}

/// The processor time they have used, in clock ticks.
pub fn ticks(processes: &[u32]) -> u64 {
    // utime and stime are the fields 14 and 15 of proc_pid_stat(5); the first here is field 4.
    let of = |id: &u32| {
        stat(*id).map_or(0, |fields| fields.iter().skip(10).take(2).filter_map(|t| t.parse::<u64>().ok()).sum())
    };
    processes.iter().map(of).sum()
}

/// The fields of a process after its name and state; its name may hold blanks and brackets.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, after) = text.rsplit_once(") ")?;
    Some(after.split(' ').skip(1).map(str::to_owned).collect())
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB")?.trim().parse().ok())
}
