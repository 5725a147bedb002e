//! Follows a Git repository and brings a fleet to what it declares.

mod build;
mod cluster;
pub mod declarations;
pub mod plan;
pub mod source;
