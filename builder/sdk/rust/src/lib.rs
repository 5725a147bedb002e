//! What a Wasmbed application calls.
//!
//! The builder brings this crate, as the compiler brings `std`: an application uses `wasmbed::...` without a line in
//! its `Cargo.toml`. `println!` and `eprintln!` of `std` write to the device's log as they are.
//!
//! Output, time, sleep, random bytes and configuration are there for every application. Messages, pins, inputs and the
//! network are granted by the declaration (`capabilities`); what was not granted answers [`Error::NotGranted`].

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod adc;
pub mod cbor;
mod config;
mod error;
pub mod gpio;
mod host;
mod log;
pub mod network;
mod publish;
pub mod random;
mod time;

pub use config::{arg, args, config, config_or};
pub use error::Error;
pub use log::{Level, write, write_line};
pub use publish::{PAYLOAD_BYTES, TOPIC_BYTES, publish};
pub use time::{sleep, unix_time, uptime};
