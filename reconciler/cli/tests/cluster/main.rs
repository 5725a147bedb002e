//! The cluster edition on a real kube-apiserver and etcd: what the chart renders, applied there, and its pods played by processes.
//! `make kubernetes` builds the server. `WASMBED_WITHOUT_KUBERNETES=1` leaves these tests out, and they say so. Their story is told at the
//! embedded API too.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod certificates;
mod chart;
mod dry_run;
mod edition;
mod hooks;
mod installation;
mod live;
mod objects;
mod on_embedded;
mod on_kubernetes;
mod pod;
mod pods;
mod service;
mod story;
mod tenants;

// Shared with the reconciler's tests.
#[path = "../../../tests/support/http.rs"]
mod http;
// Shared with the tests of first light; not all of it is used here.
#[allow(dead_code)]
#[path = "../first_light/lines.rs"]
mod lines;
#[allow(dead_code)]
#[path = "../first_light/repository.rs"]
mod repository;
#[allow(dead_code)]
#[path = "../first_light/running.rs"]
mod running;
#[path = "../first_light/source.rs"]
mod source;
