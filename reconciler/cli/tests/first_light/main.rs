//! First light, end to end: real processes, a real bare repository, real pushes.
//!
//! All steps happen to one fleet, one after the other, as they would to a person; each is a function named for what it
//! shows. Every wait is for a condition, with a deadline far beyond what it takes.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod cluster;
mod count;
mod enrollment;
mod interrupted;
mod kubectl;
mod lines;
mod repository;
mod running;
mod source;
mod story;
mod way;
