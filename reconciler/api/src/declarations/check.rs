//! Looking across files: duplicates, references, shared keys, paths.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::envelope::Kind;
use super::finding::{Finding, Position, Problem, Report};
use super::nearest::did_you_mean;
use super::parse::{Declaration, Parsed, Reference, Target, parse};
use crate::key::PublicKey;

/// Comparing a name with all others takes time: the first errors of a report get a suggestion.
const MOST_SUGGESTIONS: usize = 50;

/// What the rest of the repository holds.
pub trait TreeView {
    /// Whether there is a folder of this path. The path is as it stands in the declaration,
    /// relative to the fleet's folder; `./` and slashes at its ends are taken off.
    fn has_folder(&self, path: &str) -> bool;

    /// Folders that could have been meant, for an error's help.
    fn folders(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<F: Fn(&str) -> bool> TreeView for F {
    fn has_folder(&self, path: &str) -> bool {
        self(path)
    }
}

/// What a set of declarations is checked against.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// The fleet's namespace; any is taken where it is unknown.
    pub namespace: Option<&'a str>,
    /// The repository; paths are not checked where it is unknown.
    pub tree: Option<&'a dyn TreeView>,
}

/// A declaration and its file.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The file, as the caller named it.
    pub file: &'a str,
    /// The declaration.
    pub declaration: &'a Declaration,
}

/// A set of declarations that can be applied.
#[derive(Clone, Debug, Default)]
pub struct Checked<'a> {
    /// The declarations, in the order of files and lines.
    pub declarations: Vec<Placed<'a>>,
    /// What works and is to be written otherwise, or has no effect.
    pub notes: Vec<Problem>,
}

/// Checks what stands in all files of a revision together.
///
/// # Errors
/// Everything that is wrong, the findings of single files included.
pub fn check<'a, P: Borrow<Parsed> + 'a>(
    files: impl IntoIterator<Item = (&'a str, &'a P)>,
    context: &Context<'_>,
) -> Result<Checked<'a>, Report> {
    let files: Vec<(&str, &Parsed)> = files.into_iter().map(|(file, parsed)| (file, parsed.borrow())).collect();
    let declarations: Vec<Placed<'a>> = files
        .iter()
        .flat_map(|(file, parsed)| parsed.declarations.iter().map(|declaration| Placed { file, declaration }))
        .collect();
    let mut problems: Vec<Problem> = files
        .iter()
        .flat_map(|(file, parsed)| {
            parsed.findings.iter().map(|finding| Problem { file: (*file).to_owned(), finding: finding.clone() })
        })
        .collect();
    let index = Index::new(&files, &mut problems);
    // A file that cannot be read to its end may be the one that declares what seems to be missing.
    let complete = !files.iter().any(|(_, parsed)| parsed.is_cut);
    let mut resolver = Resolver { index, context, complete, suggestions: 0, folders: None, keys: HashMap::new() };
    for placed in &declarations {
        for reference in &placed.declaration.references {
            if let Some(finding) = resolver.resolve(*placed, reference) {
                problems.push(problem(*placed, finding));
            }
        }
    }
    // Files keep the order they came in.
    let order: HashMap<&str, usize> = files.iter().enumerate().map(|(i, (file, _))| (*file, i)).collect();
    problems.sort_by_key(|p| (order.get(p.file.as_str()).copied(), p.finding.position));
    let (errors, notes): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.finding.is_error());
    if errors.is_empty() { Ok(Checked { declarations, notes }) } else { Err(Report { errors, notes }) }
}

/// Parses files and checks them together.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn read<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    context: &Context<'_>,
) -> Result<Vec<(&'a str, Parsed)>, Report> {
    let parsed: Vec<(&str, Parsed)> = files.into_iter().map(|(file, bytes)| (file, parse(bytes))).collect();
    check(parsed.iter().map(|(file, parsed)| (*file, parsed)), context)?;
    Ok(parsed)
}

fn problem(placed: Placed<'_>, finding: Finding) -> Problem {
    let object = &placed.declaration.object;
    let title = format!("{} `{}`", object.kind(), object.name());
    Problem { file: placed.file.to_owned(), finding: Finding { object: Some(title), ..finding } }
}

