//! The components as processes of their own, against the embedded API over HTTPS, as they run on a cluster.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

#[path = "../keys/cluster.rs"]
mod cluster;
mod emulator;
mod leaders;
#[path = "../first_light/lines.rs"]
mod lines;
#[path = "../first_light/repository.rs"]
mod repository;
#[path = "../first_light/running.rs"]
mod running;
#[path = "../first_light/source.rs"]
mod source;
mod tenant;
