//! Finding the closure: the package, what it depends on by path, and what Cargo wants to see of their workspace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::dependency::{self, Source};
use super::error::Refusal;
use super::manifest::Package;
use super::tree::{Entry, EntryKind, SourceTree};
use super::{Closure, ClosureError, File, MAX_BYTES, MAX_FILES, lockfile, path, settings, workspace};

/// The declaration that may stand beside a package's manifest. It says how a module is run and is not built from, so
/// that changing it compiles nothing.
const DECLARATION: &str = "application.yaml";

pub(super) fn discover<T: SourceTree>(tree: &T, source: &str) -> Result<Closure, ClosureError> {
    let folder = path::resolve("", source).ok_or_else(|| {
        Refusal::new(source, 0, "`source.path` is a folder inside the repository, relative to its root")
    })?;
    let mut discovery = Discovery {
        tree,
        files: BTreeMap::new(),
        bytes: 0,
        refusals: Vec::new(),
        whole: BTreeSet::new(),
        seen: BTreeSet::new(),
        queue: VecDeque::new(),
        workspace: None,
        registry: None,
    };
    let package = discovery.package(&folder)?;
    discovery.workspace = workspace::find(tree, &package)?;
    discovery.refuse_settings_above(&folder)?;
    let binary = package.binary(tree)??;
    let memory = package.memory()?;
    discovery.queue.push_back((folder.clone(), Depth::Whole));
    discovery.add_workspace()?;
    // It may be a workspace's root itself.
    discovery.add_members(&package)?;
    discovery.drain(Some(package))?;
    let root = discovery.workspace.as_ref().map_or(folder.clone(), |workspace| workspace.folder.clone());
    let registry = discovery.lock(&root)?;
    if !discovery.refusals.is_empty() {
        return Err(ClosureError::Refused(discovery.refusals));
    }
    Ok(Closure { package: folder, root, binary, registry, memory, files: discovery.files })
}

/// How much of a package is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// All its files.
    Whole,
    /// Its manifest, and that its targets exist.
    Manifest,
}

struct Discovery<'a, T> {
    tree: &'a T,
    files: BTreeMap<String, File>,
    bytes: u64,
    refusals: Vec<Refusal>,
    /// Packages of which every file is in.
    whole: BTreeSet<String>,
    /// Packages of which the manifest is in.
    seen: BTreeSet<String>,
    queue: VecDeque<(String, Depth)>,
    workspace: Option<Package>,
    /// The first dependency on a registry, for the refusal when there is no lock file.
    registry: Option<Refusal>,
}

