//! A gateway with real TLS sessions on loopback, a real Kubernetes API (the embedded one) and a signer that does as it is
//! told. The devices here are written from the protocol's description, not from the device agent.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod bad_input;
mod delivery;
mod device;
mod enrollment;
mod fleet;
mod replicas;
mod sessions;
mod signer;
mod statuses;
