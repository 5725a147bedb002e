//! A program that runs until it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::StartError;
use crate::keeper::Keeper;

/// How long a program may take until it is ready: longer than on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// How much of a log an error shows.
const LINES: usize = 15;

/// A process, killed by its id when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says goes to a file in the folder.
    pub(crate) fn start(
        program: &'static str,
        path: &Path,
        arguments: &[String],
        folder: &Path,
        keeper: &mut Keeper,
    ) -> Result<Self, StartError> {
        let log = folder.join(format!("{program}.log"));
        let failed = |source| StartError::System { what: format!("{} cannot be started", path.display()), source };
        let out = File::create(&log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let child = Command::new(path).args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let process = Self { program, child: child.map_err(failed)?, log };
        keeper.keep(process.child.id()).map_err(failed)?;
        Ok(process)
    }

    /// Waits until it is ready, at most for a bounded time, while it runs.
    pub(crate) async fn ready(&mut self, is_ready: impl AsyncFn() -> bool) -> Result<(), StartError> {
        let program = self.program;
        let start = Instant::now();
        while !is_ready().await {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(StartError::Ended { program, said: self.said() });
            }
            if start.elapsed() > PATIENCE {
                return Err(StartError::NotReady { program, seconds: PATIENCE.as_secs(), said: self.said() });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
