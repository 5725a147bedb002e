//! Follows a Git repository and brings a fleet to what it declares.

pub mod plan;
pub mod source;
