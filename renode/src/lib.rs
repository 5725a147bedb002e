//! Runs emulated devices as their declarations say: makes each one's identity, starts it, watches it, and stops it.
//!
//! A device's private key lies in the Secret `device-NAME`; its public half in `status.publicKey` of the Device.
//! What each device needs follows from the API alone ([`plan`]), so an emulator that is started again goes on.

pub mod backends;
mod connect;
mod device;
mod devices;
pub mod flash;
mod guard;
mod health;
mod identity;
mod link;
pub mod machine;
mod namespace;
pub mod plan;
mod process;
pub mod qemu;
pub mod renode;
mod sockets;
mod tail;

pub use connect::connect;
pub use device::{EmulatedDevice, Playing, StartError};
pub use devices::{EmulatorError, Options, run};
pub use guard::become_guarded;
pub use namespace::run_in_network;
pub use process::{Process, ProcessSpec, ProcessState, parent_is_gone};
pub use tail::Tail;
