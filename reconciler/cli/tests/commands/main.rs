//! Each command as a person or a script runs it: what it prints for programs, and what its exit code says.
//!
//! Those that need no `wasmbed up` work on a copy of the example fleet; the others share one `up`, started as a newcomer
//! starts it.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

mod alone;
mod fleet;
#[path = "../first_light/lines.rs"]
mod lines;
mod live;
mod outcome;
#[path = "../first_light/repository.rs"]
mod repository;
#[path = "../first_light/running.rs"]
mod running;
mod with_up;
