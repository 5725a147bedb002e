//! Nothing outlives the test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Reads ids until its input ends, which it does however this process ends, by `SIGKILL` too; then it kills them and removes the folder.
const SCRIPT: &str = r#"trap '' INT
ids=
while read -r id; do ids="$ids $id"; done
[ -z "$ids" ] || kill -9 $ids 2>/dev/null
rm -rf "$1""#;

/// A shell that kills processes and removes a folder when this process ends without having dropped what it started, as one that holds
/// them in a `static` does, or one that is killed.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
}

impl Keeper {
    /// A keeper of a folder.
    pub(crate) fn start(folder: &Path) -> std::io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(folder);
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { shell })
    }

    /// Tells it of a process.
    pub(crate) fn keep(&mut self, id: u32) -> std::io::Result<()> {
        self.shell.stdin.as_mut().map_or(Ok(()), |stdin| writeln!(stdin, "{id}"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The processes have ended by now and their ids may be others': it must not get to the end of its script.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
