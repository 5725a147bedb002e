//! Keys on a cluster, end to end: the API over HTTPS with a kubeconfig, the parts that take keys from Secrets, and `wasmbed keys`, the
//! builder and a device as processes.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

mod cluster;
#[path = "../first_light/count.rs"]
mod count;
#[path = "../first_light/lines.rs"]
mod lines;
#[path = "../first_light/repository.rs"]
mod repository;
mod rotation;
#[path = "../first_light/running.rs"]
mod running;
#[path = "../first_light/source.rs"]
mod source;
mod theft;
