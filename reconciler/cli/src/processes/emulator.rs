//! `wasmbed emulator`.

use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context, Result, ensure};
use wasmbed_emulator::backends::firmware_folders;
use wasmbed_health::Health;
use wasmbed_protocol::PublicKey;

use super::health;
use crate::api;
use crate::arguments::Emulator;
use crate::up::signals;

/// Plays the devices of a namespace that declare an emulation, until told to end; then it ends them in order.
///
/// # Errors
/// When the API cannot be reached, or the folder cannot be written.
pub(crate) async fn run(arguments: &Emulator) -> Result<()> {
    let end = signals()?;
    let root = PublicKey(*arguments.root.as_bytes());
    ensure!(
        root.is_usable(),
        "--root {} is no key that can sign: give the one that `wasmbed keys show` prints",
        arguments.root
    );
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    let own_health = Health::default();
    let _answering = health::answer(&arguments.health, &own_health).await?;
    let folder = std::path::absolute(&arguments.dir)?;
    let [devices, logs] = ["devices", "logs"].map(|name| folder.join(name));
    for folder in [&devices, &logs] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let options = wasmbed_emulator::Options {
        client,
        namespace,
        fleet: arguments.fleet.to_string(),
        root,
        devices,
        logs,
        firmware: firmware_folders(arguments.firmware.firmware.as_deref(), &program),
        program,
        health: own_health,
    };
    wasmbed_emulator::run(options, end).await;
    Ok(())
}
