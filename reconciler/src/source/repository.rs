//! Reading a Git repository: revisions, trees, blobs.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::ByteSlice;

use super::SourceError;

/// How many packs a handle on a mirror can have seen: each fetch that brings objects adds one, and gix forgets none.
pub(super) const SLOTS: u16 = 2048;

/// A Git repository to read from; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Repository {
    inner: gix::ThreadSafeRepository,
}

/// One commit, as far as the reconciler cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents.
    pub parents: Vec<ObjectId>,
    /// The whole message.
    pub message: String,
    /// When it was committed, Unix seconds.
    pub time: i64,
}

/// What a tree entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Tree,
    /// A file.
    Blob,
    /// A symbolic link.
    Link,
    /// A submodule.
    Commit,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the folder. Bytes that are no UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its object.
    pub id: ObjectId,
    /// Whether a file may be executed.
    pub executable: bool,
}

impl From<gix::object::tree::EntryKind> for EntryKind {
    fn from(kind: gix::object::tree::EntryKind) -> Self {
        use gix::object::tree::EntryKind as Git;
        match kind {
            Git::Tree => Self::Tree,
            Git::Blob | Git::BlobExecutable => Self::Blob,
            Git::Link => Self::Link,
            Git::Commit => Self::Commit,
        }
    }
}

impl Repository {
    /// Opens the repository at `path`, or the one that `path` lies in, with the user's own configuration.
    ///
    /// # Errors
    /// When there is none.
    pub fn discover(path: &Path) -> Result<Self, SourceError> {
        let repo = gix::discover(path).map_err(|e| SourceError::Cache {
            path: path.to_owned(),
            detail: format!("no Git repository here: {e}"),
        })?;
        Ok(Self { inner: repo.into_sync() })
    }

    /// Opens the bare repository at `path`, reading no configuration but its own.
    pub(super) fn open_isolated(path: &Path) -> Result<Self, SourceError> {
        let inner = gix::open::Options::isolated()
            .open_path_as_is(true)
            .object_store_slots(gix::odb::store::init::Slots::Given(SLOTS))
            .with(gix::sec::Trust::Full)
            .open(path)
            .map_err(|e| SourceError::Cache { path: path.to_owned(), detail: e.to_string() })?;
        Ok(Self { inner })
    }

