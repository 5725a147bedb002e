//! What all of `wasmbed up` holds in memory while nothing happens.

use std::time::{Duration, Instant};

use super::figure::{Figure, median};
use super::{CannotRun, example, needs_what_builds_need, processes};

/// How long each look at the processor time lasts.
const LOOK: Duration = Duration::from_secs(3);
/// Idle: all processes together use at most so many clock ticks (of 10 ms) in a look.
const IDLE_TICKS: u64 = 15;
/// Idle comes within this.
const LATEST: Duration = Duration::from_secs(120);
const SAMPLES: usize = 5;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    needs_what_builds_need()?;
    if processes::memory(&[std::process::id()]).is_none() {
        return Err(CannotRun("this system has no /proc/PID/smaps_rollup".to_owned()));
    }
    let folder = tempfile::tempdir().unwrap();
    let up = example::up(&folder.path().join("state"))?;
    wait_until_idle(up.id());
    let mut pss = Vec::new();
    let mut rss = Vec::new();
    let mut count = 0;
    while pss.len() < SAMPLES {
        let tree = processes::tree(up.id());
        // A process that ended between the two looks: look again.
        if let Some(memory) = processes::memory(&tree) {
            pss.push(memory.pss as f64 / 1024.0);
            rss.push(memory.rss as f64 / 1024.0);
            count = tree.len();
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(up.interrupt(), "`wasmbed up` ends well");
    let what = format!(
        "all {count} processes of `wasmbed up` with the example fleet (five devices, two gateways, four applications), \
         from /proc/PID/smaps_rollup, median of {SAMPLES} looks while idle"
    );
    let once =
        format!("resident memory of {what}; a page that several of them share counts once (the sum of their PSS)");
    let each = format!("the plain sum of RSS of {what}; a page that several of them share counts for each");
    Ok(vec![
        Figure::new("up_idle_rss_mb", median(&pss), "MiB", Some(80.0), once),
        Figure::new("up_idle_rss_sum_mb", median(&rss), "MiB", None, each),
    ])
}

fn wait_until_idle(root: u32) {
    let deadline = Instant::now() + LATEST;
    loop {
        let before = processes::ticks(&processes::tree(root));
        std::thread::sleep(LOOK);
        let used = processes::ticks(&processes::tree(root)).saturating_sub(before);
        if used <= IDLE_TICKS {
            return;
        }
        assert!(Instant::now() < deadline, "`wasmbed up` does not come to rest: {used} ticks in {LOOK:?}");
    }
}
