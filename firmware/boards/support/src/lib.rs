//! What the boards share: everything between their peripherals and the agent.
//!
//! A board is a thin program: it starts its peripherals, gives the [`heap`] its memory, names what to do in an
//! [`emergency`], and has the [`executor`] run [`device::run`] with its [`device::Board`].

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod applications;
pub mod clock;
pub mod console;
pub mod device;
pub mod emergency;
pub mod entropy;
pub mod ethernet;
#[cfg(target_os = "none")]
pub mod executor;
pub mod flash;
pub mod heap;
pub mod memory;
pub mod network;
pub mod pins;
#[cfg(target_os = "none")]
mod platform;
pub mod port;
pub mod probe;
#[cfg(target_os = "none")]
pub mod sliced;
#[cfg(target_os = "none")]
mod stack;
pub mod time;
mod together;
