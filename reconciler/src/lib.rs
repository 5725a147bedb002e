//! Follows a Git repository and brings a fleet to what it declares.
//!
//! One pass compares what the newest good revision declares with what the cluster has, and closes the difference
//! ([`Reconciler::pass`]); [`run`] makes passes as things happen, [`reconcile_once`] makes them until nothing is left to
//! do. What must change is decided by a pure function, [`plan::plan`].

mod apply;
mod boards;
mod build;
mod cluster;
pub mod declarations;
mod error;
mod follow;
mod hooks;
mod leadership;
mod metrics;
mod options;
pub mod plan;
pub mod preview;
mod proof;
mod reconciler;
mod release;
mod replicas;
mod rollout;
mod run;
pub mod source;
mod status;
mod tally;

pub use boards::module_limits;
pub use error::ReconcileError;
pub use leadership::LEASE;
pub use options::Options;
pub use proof::proves_code;
pub use reconciler::{Reconciler, Summary, Written};
pub use run::{reconcile_once, run};
