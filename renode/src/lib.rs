//! Runs emulated devices as their declarations say: makes each one's identity, starts it, watches it, and stops it.
//!
//! A device's private key lies in the Secret `device-NAME`; its public half in `status.publicKey` of the Device.
//! What each device needs follows from the API alone ([`plan`]), so an emulator that is started again goes on.

mod devices;
mod identity;
pub mod plan;
mod process;

pub use devices::{EmulatorError, Options, run};
pub use process::{Process, ProcessSpec, ProcessState, parent_is_gone};
