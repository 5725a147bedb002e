//! What a process and its descendants use, from `/proc`.

use std::path::Path;

/// What a tree of processes uses.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processes, the first one included.
    pub(super) processes: usize,
    /// Bytes of resident memory, all together; shared pages count for each.
    pub(super) memory: u64,
}

/// The use of the process `root` and of all below it. What ends meanwhile is not counted.
pub(super) fn of(root: u32) -> Usage {
    let mut usage = Usage::default();
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        let folder = format!("/proc/{id}");
        let Ok(statm) = std::fs::read_to_string(format!("{folder}/statm")) else {
            continue;
        };
        usage.processes += 1;
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        usage.memory += pages * page_size();
        left.extend(children(id));
    }
    usage
}

/// Every process below `root`, without it.
pub(super) fn descendants(root: u32) -> Vec<u32> {
    let mut found = children(root);
    let mut at = 0;
    while let Some(&id) = found.get(at) {
        found.extend(children(id));
        at += 1;
    }
    found
}

fn children(id: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|text| text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

fn page_size() -> u64 {
    match nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE) {
        Ok(Some(size)) => u64::try_from(size).unwrap_or(4096),
        _ => 4096,
    }
}

/// Bytes of all files below `folder`; links are not followed.
pub(super) fn disk(folder: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(folder) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries.flatten().map(|entry| disk(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let used = of(std::process::id());
        assert!(used.processes >= 1 && used.memory > 100_000, "{used:?}");
    }

    #[test]
    fn a_process_that_is_not_there_uses_nothing() {
        assert_eq!(of(u32::MAX), Usage::default());
    }
}
