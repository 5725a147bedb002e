//! A Git tree as the builder reads it, remembering what was read, so that the next revision is known to be the same without
//! reading it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gix::ObjectId as Oid;
use wasmbed_builder::closure::{Entry, EntryKind, MAX_BYTES, SourceTree, TreeError};

use crate::plan::Fingerprint;
use crate::source::{self, Repository, SourceError};

/// What a closure was made from: every path that was looked at.
#[derive(Debug, Default)]
pub(crate) struct Inputs(BTreeMap<String, Look>);

/// What was seen at a path.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// The object there; `None` when there was nothing.
    id: Option<Oid>,
    /// Of a folder that was listed: its names and kinds. What mattered inside was looked at by itself.
    listing: Option<Fingerprint>,
}

impl Inputs {
    /// Whether a closure of another tree would be the same.
    pub(crate) fn are_same_in(&self, repository: &Repository, tree: Oid) -> Result<bool, SourceError> {
        let repo = repository.local();
        let mut whole: Option<&str> = None;
        for (path, look) in &self.0 {
            // What lies in a folder that is the same is the same.
            if whole.is_some_and(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))) {
                continue;
            }
            let now = repository.entry_at(&repo, tree, path)?;
            if now.as_ref().map(|entry| entry.id) == look.id {
                if now.is_some_and(|entry| entry.kind == source::EntryKind::Tree) {
                    whole = Some(path);
                }
                continue;
            }
            let (Some(now), Some(listing)) = (now, look.listing) else {
                return Ok(false);
            };
            let is_folder = now.kind == source::EntryKind::Tree;
            if !is_folder || listing_of(&repository.entries(&repo, now.id)?) != listing {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One Git tree, read through the builder's eyes.
pub(crate) struct GitTree {
    repository: Repository,
    repo: gix::Repository,
    tree: Oid,
    inputs: RefCell<Inputs>,
}

impl GitTree {
    pub(crate) fn new(repository: Repository, tree: Oid) -> Self {
        let repo = repository.local();
        Self { repository, repo, tree, inputs: RefCell::default() }
    }

    pub(crate) fn into_inputs(self) -> Inputs {
        self.inputs.into_inner()
    }

    fn look(&self, path: &str) -> Result<Option<source::Entry>, TreeError> {
        let entry = self.repository.entry_at(&self.repo, self.tree, path).map_err(|e| failed(path, e))?;
        let look = Look { id: entry.as_ref().map(|e| e.id), listing: None };
        self.inputs.borrow_mut().0.entry(path.to_owned()).or_insert(look);
        Ok(entry)
    }
}

impl SourceTree for GitTree {
    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, TreeError> {
        let Some(folder) = self.look(path)?.filter(|entry| entry.kind == source::EntryKind::Tree) else {
            return Ok(None);
        };
        let entries = self.repository.entries(&self.repo, folder.id).map_err(|e| failed(path, e))?;
        if let Some(look) = self.inputs.borrow_mut().0.get_mut(path) {
            look.listing = Some(listing_of(&entries));
        }
        entries
            .into_iter()
            .map(|entry| {
                let kind = match entry.kind {
                    source::EntryKind::Tree => EntryKind::Folder,
                    source::EntryKind::Blob => EntryKind::File { executable: entry.executable, size: None },
                    source::EntryKind::Commit => EntryKind::Submodule,
                    source::EntryKind::Link => {
                        let target = self.repository.blob(&self.repo, entry.id).map_err(|e| failed(path, e))?;
                        EntryKind::Symlink { target: String::from_utf8_lossy(&target).into_owned() }
                    }
                };
                Ok(Entry { name: entry.name, kind })
            })
            .collect::<Result<Vec<_>, TreeError>>()
            .map(Some)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
        let Some(file) = self.look(path)?.filter(|entry| entry.kind == source::EntryKind::Blob) else {
            return Ok(None);
        };
        let size = self.repository.size(&self.repo, file.id).map_err(|e| failed(path, e))?;
        if size > MAX_BYTES {
            let source =
                format!("it has {size} bytes, more than a source may have; keep it outside the package").into();
            return Err(TreeError { path: path.to_owned(), source });
        }
        self.repository.blob(&self.repo, file.id).map(Some).map_err(|e| failed(path, e))
    }
}

/// Names and kinds; of links also where they lead, which is their object.
fn listing_of(entries: &[source::Entry]) -> Fingerprint {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(entry.name.as_bytes());
        bytes.extend_from_slice(&[0, entry.kind as u8, u8::from(entry.executable)]);
        if entry.kind == source::EntryKind::Link {
            bytes.extend_from_slice(entry.id.as_slice());
        }
    }
    Fingerprint::of(&bytes)
}

fn failed(path: &str, source: SourceError) -> TreeError {
    TreeError { path: path.to_owned(), source: source.into() }
}
