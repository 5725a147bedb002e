//! What is asked of a builder.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::module::Limits;
use crate::{Closure, Digest};

/// One build: whose it is, from which files, to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// `namespace/name` of the fleet.
    pub fleet: String,
    /// Name of the application.
    pub application: String,
    /// Whose code it is; builds of different trust never share a folder.
    pub trust: Trust,
    /// The files, and the package among them.
    pub closure: Closure,
    /// What to compile to.
    pub target: Target,
    /// How to compile.
    pub profile: Profile,
    /// What the module may need at most; the strictest of its targets.
    pub limits: Limits,
}

/// Whose code it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The branch the fleet follows: people with write access.
    Branch,
    /// A proposal, named (for example `pull/17`): built in a folder that is thrown away.
    Preview(String),
}

/// What Rust compiles to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The small target: only the SDK's imports.
    #[default]
    #[serde(rename = "wasm32-unknown-unknown")]
    Wasm32UnknownUnknown,
    /// WASI preview 1: `std` prints, tells time, sleeps, and reads arguments and environment.
    #[serde(rename = "wasm32-wasip1")]
    Wasm32Wasip1,
}

impl Target {
    /// The target's name, as rustc and `Application.spec.source.target` have it.
    #[must_use]
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Wasm32UnknownUnknown => "wasm32-unknown-unknown",
            Self::Wasm32Wasip1 => "wasm32-wasip1",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple())
    }
}

/// How to compile.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// For size; a panic stops the application without a message.
    #[default]
    Release,
    /// A panic says its message, and the module keeps its names.
    Dev,
}

impl Profile {
    /// The profile's name, as `Application.spec.source.profile` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl BuildRequest {
    /// What names this build's result: the closure, how it is compiled, with what, and whose code it is.
    #[must_use]
    pub fn key(&self) -> Digest {
        // A proposal's folder is not the branch's, so its result is not believed for the branch.
        let trust = match &self.trust {
            Trust::Branch => "branch",
            Trust::Preview(name) => &format!("preview {name}"),
        };
        let parts = [
            self.closure.digest().to_string(),
            self.target.to_string(),
            self.profile.to_string(),
            crate::toolchain::identity(),
            trust.to_owned(),
        ];
        Digest::of(parts.join("\n").as_bytes())
    }
}
