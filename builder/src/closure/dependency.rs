//! Where a dependency comes from.

use cargo_toml::{Dependency, DependencyDetail};

use super::error::Refusal;
use super::manifest::Package;
use super::path;

/// Where a dependency comes from, if it may.
pub(super) enum Source {
    /// A folder of the repository.
    Path(String),
    /// crates.io, by the lock file.
    Registry,
}

/// The source of what `package` calls `name`; `root` is the workspace it may inherit from.
pub(super) fn source_or_inherited(
    package: &Package,
    root: &Package,
    name: &str,
    dependency: &Dependency,
) -> Result<Source, Refusal> {
    if !matches!(dependency, Dependency::Inherited(_)) {
        return source(package, name, dependency);
    }
    match root.manifest.workspace.as_ref().and_then(|workspace| workspace.dependencies.get(name)) {
        Some(dependency) => source(root, name, dependency),
        None => Err(package.refusal(
            name,
            format!("`{name}` is inherited, but {} has no such entry in `[workspace.dependencies]`", root.file()),
        )),
    }
}

/// The source of what stands in the manifest of `package` itself.
pub(super) fn source(package: &Package, name: &str, dependency: &Dependency) -> Result<Source, Refusal> {
    let nothing = DependencyDetail::default();
    let detail = dependency.detail().unwrap_or(&nothing);
    let refuse = |message: String| Err(package.refusal(name, message));
    if let Some(git) = &detail.git {
        return refuse(format!(
            "`{name}` comes from Git ({git}), which is not fetched: use a released version, or a path inside the repository"
        ));
    }
    if let Some(registry) = detail.registry.as_deref().or(detail.registry_index.as_deref()) {
        return refuse(format!("`{name}` comes from the registry `{registry}`; only crates.io is fetched from"));
    }
    let Some(written) = &detail.path else {
        if detail.package.as_deref().unwrap_or(name) == "wasmbed" {
            return refuse(
                "`wasmbed` needs no dependency: the builder brings it, as the compiler brings `std`; remove this line"
                    .to_owned(),
            );
        }
        return Ok(Source::Registry);
    };
    if written.starts_with('/') {
        return refuse(format!("`{name}` has the absolute path `{written}`: use one relative to this file"));
    }
    match path::resolve(&package.folder, written) {
        Some(folder) => Ok(Source::Path(folder)),
        None => refuse(format!("`{name}` has the path `{written}`, which is outside the repository")),
    }
}
