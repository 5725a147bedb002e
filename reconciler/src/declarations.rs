//! What a revision declares: the YAML documents under the fleet's path, parsed and checked against one another.
//!
//! A folder whose tree id did not change is taken over as it is, and so is a file whose blob id did not change: a new
//! commit costs what it changes.

mod file;
mod folder;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use gix::ObjectId as Oid;
use kube::ResourceExt;
use wasmbed_api::declarations::{Context, Finding, Object, Parsed, Position, Problem, Severity, check};
use wasmbed_api::{ApplicationSpec, Device};

pub(crate) use file::{File, manifest};
pub(crate) use folder::Folder;

use crate::boards::DeclaredBoard;
use crate::build::join;
use crate::plan::{Desired, Kind, ObjectId, Place};
use crate::source::{EntryKind, Repository, SourceError};

/// Everything a revision declares.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    /// For the plan.
    pub desired: BTreeMap<ObjectId, Desired>,
    /// What keeps the revision from being applied; empty when nothing does.
    pub errors: Vec<Problem>,
    /// Forms that work and are to be written otherwise, and what has no effect.
    pub notes: Vec<Problem>,
    objects: BTreeMap<ObjectId, Origin>,
    deprecated: BTreeMap<ObjectId, String>,
    /// Folders that applications are built from, from the fleet's folder.
    sources: Vec<String>,
    /// The boards of each application, found when the first is asked for: once for what is declared, and not at each pass.
    boards: OnceLock<BTreeMap<Arc<str>, Vec<DeclaredBoard>>>,
}

#[derive(Clone, Debug)]
struct Origin {
    file: Arc<File>,
    index: usize,
}

/// Where the declarations of a fleet are read from.
#[derive(Clone)]
pub struct Reader {
    /// The objects.
    pub repository: Repository,
    /// The fleet's name, for the label.
    pub fleet: String,
    /// The namespace everything is declared for; any is taken where it is unknown.
    pub namespace: Option<String>,
    /// The folder within the repository; empty for its root.
    pub path: String,
}

/// The declarations of a tree, with what is needed to read the next one quickly.
#[derive(Clone)]
pub struct Loaded {
    tree: Oid,
    /// The fleet, its namespace and its folder: for others the same tree declares something else.
    read_as: (String, Option<String>, String),
    root: Option<Arc<Folder>>,
    declarations: Arc<Declarations>,
}

impl Loaded {
    /// What the tree declares.
    #[must_use]
    pub fn declarations(&self) -> &Arc<Declarations> {
        &self.declarations
    }

    /// The tree, of the whole repository.
    #[must_use]
    pub fn tree(&self) -> Oid {
        self.tree
    }
}

impl Reader {
    /// Reads what `tree` declares; what is as in `before` is taken from there.
    ///
    /// # Errors
    /// When the repository cannot be read. What is wrong with the declarations is in [`Declarations::errors`].
    pub fn load(&self, tree: Oid, before: Option<&Loaded>) -> Result<Loaded, SourceError> {
        let read_as = (self.fleet.clone(), self.namespace.clone(), self.path.clone());
        let before = before.filter(|b| b.read_as == read_as);
        if let Some(same) = before.filter(|b| b.tree == tree) {
            return Ok(same.clone());
        }
        let repo = self.repository.local();
        let id = match self.fleet_folder(&repo, tree)? {
            Ok(id) => id,
            Err(message) => {
                let errors = vec![problem(&self.path, message)];
                let declarations = Arc::new(Declarations { errors, ..Declarations::default() });
                return Ok(Loaded { tree, read_as, root: None, declarations });
            }
        };
        let root = folder::read(self, &repo, &self.path, id, before.and_then(|b| b.root.as_ref()))?;
        let has_folder = |path: &str| {
            let entry = self.repository.entry_at(&repo, tree, &join(&self.path, path));
            entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.kind == EntryKind::Tree))
        };
        // The sources may have moved away under declarations that did not change.
        let unchanged = before.filter(|b| {
            b.root.as_ref().is_some_and(|r| Arc::ptr_eq(r, &root))
                && b.declarations.errors.is_empty()
                && b.declarations.sources.iter().all(|path| has_folder(path))
        });
        let declarations = match unchanged {
            Some(before) => Arc::clone(&before.declarations),
            None => Arc::new(self.assemble(&root, &has_folder)),
        };
        Ok(Loaded { tree, read_as, root: Some(root), declarations })
    }

    fn fleet_folder(&self, repo: &gix::Repository, tree: Oid) -> Result<Result<Oid, &'static str>, SourceError> {
        Ok(match self.repository.entry_at(repo, tree, &self.path)? {
            Some(entry) if entry.kind == EntryKind::Tree => Ok(entry.id),
            Some(_) => Err("this is not a folder; Fleet.spec.path names the folder with the declarations"),
            None => Err("there is no such folder; create it, or correct Fleet.spec.path"),
        })
    }

    fn assemble(&self, root: &Folder, has_folder: &impl Fn(&str) -> bool) -> Declarations {
        let mut files = Vec::new();
        root.each_file(&mut |file| files.push(file));
        let context = Context { namespace: self.namespace.as_deref(), tree: Some(has_folder) };
        let parsed = files.iter().map(|file| (&*file.path, &file.parsed));
        let (errors, notes) = match check::<Parsed>(parsed, &context) {
            Ok(checked) => (Vec::new(), checked.notes),
            Err(report) => (report.errors, report.notes),
        };
        let mut declarations = Declarations { errors, notes, ..Declarations::default() };
        root.each_problem(&mut |found| declarations.errors.push(found.clone()));
        let mut desired = Vec::new();
        let mut objects = Vec::new();
        for file in files {
            for (index, (id, fingerprint)) in file.declared.iter().enumerate() {
                let declaration = &file.parsed.declarations[index];
                let place = Place { file: Arc::clone(&file.path), line: declaration.position.line };
                desired.push((id.clone(), Desired { fingerprint: *fingerprint, place }));
                objects.push((id.clone(), Origin { file: Arc::clone(file), index }));
                if let Object::Application(application) = &declaration.object
                    && let Some(source) = &application.spec.source
                {
                    declarations.sources.push(source.path.clone());
                }
            }
        }
        declarations.desired = desired.into_iter().collect();
        declarations.objects = objects.into_iter().collect();
        declarations.deprecated = deprecations(&declarations.notes);
        declarations
    }
}