/// The names of what is declared, be it with errors or without.
struct Index<'a> {
    names: BTreeMap<Kind, HashSet<&'a str>>,
}

impl<'a> Index<'a> {
    fn new(files: &[(&'a str, &'a Parsed)], problems: &mut Vec<Problem>) -> Self {
        let mut first: HashMap<(Kind, &str), (&str, Position)> = HashMap::new();
        let mut names: BTreeMap<Kind, HashSet<&str>> = BTreeMap::new();
        for (file, parsed) in files {
            let whole = parsed.declarations.iter();
            let whole = whole.map(|d| (d.object.of_kind(), d.object.name(), d.position, d.name_position));
            let broken = parsed.broken.iter();
            let broken = broken.map(|b| (b.kind, b.name.as_str(), b.position, b.name_position));
            let mut all: Vec<_> = whole.chain(broken).collect();
            all.sort_by_key(|(_, _, position, _)| *position);
            for (kind, name, position, name_position) in all {
                names.entry(kind).or_default().insert(name);
                let Some((earlier, at)) = first.get(&(kind, name)) else {
                    first.insert((kind, name), (file, position));
                    continue;
                };
                let message = format!("{} `{name}` is declared twice", kind.as_str());
                let finding = Finding::error(name_position, "metadata.name", message)
                    .help(format!("it stands in {earlier}:{} already; rename or remove one", at.line));
                problems.push(Problem { file: (*file).to_owned(), finding });
            }
        }
        Self { names }
    }

    fn has(&self, kind: Kind, name: &str) -> bool {
        self.names.get(&kind).is_some_and(|names| names.contains(name))
    }
}

struct Resolver<'a, 'c> {
    index: Index<'a>,
    context: &'c Context<'c>,
    complete: bool,
    suggestions: usize,
    folders: Option<Vec<String>>,
    keys: HashMap<PublicKey, Placed<'a>>,
}

impl<'a> Resolver<'a, '_> {
    fn resolve(&mut self, placed: Placed<'a>, reference: &Reference) -> Option<Finding> {
        let error = |message: String| Finding::error(reference.position, &reference.field, message);
        match &reference.target {
            Target::Device(name) => self.unknown(Kind::Device, name.as_str(), reference),
            Target::Gateway(name) => self.unknown(Kind::Gateway, name.as_str(), reference),
            Target::Path(path) => {
                let tree = self.context.tree?;
                let folder = path.trim_start_matches("./").trim_matches('/');
                if tree.has_folder(folder) {
                    return None;
                }
                let folders = self.folders.get_or_insert_with(|| tree.folders());
                let help = did_you_mean(folder, folders.iter().map(String::as_str));
                Some(
                    error(format!("there is no folder `{path}`"))
                        .expected("the folder of a Cargo package, from the fleet's folder")
                        .help_if(help),
                )
            }
            Target::Key(key) => {
                let Some(other) = self.keys.get(key) else {
                    self.keys.insert(*key, placed);
                    return None;
                };
                let (name, at) = (other.declaration.object.name(), other.declaration.position);
                Some(
                    error(format!("Device `{name}` has the same public key"))
                        .expected("a key of its own for each device")
                        .help(format!("it stands in {}:{}", other.file, at.line)),
                )
            }
            Target::Namespace(found) => {
                let namespace = self.context.namespace.filter(|namespace| namespace != found)?;
                Some(
                    error(format!("the namespace `{found}` is not the fleet's"))
                        .expected(format!("`{namespace}`, or no namespace"))
                        .help("remove the line: a repository fills the namespace of its Fleet"),
                )
            }
        }
    }

    fn unknown(&mut self, kind: Kind, name: &str, reference: &Reference) -> Option<Finding> {
        if self.index.has(kind, name) || !self.complete {
            return None;
        }
        let message = format!("there is no {} `{name}`", kind.as_str());
        let finding = Finding::error(reference.position, &reference.field, message)
            .expected(format!("the name of a {} that is declared in this repository", kind.as_str()));
        self.suggestions += 1;
        if self.suggestions > MOST_SUGGESTIONS {
            return Some(finding);
        }
        let names = self.index.names.get(&kind).into_iter().flatten().copied();
        Some(finding.help_if(did_you_mean(name, names)))
    }
}
