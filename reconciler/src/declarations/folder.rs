//! One folder of the tree, and everything below it, taken over from the last revision wherever its id is the same.

use std::collections::HashMap;
use std::sync::Arc;

use gix::ObjectId as Oid;
use wasmbed_api::declarations::{MAX_FILE, Problem, is_declaration_file};

use super::file::{self, File};
use super::{Reader, problem};
use crate::source::{Entry, EntryKind, SourceError};

/// How deep folders may lie within one another.
const MAX_DEPTH: usize = 64;

/// The declarations in a folder and below it.
#[derive(Debug)]
pub(crate) struct Folder {
    id: Oid,
    /// In Git's order.
    entries: Vec<(Box<str>, Node)>,
    /// Links and other entries that cannot be followed.
    problems: Vec<Problem>,
}

#[derive(Debug)]
enum Node {
    Folder(Arc<Folder>),
    File(Arc<File>),
}

impl Folder {
    /// Calls `visit` for every file, in order.
    pub(super) fn each_file<'a>(&'a self, visit: &mut impl FnMut(&'a Arc<File>)) {
        for (_, node) in &self.entries {
            match node {
                Node::Folder(folder) => folder.each_file(visit),
                Node::File(file) => visit(file),
            }
        }
    }

    /// Calls `visit` for every problem of a folder.
    pub(super) fn each_problem<'a>(&'a self, visit: &mut impl FnMut(&'a Problem)) {
        self.problems.iter().for_each(&mut *visit);
        for (_, node) in &self.entries {
            if let Node::Folder(folder) = node {
                folder.each_problem(visit);
            }
        }
    }
}

/// Finds the entries of the last revision's folder: mostly the next one, else by name.
struct Before<'a> {
    rest: std::slice::Iter<'a, (Box<str>, Node)>,
    all: &'a [(Box<str>, Node)],
    by_name: Option<HashMap<&'a str, &'a Node>>,
}

impl<'a> Before<'a> {
    fn new(folder: Option<&'a Arc<Folder>>) -> Self {
        let all = folder.map_or(&[][..], |f| &f.entries);
        Self { rest: all.iter(), all, by_name: None }
    }

    fn node(&mut self, name: &str) -> Option<&'a Node> {
        if let Some((_, node)) = self.rest.clone().next().filter(|(next, _)| **next == *name) {
            self.rest.next();
            return Some(node);
        }
        let all = self.all;
        let by_name = self.by_name.get_or_insert_with(|| all.iter().map(|(name, node)| (&**name, node)).collect());
        by_name.get(name).copied()
    }
}

/// Reads the folder `id` that lies at `path`.
pub(super) fn read(
    reader: &Reader,
    repo: &gix::Repository,
    path: &str,
    id: Oid,
    before: Option<&Arc<Folder>>,
) -> Result<Arc<Folder>, SourceError> {
    if let Some(same) = before.filter(|b| b.id == id) {
        return Ok(Arc::clone(same));
    }
    let mut folder = Folder { id, entries: Vec::new(), problems: Vec::new() };
    let mut before = Before::new(before);
    for entry in reader.repository.entries(repo, id)? {
        if entry.name.starts_with('.') {
            continue;
        }
        let place = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
        match read_entry(reader, repo, &place, &entry, &mut before)? {
            Read::Nothing => {}
            Read::Node(node) => folder.entries.push((entry.name.into(), node)),
            Read::Problem(message) => folder.problems.push(problem(&place, message)),
        }
    }
    Ok(Arc::new(folder))
}

enum Read {
    Nothing,
    Node(Node),
    Problem(String),
}

fn read_entry(
    reader: &Reader,
    repo: &gix::Repository,
    path: &str,
    entry: &Entry,
    before: &mut Before<'_>,
) -> Result<Read, SourceError> {
    let is_declaration = is_declaration_file(&entry.name);
    Ok(match entry.kind {
        EntryKind::Tree if path.split('/').count() > MAX_DEPTH => {
            Read::Problem(format!("this lies deeper than {MAX_DEPTH} folders; move it up"))
        }
        EntryKind::Tree => {
            let before = match before.node(&entry.name) {
                Some(Node::Folder(folder)) => Some(folder),
                _ => None,
            };
            Read::Node(Node::Folder(read(reader, repo, path, entry.id, before)?))
        }
        EntryKind::Blob if is_declaration => match before.node(&entry.name) {
            Some(Node::File(file)) if file.blob == entry.id => Read::Node(Node::File(Arc::clone(file))),
            _ => read_file(reader, repo, path, entry.id)?,
        },
        EntryKind::Link => {
            let target = reader.repository.blob(repo, entry.id)?;
            let target = String::from_utf8_lossy(&target);
            if leaves_the_tree(path, &target) {
                Read::Problem(format!(
                    "this symbolic link leads out of the repository, to `{target}`; replace it by what it means"
                ))
            } else if is_declaration {
                Read::Problem("this is a symbolic link; declarations are read from regular files only".to_owned())
            } else {
                Read::Nothing
            }
        }
        EntryKind::Blob | EntryKind::Commit => Read::Nothing,
    })
}

fn read_file(reader: &Reader, repo: &gix::Repository, path: &str, blob: Oid) -> Result<Read, SourceError> {
    let size = reader.repository.size(repo, blob)?;
    if size > MAX_FILE as u64 {
        return Ok(Read::Problem(format!(
            "this file of declarations has {size} bytes, more than the {MAX_FILE} allowed; split it"
        )));
    }
    let bytes = reader.repository.blob(repo, blob)?;
    Ok(Read::Node(Node::File(Arc::new(file::parse(&reader.fleet, path, blob, &bytes)))))
}

/// Whether a link at `path` (from the repository's root) leads out of the repository.
fn leaves_the_tree(path: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leaves_the_tree_when_it_climbs_above_its_root_or_is_absolute() {
        for (path, target, leaves) in [
            ("a.yaml", "b.yaml", false),
            ("a.yaml", "../b.yaml", true),
            ("x/a.yaml", "../b.yaml", false),
            ("x/y/a.yaml", "../../../b", true),
            ("x/a", "./../y/../..", true),
            ("x/a", "y/../../z", false),
            ("x/a", "/etc/passwd", true),
        ] {
            assert_eq!(leaves_the_tree(path, target), leaves, "{path} -> {target}");
        }
    }
}
