//! The firmware itself, played by QEMU, end to end: `wasmbed up`, a real bare repository, real pushes, a real TLS session
//! from a Cortex-M to its gateway. Where QEMU or a compiler for firmware is missing, the tests say so and are skipped.
//!
//! Every wait is for a condition, with a deadline far beyond what it takes.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod board;
mod debugger;
mod faults;
mod firmware;
mod fleet;
mod hog;
mod hostile;
mod idle;
mod liar;
mod lies;
mod many;
mod power;
mod refusals;
mod story;
mod thirty;

// Shared with the tests of first light; not all of it is used here.
#[allow(dead_code)]
#[path = "../first_light/count.rs"]
mod count;
#[allow(dead_code)]
#[path = "../first_light/lines.rs"]
mod lines;
#[allow(dead_code)]
#[path = "../first_light/repository.rs"]
mod repository;
#[allow(dead_code)]
#[path = "../first_light/running.rs"]
mod running;
#[allow(dead_code)]
#[path = "../first_light/source.rs"]
mod source;
#[allow(dead_code)]
#[path = "../first_light/way.rs"]
mod way;
