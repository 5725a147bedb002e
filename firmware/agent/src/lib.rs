//! The device agent: session, store and supervisor, sans I/O.
//!
//! One [`Agent`] is one device. It takes in [`Event`]s and gives out [`Action`]s; sockets, flash, clocks and
//! the WebAssembly runtime belong to the platform around it.

#![no_std]

extern crate alloc;

mod action;
mod agent;
mod event;
mod library;
mod link;
mod map;
pub mod memory;
mod outbox;
mod provisioning;
pub mod region;
mod session;
pub mod store;
mod supervisor;
mod tls;

pub use action::{Action, ModuleLocation, StartApplication};
pub use agent::{Agent, Board, Options};
pub use event::{ApplicationEvent, Connection, Event, HeldBack, Instance};
pub use provisioning::{
    MAX_ADDRESS, MAX_GATEWAYS, MAX_PROVISIONING, Pairing, Provisioning, ProvisioningError, StaticAddress,
};
pub use store::{ActionId, FlashError};
pub use supervisor::HEALTHY_MS;
pub use tls::{Entropy, EntropyFailed};
pub use wasmbed_protocol::limits::MAX_APPLICATIONS;
pub use wasmbed_protocol::message::Level;
pub use wasmbed_protocol::signed::{Capabilities, IoLimits, Limits};

/// Most bytes in one [`Action::Send`].
pub const MAX_SEND: usize = 4_096;
