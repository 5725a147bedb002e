//! A device as an ordinary process: the agent that boards run, over TCP, a file for its flash and a thread for each of
//! its applications.
//!
//! A device lives in a folder:
//!
//! | file | what it is |
//! |---|---|
//! | `provisioning.cbor` | its identity, whom it trusts, where it connects; from `wasmbed provision` or the emulator |
//! | `flash.bin` | its flash: [`FlashFile`] |
//! | `lock` | held while the device runs, with the process id in it |
//! | `pins/` | its simulated pins, one file each: [`pins`] |
//!
//! [`run`] runs one device until the process is asked to end. A [`Swarm`] runs many in one process, for load.
//!
//! # What it costs
//! One thread, and one more for each running application, for each connection being made and for each probe of a host
//! name. No asynchronous runtime. A process with one device in session and one application with a page of memory has
//! about 0.8 MB of memory of its own (TLS session, mirror of the log, application; measured on x86-64 Linux); what else
//! is resident is the program's text, which processes of the same program share.
//!
//! # What power loss means here
//! For this device `kill -9` is the loss of power: whatever the process wrote is in the system's cache and stays. Should
//! the machine itself lose power, the checksums of the store find what is damaged, and the device fetches it again.

mod applications;
mod connection;
mod device;
mod error;
mod flash;
mod folder;
pub mod pins;
mod platform;
mod post;
mod probe;
mod swarm;

use std::path::PathBuf;

pub use error::DeviceError;
pub use flash::{FlashFile, geometry};
pub use swarm::{Stopper, Swarm};

/// What a device needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder it lives in; it must hold `provisioning.cbor`. In this process' log the device is named for it. (The
    /// gateway tells the device its name; this one is for people who look at the process.)
    pub dir: PathBuf,
    /// Whether the device ends when standard input does, as a child of a supervisor should.
    pub with_parent: bool,
}

/// Runs one device until SIGTERM or SIGINT asks the process to end; then its applications are stopped and its
/// connection is closed.
///
/// # Errors
/// The folder cannot be used: no or bad provisioning, in use by another process, unwritable, full.
pub fn run(options: Options) -> Result<(), DeviceError> {
    let mut swarm = Swarm::new()?;
    swarm.stop_on_signals()?;
    if options.with_parent {
        swarm.stop_with_parent()?;
    }
    swarm.add(&options.dir)?;
    swarm.run()
}
