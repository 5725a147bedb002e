//! Notices a push to a repository on this machine at once, by watching its refs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Event, EventKind, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches the refs of one local repository until dropped.
pub struct RefWatch {
    identity: Option<(u64, u64)>,
    git_dir: PathBuf,
    _watcher: notify::RecommendedWatcher,
}

impl RefWatch {
    /// Rings `changed` whenever a branch of the repository at `path` (bare, or with a working copy) moves.
    ///
    /// `None` when there is nothing to watch or the system has no watches left: then the interval finds the change.
    #[must_use]
    pub fn start(path: &Path, changed: Arc<Notify>) -> Option<Self> {
        let git_dir = git_dir(path)?;
        let handler = move |event: notify::Result<Event>| {
            if event.is_ok_and(|e| moves_a_ref(&e)) {
                changed.notify_one();
            }
        };
        let watch = || -> notify::Result<notify::RecommendedWatcher> {
            let mut watcher = notify::recommended_watcher(handler)?;
            watcher.watch(&git_dir.join("refs"), RecursiveMode::Recursive)?;
            watcher.watch(&git_dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        };
        match watch() {
            Ok(watcher) => Some(Self { identity: identity(&git_dir), git_dir, _watcher: watcher }),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot watch the repository; pushes are found at the next interval");
                None
            }
        }
    }

    /// Whether the folder watched is still the one at that path (it is not after the repository was deleted or replaced).
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.identity.is_some() && self.identity == identity(&self.git_dir)
    }
}

fn git_dir(path: &Path) -> Option<PathBuf> {
    [path.join(".git"), path.to_owned()].into_iter().find(|dir| dir.join("refs").is_dir())
}

fn identity(git_dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let refs = std::fs::metadata(git_dir.join("refs")).ok()?;
    Some((refs.dev(), refs.ino()))
}

/// Git writes `<ref>.lock` and renames it: only the rename is news. Reads are none.
fn moves_a_ref(event: &Event) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.paths.iter().any(|path| {
        let locked = path.extension().is_some_and(|x| x == "lock");
        let packed = path.file_name().is_some_and(|n| n == "packed-refs");
        !locked && (packed || path.components().any(|c| c.as_os_str() == "refs"))
    })
}
