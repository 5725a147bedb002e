//! The process that runs the compiler.

/// Raised whenever the flags or steps of a build change in a way that changes modules.
pub(crate) const FLAGS_VERSION: &str = "1";