impl<T: SourceTree> Discovery<'_, T> {
    /// The package of the application.
    fn package(&mut self, folder: &str) -> Result<Package, ClosureError> {
        if let Some(package) = Package::read(self.tree, folder)? {
            return Ok(package?);
        }
        let Some(entries) = self.tree.entries(folder)? else {
            return Err(Refusal::new(
                folder,
                0,
                "there is no such folder; `source.path` names the folder of a Cargo package",
            )
            .into());
        };
        let main = match self.tree.read(&path::join(folder, "src/main.rs"))? {
            Some(_) => "src/main.rs",
            None if entries.iter().any(|entry| entry.name == "main.rs") => "main.rs",
            None => {
                let message = "there is no `Cargo.toml` and no `src/main.rs` here; `source.path` names the folder of a Cargo package";
                return Err(Refusal::new(folder, 0, message).into());
            }
        };
        // A program of one file needs no manifest of its own: this is what `cargo init` would have written.
        let name = program_name(folder);
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[[bin]]\nname = \"{name}\"\npath = \"{main}\"\n\n[workspace]\n"
        );
        let file = path::join(folder, "Cargo.toml");
        let package = Package::parse(folder, &file, text.clone().into_bytes())?;
        self.put(file, File::Regular { bytes: text.into_bytes(), executable: false });
        Ok(package)
    }

    /// Adds the workspace's manifest and the manifests of its members.
    fn add_workspace(&mut self) -> Result<(), ClosureError> {
        let Some(workspace) = self.workspace.take() else {
            return Ok(());
        };
        if workspace.manifest.package.is_some() {
            self.queue.push_back((workspace.folder.clone(), Depth::Manifest));
        } else {
            self.put_text(workspace.file(), &workspace.text);
            self.seen.insert(workspace.folder.clone());
        }
        self.add_members(&workspace)?;
        self.add_patches(&workspace);
        self.workspace = Some(workspace);
        Ok(())
    }

    fn add_members(&mut self, workspace: &Package) -> Result<(), ClosureError> {
        let members = workspace::members(self.tree, workspace, &mut self.refusals)?;
        self.queue.extend(members.into_iter().map(|folder| (folder, Depth::Manifest)));
        Ok(())
    }

    /// Takes packages off the queue until none is left; `first` is the manifest of the first one.
    fn drain(&mut self, mut first: Option<Package>) -> Result<(), ClosureError> {
        while let Some((folder, depth)) = self.queue.pop_front() {
            let known = if depth == Depth::Whole { &self.whole } else { &self.seen };
            if known.contains(&folder) || self.whole.contains(&folder) {
                continue;
            }
            let package = match first.take_if(|package| package.folder == folder) {
                Some(package) => package,
                None => match Package::read(self.tree, &folder)? {
                    Some(Ok(package)) => package,
                    Some(Err(refusal)) => {
                        self.refusals.push(refusal);
                        self.seen.insert(folder);
                        continue;
                    }
                    None => {
                        let message =
                            "there is no `Cargo.toml` here, though a path dependency or a workspace names this folder";
                        self.refusals.push(Refusal::new(&folder, 0, message));
                        self.seen.insert(folder);
                        continue;
                    }
                },
            };
            match depth {
                Depth::Whole => {
                    self.whole.insert(folder.clone());
                    self.add_folder(&folder, &folder)?;
                }
                Depth::Manifest => self.add_placeholders(&package)?,
            }
            if self.seen.insert(folder) || depth == Depth::Whole {
                self.follow(&package, depth);
                self.add_patches(&package);
            }
            if self.files.len() > MAX_FILES || self.bytes > MAX_BYTES {
                let message = format!(
                    "the sources of the application are more than {MAX_FILES} files or {} MiB; keep large files outside the package",
                    MAX_BYTES >> 20
                );
                return Err(Refusal::new(package.file(), 0, message).into());
            }
        }
        Ok(())
    }

    /// Queues what a package depends on by path; refuses what may not be depended on.
    fn follow(&mut self, package: &Package, depth: Depth) {
        let mut wanted = Vec::new();
        for want in package.dependencies() {
            // What only tests use is not compiled, but Cargo reads its manifest.
            let depth = if want.dev { Depth::Manifest } else { depth };
            // A package that is its own workspace root inherits from itself.
            let root = self.workspace.as_ref().unwrap_or(package);
            match dependency::source_or_inherited(package, root, want.name, want.dependency) {
                Ok(Source::Path(folder)) => wanted.push((folder, depth)),
                Ok(Source::Registry) => {
                    self.registry.get_or_insert_with(|| package.refusal(want.name, ""));
                }
                Err(refusal) if self.refusals.contains(&refusal) => {}
                Err(refusal) => self.refusals.push(refusal),
            }
        }
        self.queue.extend(wanted);
    }

    fn add_patches(&mut self, package: &Package) {
        for (name, dependency) in package.manifest.patch.values().flatten() {
            match dependency::source(package, name, dependency) {
                Ok(Source::Path(folder)) => self.queue.push_back((folder, Depth::Whole)),
                Ok(Source::Registry) => {}
                Err(refusal) => self.refusals.push(refusal),
            }
        }
    }

    /// Adds every file below `folder`, save those of other packages.
    fn add_folder(&mut self, package: &str, folder: &str) -> Result<(), ClosureError> {
        let mut entries = self.tree.entries(folder)?.unwrap_or_default();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if folder != package && entries.iter().any(|entry| entry.name == "Cargo.toml") {
            return Ok(());
        }
        for entry in entries {
            if self.files.len() > MAX_FILES || self.bytes > MAX_BYTES {
                // Said once, by the caller.
                return Ok(());
            }
            let place = path::join(folder, &entry.name);
            self.refuse_setting(folder, &entry);
            match entry.kind {
                EntryKind::Folder if entry.name == ".git" => {}
                EntryKind::Folder => self.add_folder(package, &place)?,
                EntryKind::File { .. } if folder == package && entry.name == DECLARATION => {}
                EntryKind::File { executable, size } => {
                    if size.is_some_and(|size| self.bytes.saturating_add(size) > MAX_BYTES) {
                        self.bytes = MAX_BYTES + 1;
                        return Ok(());
                    }
                    if let Some(bytes) = self.tree.read(&place)? {
                        self.put(place, File::Regular { bytes, executable });
                    }
                }
                EntryKind::Symlink { target } => match path::resolve(folder, &target) {
                    Some(_) => self.put(place, File::Symlink { target }),
                    None => self.refusals.push(Refusal::new(
                        place,
                        0,
                        format!("this symbolic link points out of the repository (`{target}`): copy what it points to, or remove it"),
                    )),
                },
                EntryKind::Submodule => self.refusals.push(Refusal::new(
                    place,
                    0,
                    "this is a Git submodule, whose files are not in the repository: copy them, or remove it",
                )),
            }
        }
        Ok(())
    }

    fn add_placeholders(&mut self, package: &Package) -> Result<(), ClosureError> {
        self.put_text(package.file(), &package.text);
        let mut paths: Vec<String> =
            package.targets().iter().filter_map(|target| path::resolve(&package.folder, target)).collect();
        let programs = path::join(&package.folder, "src/bin");
        for entry in self.tree.entries(&programs)?.unwrap_or_default() {
            match entry.kind {
                EntryKind::Folder => paths.push(format!("{programs}/{}/main.rs", entry.name)),
                _ => paths.push(path::join(&programs, &entry.name)),
            }
        }
        for place in paths {
            if !self.files.contains_key(&place) && self.tree.read(&place)?.is_some() {
                self.files.insert(place, File::Placeholder);
            }
        }
        Ok(())
    }

    /// Refuses settings that stand in the folders above the package, where Cargo would look for them.
    fn refuse_settings_above(&mut self, package: &str) -> Result<(), ClosureError> {
        let mut above = path::parent(package);
        while let Some(folder) = above {
            for entry in self.tree.entries(folder)?.unwrap_or_default() {
                self.refuse_setting(folder, &entry);
            }
            for name in ["config", "config.toml"] {
                let file = path::join(folder, &format!(".cargo/{name}"));
                if self.tree.read(&file)?.is_some() {
                    self.refusals.push(settings::cargo_configuration(file));
                }
            }
            above = path::parent(folder);
        }
        Ok(())
    }

    fn refuse_setting(&mut self, folder: &str, entry: &Entry) {
        self.refusals.extend(settings::refusal(folder, entry));
    }

    /// Adds the lock file; tells whether crates have to be fetched.
    fn lock(&mut self, root: &str) -> Result<bool, ClosureError> {
        let file = path::join(root, "Cargo.lock");
        match self.tree.read(&file)? {
            Some(bytes) => {
                let registry = lockfile::check(&file, &bytes, &mut self.refusals);
                self.put(file, File::Regular { bytes, executable: false });
                Ok(registry)
            }
            None => {
                if let Some(mut refusal) = self.registry.take() {
                    refusal.message = format!(
                        "crates come from the registry only by lock file, and there is no {file}: run `cargo generate-lockfile` and commit it"
                    );
                    self.refusals.push(refusal);
                }
                Ok(false)
            }
        }
    }

    fn put_text(&mut self, file: String, text: &str) {
        self.put(file, File::Regular { bytes: text.as_bytes().to_vec(), executable: false });
    }

    fn put(&mut self, place: String, file: File) {
        if let File::Regular { bytes, .. } = &file {
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        }
        if let Some(File::Regular { bytes, .. }) = self.files.insert(place, file) {
            self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        }
    }
}

/// A package name made of a folder's name.
fn program_name(folder: &str) -> String {
    let name = folder.rsplit('/').next().unwrap_or_default();
    let mut name: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' })
        .collect();
    if !name.starts_with(|character: char| character.is_ascii_alphabetic()) {
        name.insert_str(0, "app-");
    }
    name.truncate(60);
    name
}
