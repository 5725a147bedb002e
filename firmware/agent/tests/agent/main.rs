//! The whole agent by its public door: over flash that behaves like flash, against a gateway of real TLS and keys.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bench;
mod chaos;
mod fleet;
mod gateway;
mod health;
mod life;
mod many;
mod power;
mod refusals;
mod sessions;
mod tls;
