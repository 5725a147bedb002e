//! The workspace a package belongs to, found as Cargo finds it.

use super::error::{ClosureError, Refusal};
use super::manifest::Package;
use super::tree::{Entry, EntryKind, SourceTree, TreeError};
use super::{glob, path};

/// The workspace that Cargo would find for `package`, unless that is `package` itself.
pub(super) fn find(tree: &impl SourceTree, package: &Package) -> Result<Option<Package>, ClosureError> {
    if package.manifest.workspace.is_some() {
        return Ok(None);
    }
    let named = package.manifest.package.as_ref().and_then(|package| package.workspace.as_ref());
    if let Some(named) = named {
        let written = named.to_string_lossy();
        let folder = path::resolve(&package.folder, &written).ok_or_else(|| {
            package.refusal("workspace", format!("the workspace `{written}` is outside the repository"))
        })?;
        let workspace = Package::read(tree, &folder)?
            .ok_or_else(|| package.refusal("workspace", format!("there is no workspace at `{written}`")))?;
        return Ok(Some(workspace?));
    }
    let mut folder = path::parent(&package.folder);
    while let Some(above) = folder {
        if let Some(candidate) = Package::read(tree, above)? {
            let candidate = candidate?;
            if let Some(workspace) = &candidate.manifest.workspace {
                // As Cargo has it: what stands below a member named in full is not excluded.
                let is_below = |folders: &[String]| {
                    let mut folders = folders.iter().filter_map(|folder| path::resolve(above, folder));
                    folders.any(|folder| path::is_within(&package.folder, &folder))
                };
                let excluded = is_below(&workspace.exclude) && !is_below(&workspace.members);
                return Ok((!excluded).then_some(candidate));
            }
        }
        folder = path::parent(above);
    }
    Ok(None)
}

/// The folders of the workspace's members, as `members` and `exclude` say; refusals go to `refusals`.
pub(super) fn members(
    tree: &impl SourceTree,
    workspace: &Package,
    refusals: &mut Vec<Refusal>,
) -> Result<Vec<String>, TreeError> {
    let Some(inner) = &workspace.manifest.workspace else {
        return Ok(Vec::new());
    };
    let mut folders = Vec::new();
    for member in &inner.members {
        match expand(tree, workspace, member)? {
            Ok(more) => folders.extend(more),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let excluded: Vec<String> =
        inner.exclude.iter().filter_map(|excluded| path::resolve(&workspace.folder, excluded)).collect();
    folders.retain(|folder| !excluded.iter().any(|excluded| path::is_within(folder, excluded)));
    Ok(folders)
}

/// The folders that one entry of `members` names.
fn expand(
    tree: &impl SourceTree,
    workspace: &Package,
    member: &str,
) -> Result<Result<Vec<String>, Refusal>, TreeError> {
    let Some(resolved) = path::resolve(&workspace.folder, member) else {
        return Ok(Err(workspace.refusal(member, format!("the member `{member}` is outside the repository"))));
    };
    let mut folders = vec![String::new()];
    for part in resolved.split('/') {
        let mut deeper = Vec::new();
        for folder in folders {
            if !glob::is_pattern(part) {
                deeper.push(path::join(&folder, part));
                continue;
            }
            let mut names: Vec<Entry> = tree.entries(&folder)?.unwrap_or_default();
            names.retain(|entry| entry.kind == EntryKind::Folder && glob::matches(part, &entry.name));
            names.sort_by(|a, b| a.name.cmp(&b.name));
            deeper.extend(names.into_iter().map(|entry| path::join(&folder, &entry.name)));
        }
        folders = deeper;
    }
    if glob::is_pattern(member) {
        let mut packages = Vec::new();
        for folder in folders {
            if tree.read(&path::join(&folder, "Cargo.toml"))?.is_some() {
                packages.push(folder);
            }
        }
        return Ok(Ok(packages));
    }
    Ok(Ok(folders))
}