impl Declarations {
    /// The declared object.
    pub(crate) fn object(&self, id: &ObjectId) -> Option<&Object> {
        let origin = self.objects.get(id)?;
        Some(&origin.file.parsed.declarations[origin.index].object)
    }

    /// What to write instead of old forms.
    pub(crate) fn deprecated(&self, id: &ObjectId) -> Option<&str> {
        self.deprecated.get(id).map(String::as_str)
    }

    /// The declared objects of one kind, in the order of their names.
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, &Object)> {
        let from = ObjectId::new(kind, "");
        self.objects.range(from..).take_while(move |(id, _)| id.kind == kind).map(|(id, origin)| {
            let declaration = &origin.file.parsed.declarations[origin.index];
            (&id.name, &declaration.object)
        })
    }

    /// The file an object is declared in, from the repository's root, and its content.
    pub(crate) fn file_of(&self, id: &ObjectId) -> Option<(&str, Oid)> {
        let file = &self.objects.get(id)?.file;
        Some((&file.path, file.blob))
    }

    /// The spec of a declared Application.
    pub(crate) fn application(&self, id: &ObjectId) -> Option<&ApplicationSpec> {
        match self.object(id)? {
            Object::Application(application) => Some(&application.spec),
            _ => None,
        }
    }

    /// A declared Device.
    pub(crate) fn device(&self, id: &ObjectId) -> Option<&Device> {
        match self.object(id)? {
            Object::Device(device) => Some(device),
            _ => None,
        }
    }

    /// The declared applications.
    pub(crate) fn applications(&self) -> impl Iterator<Item = (&Arc<str>, &ApplicationSpec)> {
        self.of_kind(Kind::Application).filter_map(|(name, object)| match object {
            Object::Application(application) => Some((name, &application.spec)),
            _ => None,
        })
    }

    /// The boards an application is for, each once, and what they have for applications.
    pub(crate) fn boards_of(&self, application: &str) -> &[DeclaredBoard] {
        let boards = self.boards.get_or_init(|| self.find_boards());
        boards.get(application).map_or(&[], Vec::as_slice)
    }

    /// The boards of every application that is for any.
    fn find_boards(&self) -> BTreeMap<Arc<str>, Vec<DeclaredBoard>> {
        let mut devices: BTreeMap<DeclaredBoard, Vec<(&Arc<str>, &Device)>> = BTreeMap::new();
        for (name, device) in self.devices() {
            if let Some(memory) = device.spec.memory() {
                devices.entry((device.spec.board(), memory)).or_default().push((name, device));
            }
        }
        let boards_of = |spec: &ApplicationSpec| -> Vec<DeclaredBoard> {
            let is_target = |(name, device): &(&Arc<str>, &Device)| spec.targets(name, device.labels());
            devices.iter().filter(|(_, of)| of.iter().any(is_target)).map(|(board, _)| *board).collect()
        };
        let all = self.applications().map(|(name, spec)| (Arc::clone(name), boards_of(spec)));
        all.filter(|(_, boards)| !boards.is_empty()).collect()
    }

    /// The declared devices.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&Arc<str>, &Device)> {
        self.of_kind(Kind::Device).filter_map(|(name, object)| match object {
            Object::Device(device) => Some((name, &**device)),
            _ => None,
        })
    }
}

/// The notes on each object, for a condition.
fn deprecations(notes: &[Problem]) -> BTreeMap<ObjectId, String> {
    let mut all: BTreeMap<ObjectId, String> = BTreeMap::new();
    for note in notes {
        let title = note.finding.object.as_deref().and_then(|title| title.split_once(' '));
        let Some((kind, name)) = title else { continue };
        let Some(kind) = Kind::ALL.into_iter().find(|k| k.name() == kind) else { continue };
        let Some(help) = note.finding.help.as_deref().filter(|_| note.finding.message.contains("old form")) else {
            continue;
        };
        let text = format!("{}:{}: {}: {help}", note.file, note.finding.position.line, note.finding.message);
        let known = all.entry(ObjectId::new(kind, name.trim_matches('`'))).or_default();
        if !known.is_empty() {
            known.push_str("; ");
        }
        known.push_str(&text);
    }
    all
}

fn problem(file: &str, message: impl Into<String>) -> Problem {
    Problem {
        file: file.to_owned(),
        finding: Finding {
            severity: Severity::Error,
            position: Position::START,
            object: None,
            field: String::new(),
            message: message.into(),
            expected: None,
            help: None,
        },
    }
}
