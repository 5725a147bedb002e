//! The folder of one (fleet, application, trust).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::outcome::Progress;
use crate::{BuildRequest, Digest, Trust};

/// A folder that was not used for so long is made anew when it is needed again.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Changed at every build; says when a folder was last used.
const USED: &str = "used";

/// An application's folder, for one build: two builds never have it at the same time, whoever runs them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// A proposal's folder, which is thrown away.
    _thrown_away: Option<tempfile::TempDir>,
    _lock: Option<File>,
}

impl Place {
    /// Takes the folder of `request` below `root`; waits while another build has it.
    pub(super) async fn take(
        root: &Path,
        request: &BuildRequest,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> io::Result<Self> {
        let applications = root.join("applications");
        std::fs::create_dir_all(&applications)?;
        if let Trust::Preview(_) = request.trust {
            let folder = tempfile::Builder::new().prefix(PREVIEW).tempdir_in(&applications)?;
            return Ok(Self { folder: folder.path().to_owned(), _thrown_away: Some(folder), _lock: None });
        }
        let name = Digest::of(format!("{}\n{}", request.fleet, request.application).as_bytes()).to_string();
        let folder = applications.join(&name[..32]);
        std::fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join(USED))?;
        if lock.try_lock().is_err() {
            progress(Progress::Waiting);
        }
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        lock.set_modified(SystemTime::now())?;
        Ok(Self { folder, _thrown_away: None, _lock: Some(lock) })
    }
}

const PREVIEW: &str = ".preview-";

/// Removes what was not used for long, and what a worker that was killed left behind.
pub(super) fn sweep(root: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    let is_old = |path: &Path, age: Duration| {
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
        changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|since| since > age))
    };
    for entry in entries(&root.join("applications"))? {
        let is_preview = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREVIEW));
        // No build takes a day; another worker may be at work on a younger one.
        if is_preview && is_old(&entry, Duration::from_secs(24 * 3600)) || is_old(&entry.join(USED), UNUSED) {
            std::fs::remove_dir_all(&entry)?;
        }
    }
    let own = crate::toolchain::identity();
    for entry in entries(&root.join("toolchains"))? {
        if entry.file_name().is_some_and(|name| name != own.as_str()) && is_old(&entry, UNUSED) {
            std::fs::remove_dir_all(&entry)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_long_is_removed_and_the_rest_stays() {
        let root = tempfile::tempdir().expect("there is a temporary folder");
        let old = SystemTime::now() - UNUSED - Duration::from_secs(60);
        for (name, when) in [("fresh", SystemTime::now()), ("old", old)] {
            let folder = root.path().join("applications").join(name);
            std::fs::create_dir_all(folder.join("target")).expect("folders can be made");
            let used = File::create(folder.join(USED)).expect("files can be made");
            used.set_modified(when).expect("times can be set");
        }
        sweep(root.path()).expect("it sweeps");
        let left: Vec<_> = entries(&root.path().join("applications")).expect("it is there");
        assert_eq!(left, [root.path().join("applications/fresh")]);
    }
}
