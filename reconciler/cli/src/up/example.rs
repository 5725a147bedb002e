//! The example fleet: a bare repository to push to, and a working copy to edit.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};

use crate::state_folder::StateFolder;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../fleet-example");

/// Makes the repository and the working copy where they are missing; what is there stays as it is.
///
/// # Errors
/// When the `git` program is missing or fails, or the files cannot be written.
pub(super) fn create(state: &StateFolder, branch: &str) -> Result<()> {
    let (repository, copy) = (state.example_repository(), state.example_copy());
    if !repository.exists() {
        if copy.exists() {
            bail!(
                "{repository} is gone, and {copy} was cloned from it: bring it back (`git clone --bare {copy} {repository}` makes one \
                 of what is committed there), or begin anew with another --state",
                repository = repository.display(),
                copy = copy.display(),
            );
        }
        // Made beside its place and moved there whole, so that a half-made one is never taken for the fleet.
        let new = fresh(&repository)?;
        let first = fresh(&state.path().join("fleet-first"))?;
        git(state.path(), ["init", "-q", "--bare", "-b", branch].map(OsStr::new).into_iter().chain([new.as_os_str()]))?;
        write(&FILES, &first)?;
        git(&first, ["init", "-q", "-b", branch])?;
        git(&first, ["add", "."])?;
        let who = ["-c", "user.name=Wasmbed", "-c", "user.email=wasmbed@localhost", "-c", "commit.gpgsign=false"];
        git(&first, who.into_iter().chain(["commit", "-q", "-m", "The example fleet"]))?;
        git(&first, [OsStr::new("push"), OsStr::new("-q"), new.as_os_str(), OsStr::new(branch)])?;
        std::fs::remove_dir_all(&first)?;
        std::fs::rename(&new, &repository)?;
    }
    if !copy.exists() {
        let new = fresh(&copy)?;
        let clone = [OsStr::new("clone"), OsStr::new("-q"), repository.as_os_str(), new.as_os_str()];
        git(state.path(), clone)?;
        if !has_identity(&new) {
            // So that the first `git commit` a newcomer types works; their own settings come first where they exist.
            git(&new, ["config", "user.name", "Wasmbed"])?;
            git(&new, ["config", "user.email", "wasmbed@localhost"])?;
        }
        std::fs::rename(&new, &copy)?;
    }
    Ok(())
}

fn fresh(path: &Path) -> Result<std::path::PathBuf> {
    let new = path.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new).with_context(|| format!("cannot remove the half-made {}", new.display()))?;
    }
    Ok(new)
}

fn write(from: &Dir<'_>, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for file in from.files() {
        let path = to.join(file.path().file_name().expect("a file has a name"));
        std::fs::write(&path, file.contents()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for folder in from.dirs() {
        let name = folder.path().file_name().expect("a folder has a name");
        // What a local build of an application leaves there is none of the example's.
        if name != "target" {
            write(folder, &to.join(name))?;
        }
    }
    Ok(())
}

fn has_identity(repository: &Path) -> bool {
    command(repository).args(["var", "GIT_COMMITTER_IDENT"]).output().is_ok_and(|output| output.status.success())
}

fn git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Result<()> {
    let mut command = command(folder);
    let output = command.args(arguments).output().context("cannot run the `git` program: install git")?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// `git` in `folder`, untouched by the repository this program may have been started in.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}
