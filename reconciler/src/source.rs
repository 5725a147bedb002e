//! Where revisions come from: a bare cache of the fleet's repository, fetched with gix.
//!
//! The cache ("mirror") protects the reconciler from the remote: objects that were fetched once stay readable after a
//! forced push, a vanished branch or a repository that is gone. It holds nothing that cannot be fetched again.

mod credentials;
mod error;
mod interval;
mod repository;
mod watch;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gix::remote::Direction;
use gix::remote::fetch::Tags;

pub use credentials::Credentials;
pub use error::SourceError;
pub use interval::next_delay;
pub use repository::{Entry, EntryKind, Repository, Revision};
pub use watch::RefWatch;

use error::classify;
use repository::SLOTS;

/// How long one fetch may take before it is given up.
pub const FETCH_TIME_LIMIT: Duration = Duration::from_secs(120);

/// Packs the mirror may gather (each fetch that brings objects adds one) before it asks the `git` program to repack.
const PACKS_BEFORE_REPACK: usize = 50;

/// What to follow: a repository and one branch in it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// `https://`, `ssh://`, `file://`, the scp-like `user@host:path`, or a local path.
    pub url: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// How to authenticate.
    pub credentials: Credentials,
}

/// The bare cache of one remote repository.
#[derive(Clone)]
pub struct Mirror {
    repository: Repository,
    /// Packs received through this handle.
    received: Arc<AtomicUsize>,
}

impl Mirror {
    /// Opens the cache at `path`, creating an empty one when there is none. What is there but is no readable repository is
    /// replaced: a cache holds nothing of its own.
    ///
    /// # Errors
    /// When the folder cannot be created or written.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let cache_failed = |detail: String| SourceError::Cache { path: path.to_owned(), detail };
        if let Ok(repository) = Repository::open_isolated(path) {
            return Ok(Self { repository, received: Arc::default() });
        }
        if path.exists() {
            tracing::warn!(path = %path.display(), "the repository cache is damaged; it is fetched anew");
            std::fs::remove_dir_all(path).map_err(|e| cache_failed(e.to_string()))?;
        }
        std::fs::create_dir_all(path).map_err(|e| cache_failed(e.to_string()))?;
        gix::init_bare(path).map_err(|e| cache_failed(e.to_string()))?;
        let repository = Repository::open_isolated(path)?;
        Ok(Self { repository, received: Arc::default() })
    }

    /// Whether it should be opened anew before long: a handle takes only so many packs.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.received.load(Ordering::Relaxed) > usize::from(SLOTS) / 2
    }

    /// The objects fetched so far.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Brings the branch's head and what it needs into the cache, forced pushes included, and names the head.
    ///
    /// A fetch that does not end within `limit`, or that nobody waits for any more, is given up. Its thread ends with its
    /// transport, and does not keep the process from ending.
    ///
    /// # Errors
    /// See [`SourceError`]; each names what to check.
    pub async fn fetch(&self, remote: &Remote, limit: Duration) -> Result<gix::ObjectId, SourceError> {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(false)));
        let (answer, answered) = tokio::sync::oneshot::channel();
        let work = {
            let mirror = self.clone();
            let remote = remote.clone();
            let interrupted = Arc::clone(&interrupt.0);
            move || {
                // Nobody listens after the time limit.
                let _ = answer.send(mirror.fetch_blocking(&remote, &interrupted));
                mirror.repack_when_due();
            }
        };
        let spawned = std::thread::Builder::new().name("fetch".to_owned()).spawn(work);
        spawned.map_err(|e| self.failed(format!("no thread to fetch in: {e}")))?;
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(fetched)) => fetched,
            // The thread ended without an answer.
            Ok(Err(_)) => Err(SourceError::BadAddress {
                url: redacted(&remote.url),
                branch: remote.branch.clone(),
                detail: "this address makes the Git library fail".to_owned(),
            }),
            Err(_elapsed) => Err(SourceError::TimedOut { url: redacted(&remote.url), seconds: limit.as_secs() }),
        }
    }

    fn failed(&self, detail: String) -> SourceError {
        SourceError::Cache { path: self.repository.path().to_owned(), detail }
    }

    fn fetch_blocking(&self, remote: &Remote, interrupt: &AtomicBool) -> Result<gix::ObjectId, SourceError> {
        let tracking = format!("refs/wasmbed/heads/{}", remote.branch);
        let spec = format!("+refs/heads/{}:{tracking}", remote.branch);
        let mut repo = self.repository.local();
        let fail = |e: gix::Error| classify(e, remote);
        if self.repository.reference(&tracking).is_some_and(|id| !repo.has_object(id)) {
            return Err(self.failed("an object is missing".to_owned()));
        }

        let login = remote.credentials.prepare(&remote.url)?;
        login.configure(&mut repo)?;
        let origin = repo
            .remote_at_without_url_rewrite(remote.url.as_str())
            .and_then(|r| r.with_fetch_tags(Tags::None).with_refspecs([spec.as_str()], Direction::Fetch))
            .map_err(|e| SourceError::BadAddress {
                url: redacted(&remote.url),
                branch: remote.branch.clone(),
                detail: e.to_string(),
            })?;
        let mut connection = origin.connect(Direction::Fetch).map_err(fail)?;
        connection.set_credentials(|action| login.answer(action));
        let prepared = connection.prepare_fetch(gix::progress::Discard, Default::default()).map_err(fail)?;
        let wanted = format!("refs/heads/{}", remote.branch);
        let head = prepared
            .ref_map()
            .mappings
            .iter()
            .find(|m| m.remote.as_name().is_some_and(|name| name == wanted.as_str()))
            .and_then(|m| m.remote.as_id().map(ToOwned::to_owned));
        let Some(head) = head else {
            return Err(SourceError::BranchMissing { url: redacted(&remote.url), branch: remote.branch.clone() });
        };
        if repo.has_object(head) && self.repository.reference(&tracking) == Some(head) {
            return Ok(head);
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        prepared.receive(gix::progress::Discard, interrupt).map_err(fail)?;
        Ok(head)
    }

    /// Every fetch adds a pack. Repacking is housekeeping: without the `git` program reading just gets slower.
    fn repack_when_due(&self) {
        let packs = std::fs::read_dir(self.repository.path().join("objects/pack"))
            .map_or(0, |dir| dir.flatten().filter(|f| f.path().extension().is_some_and(|x| x == "pack")).count());
        if packs <= PACKS_BEFORE_REPACK {
            return;
        }
        let repacked = std::process::Command::new("git")
            .arg("-C")
            .arg(self.repository.path())
            .args(["gc", "--quiet", "--prune=1.day.ago"])
            .stdin(std::process::Stdio::null())
            .output();
        match repacked {
            Ok(output) if output.status.success() => tracing::debug!(packs, "repacked the repository cache"),
            Ok(output) => {
                tracing::warn!(error = %String::from_utf8_lossy(&output.stderr).trim(), "cannot repack the repository cache");
            }
            Err(error) => tracing::debug!(%error, "no git program: the repository cache stays unpacked"),
        }
    }
}

