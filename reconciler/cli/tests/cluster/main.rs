//! The cluster edition on a real kube-apiserver and etcd: what the chart renders, applied there, and its pods played by processes.
//! `make kubernetes` builds the server. `WASMBED_WITHOUT_KUBERNETES=1` leaves these tests out, and they say so.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod chart;
mod dry_run;
mod objects;
mod tenants;
