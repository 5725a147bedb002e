//! Tying a process that knows nothing of us to the life of this one.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// The words with which the program `wasmbed` becomes another one that ends with its parent, and that never has more than
/// `memory` bytes of address space where that is given.
///
/// QEMU and Renode do not end when their standard input does, as our own programs do.
pub(crate) fn guarded(program: &Path, arguments: Vec<OsString>, memory: Option<u64>) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["with-parent".into(), std::process::id().to_string().into()];
    if let Some(memory) = memory {
        words.extend(["--memory".into(), memory.to_string().into()]);
    }
    words.extend(["--".into(), program.into()]);
    words.extend(arguments);
    words
}

/// Becomes `program`, which the kernel kills when the process `parent` ends, however it ends: also by SIGKILL.
///
/// # Errors
/// Returns only if it failed: the parent is gone already, or the program cannot be started.
pub fn become_guarded(
    parent: u32,
    memory: Option<u64>,
    program: &OsStr,
    arguments: &[OsString],
) -> io::Result<Infallible> {
    set_pdeathsig(Signal::SIGKILL)?;
    // From here on the kernel watches; whether it was too late for that is seen from who the parent is now.
    if u32::try_from(getppid().as_raw()).ok() != Some(parent) {
        return Err(io::Error::other(format!("the process {parent} that started this one is gone")));
    }
    if let Some(memory) = memory {
        setrlimit(Resource::RLIMIT_AS, memory, memory)?;
    }
    // The setting outlives this, as no program we start runs with other rights than ours (prctl(2)).
    Err(Command::new(program).args(arguments).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_parent_the_limit_and_the_program() {
        let words = guarded(Path::new("/usr/bin/qemu"), vec!["-M".into(), "x".into()], Some(5));
        let id = std::process::id().to_string();
        assert_eq!(words, ["with-parent", &id, "--memory", "5", "--", "/usr/bin/qemu", "-M", "x"]);
        let words = guarded(Path::new("renode"), Vec::new(), None);
        assert_eq!(words, ["with-parent", &id, "--", "renode"]);
    }
}