/// Tells the fetch that nobody waits for it any more.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `url` without a password in it, for messages and statuses.
#[must_use]
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) if rest[..at].contains(':') || scheme.starts_with("http") => {
            format!("{scheme}://{}", &rest[at + 1..])
        }
        _ => url.to_owned(),
    }
}

/// The folder of a local repository, when `url` names one (`file://` or a path).
#[must_use]
pub fn local_path(url: &str) -> Option<std::path::PathBuf> {
    if let Some(path) = url.strip_prefix("file://") {
        return Some(path.into());
    }
    let looks_remote = url.contains("://") || url.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
    (!looks_remote && !url.is_empty()).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left_in_an_address_that_is_shown() {
        for (url, shown) in [
            ("https://user:secret@example.org/fleet.git", "https://example.org/fleet.git"),
            ("https://token@example.org/fleet.git", "https://example.org/fleet.git"),
            ("ssh://git@example.org/fleet.git", "ssh://git@example.org/fleet.git"),
            ("ssh://git:secret@example.org/fleet.git", "ssh://example.org/fleet.git"),
            ("git@example.org:fleet.git", "git@example.org:fleet.git"),
            ("file:///srv/a@b.git", "file:///srv/a@b.git"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_local_repository_is_told_from_one_elsewhere() {
        for (url, local) in [
            ("file:///srv/fleet.git", Some("/srv/fleet.git")),
            ("/srv/fleet.git", Some("/srv/fleet.git")),
            ("./a:b/fleet.git", Some("./a:b/fleet.git")),
            ("git@example.org:fleet.git", None),
            ("https://example.org/fleet.git", None),
            ("", None),
        ] {
            assert_eq!(local_path(url).as_deref(), local.map(Path::new), "{url}");
        }
    }
}