    /// The Git folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.path()
    }

    /// A handle for this thread.
    pub(crate) fn local(&self) -> gix::Repository {
        let mut repo = self.inner.to_thread_local();
        repo.object_cache_size_if_unset(4 * 1024 * 1024);
        repo
    }

    /// What a full reference name points at.
    pub(crate) fn reference(&self, name: &str) -> Option<ObjectId> {
        let repo = self.local();
        // Not followed to its object: that may be what is missing.
        repo.try_find_reference(name).ok().flatten()?.try_id().map(gix::Id::detach)
    }

    /// Whether an object is there.
    #[must_use]
    pub fn has(&self, id: ObjectId) -> bool {
        self.local().has_object(id)
    }

    /// Makes a full reference name point at a commit, whatever it pointed at before.
    pub(crate) fn set_reference(&self, name: &str, id: ObjectId) -> Result<(), SourceError> {
        let repo = self.local();
        let set = repo.reference(name, id, gix::refs::transaction::PreviousValue::Any, "wasmbed");
        set.map(drop).map_err(|e| self.unreadable(&id, &e))
    }

    /// Resolves a revision as `git rev-parse` does (`HEAD~1`, a branch, a hash).
    ///
    /// # Errors
    /// When it names no commit of this repository.
    pub fn resolve(&self, revision: &str) -> Result<Revision, SourceError> {
        let repo = self.local();
        let missing = |detail: String| SourceError::RevisionMissing {
            revision: revision.to_owned(),
            path: self.path().to_owned(),
            detail,
        };
        let id = repo.rev_parse_single(revision.as_bytes().as_bstr()).map_err(|e| missing(e.to_string()))?.detach();
        let commit = repo
            .find_object(id)
            .and_then(|o| o.peel_to_kind(gix::object::Kind::Commit))
            .map_err(|e| missing(e.to_string()))?;
        self.revision(commit.id)
    }

    /// Reads a commit.
    ///
    /// # Errors
    /// When it is not there.
    pub fn revision(&self, id: ObjectId) -> Result<Revision, SourceError> {
        let repo = self.local();
        let read = || -> gix::Result<Revision> {
            let commit = repo.find_commit(id)?;
            let decoded = commit.decode()?;
            Ok(Revision {
                id,
                tree: decoded.tree(),
                parents: decoded.parents().collect(),
                message: decoded.message.to_str_lossy().into_owned(),
                time: commit.time()?.seconds,
            })
        };
        read().map_err(|e| self.unreadable(&id, &e))
    }

    /// The entries of a tree, in Git's order.
    ///
    /// # Errors
    /// When it is not there or damaged.
    pub fn entries(&self, repo: &gix::Repository, tree: ObjectId) -> Result<Vec<Entry>, SourceError> {
        let read = || -> gix::Result<Vec<Entry>> {
            let tree = repo.find_tree(tree)?;
            let decoded = tree.decode()?;
            Ok(decoded
                .entries
                .iter()
                .map(|entry| Entry {
                    name: entry.filename.to_str_lossy().into_owned(),
                    kind: entry.mode.kind().into(),
                    id: entry.oid.to_owned(),
                    executable: entry.mode.is_executable(),
                })
                .collect())
        };
        read().map_err(|e| self.unreadable(&tree, &e))
    }

    /// The entry at a slash-separated `path` below `root`; `None` when there is none. An empty path is the root itself.
    ///
    /// # Errors
    /// When an object on the way is damaged.
    pub fn entry_at(&self, repo: &gix::Repository, root: ObjectId, path: &str) -> Result<Option<Entry>, SourceError> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.is_empty() {
            return Ok(Some(Entry { name: String::new(), kind: EntryKind::Tree, id: root, executable: false }));
        }
        let read = || -> gix::Result<Option<Entry>> {
            let found = repo.find_tree(root)?.lookup_entry(parts)?;
            Ok(found.map(|entry| Entry {
                name: entry.filename().to_str_lossy().into_owned(),
                kind: entry.mode().kind().into(),
                id: entry.object_id(),
                executable: entry.mode().is_executable(),
            }))
        };
        read().map_err(|e| self.unreadable(&root, &e))
    }

    /// How many bytes a blob has.
    ///
    /// # Errors
    /// When it is not there or damaged.
    pub fn size(&self, repo: &gix::Repository, id: ObjectId) -> Result<u64, SourceError> {
        Ok(repo.find_header(id).map_err(|e| self.unreadable(&id, &e))?.size())
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// When it is not there or damaged.
    pub fn blob(&self, repo: &gix::Repository, id: ObjectId) -> Result<Vec<u8>, SourceError> {
        let read = || -> gix::Result<Vec<u8>> { Ok(repo.find_blob(id)?.take_data()) };
        read().map_err(|e| self.unreadable(&id, &e))
    }

    /// The messages of the commits that `head` has and `base` lacks, newest first, at most `most`.
    ///
    /// # Errors
    /// When `head` cannot be read. A `base` that is gone (a forced push) bounds nothing.
    pub fn messages_since(
        &self,
        head: ObjectId,
        base: Option<ObjectId>,
        most: usize,
    ) -> Result<Vec<String>, SourceError> {
        let repo = self.local();
        let base = base.filter(|id| repo.has_object(id));
        let walk = repo.rev_walk([head]).with_hidden(base).all().map_err(|e| self.unreadable(&head, &e))?;
        let mut messages = Vec::new();
        for info in walk.take(most).flatten() {
            messages.push(self.revision(info.id)?.message);
        }
        Ok(messages)
    }

    /// Whether `id` is `head` or a commit that it came from.
    pub(crate) fn is_in(&self, head: ObjectId, id: ObjectId) -> bool {
        let repo = self.local();
        id == head
            || (repo.has_object(id) && repo.merge_base(head, id).is_ok_and(|base| base.is_some_and(|base| base == id)))
    }

    fn unreadable(&self, id: &ObjectId, error: &gix::Error) -> SourceError {
        SourceError::Cache { path: PathBuf::from(self.path()), detail: format!("cannot read object {id}: {error}") }
    }
}
