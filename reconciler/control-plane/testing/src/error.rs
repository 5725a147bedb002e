//! Why there is no API server.

use crate::programs::LEFT_OUT;

/// Why a Kubernetes API cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A person chose so.
    #[error("{LEFT_OUT} is set, so there is no real Kubernetes API")]
    LeftOut,
    /// The programs are not there.
    #[error(
        "{program} is not in {folder}: run `make kubernetes` first, or set {LEFT_OUT}=1 to leave out what needs it"
    )]
    NotBuilt {
        /// The first one that is missing.
        program: &'static str,
        /// Where it should be.
        folder: String,
    },
    /// The folder of the programs is not known.
    #[error("{script} does not say where the programs are: {why}")]
    NoFolder {
        /// What was asked.
        script: String,
        /// What came of it.
        why: String,
    },
    /// A file cannot be written, or a process cannot be started.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended by itself.
    #[error("{program} ended before it was ready; the end of what it said:\n{said}")]
    Ended {
        /// Which one.
        program: &'static str,
        /// The end of its log.
        said: String,
    },
    /// A program takes too long.
    #[error("{program} is not ready after {seconds} s; the end of what it said:\n{said}")]
    NotReady {
        /// Which one.
        program: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        said: String,
    },
    /// The API refused what a start needs of it.
    #[error("{what}: {source}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// What it said.
        source: Box<kube::Error>,
    },
}

impl StartError {
    /// Whether another process took a port between its choice and its use.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { said, .. } if said.contains("address already in use"))
    }
}
