//! What a builder's worker and its client say to each other: one request up, replies down until the last.

use serde::{Deserialize, Serialize};

use crate::{BuildRequest, Failure, Progress};

/// The HTTP path of a build.
pub(crate) const BUILD: &str = "/v1/builds";

/// The first and only item up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// What the asking side was built with; a worker of another version refuses rather than give another digest.
    pub(crate) toolchain: String,
    /// The build.
    pub(crate) build: BuildRequest,
}

/// One item down.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// The build goes on.
    Progress(Progress),
    /// The last item: a module. Not believed: the client checks the bytes again.
    Built {
        /// The module's bytes.
        #[serde(with = "serde_bytes")]
        module: Vec<u8>,
        /// The compiler's warnings, rendered.
        warnings: Vec<String>,
        /// How long the build took.
        milliseconds: u64,
    },
    /// The last item: none.
    Failed(Failure),
}
