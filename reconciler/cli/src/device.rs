//! `wasmbed device`.

use anyhow::{Context, Result};
use wasmbed_device::{Options, Swarm};

use crate::arguments::Device;

/// Runs a device until SIGTERM, or until its parent is gone where it has one.
///
/// # Errors
/// When the folder holds no usable identity or store, or another process has it.
pub fn run(arguments: Device) -> Result<()> {
    let folder = arguments.dir.display().to_string();
    let run = || {
        let mut swarm = Swarm::new()?;
        swarm.stop_on_signals()?;
        swarm.add(Options::new(arguments.dir))?;
        if arguments.with_parent {
            let stopper = swarm.stopper();
            std::thread::spawn(move || {
                // Standard input is a pipe that only the parent holds.
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                stopper.stop();
            });
        }
        swarm.run()
    };
    run().with_context(|| format!("the device of {folder}"))
}
