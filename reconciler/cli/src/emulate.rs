//! `wasmbed emulate`, and what emulators are started through.

use std::ffi::OsStr;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use wasmbed_agent::Provisioning;
use wasmbed_api::Endpoint;
use wasmbed_emulator::backends::{Backends, firmware_folders};
use wasmbed_emulator::machine::Machine;
use wasmbed_emulator::{EmulatedDevice, Tail, plan};

use crate::arguments::{Emulate, InNetwork, WithParent};
use crate::up::signals;
use crate::{print, provision};

/// The UART's log, in the device's folder.
const LOG: &str = "uart.log";

/// Runs an emulated board until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the device is not provisioned, or its board cannot be emulated here.
pub(crate) async fn run(arguments: Emulate) -> Result<()> {
    let mut end = pin!(signals()?);
    let machine = machine(&arguments.board)?;
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let backends = Backends::find(&firmware_folders(arguments.firmware.firmware.as_deref(), &program));
    let emulated = plan::equipped(machine, &backends)?;
    let path = arguments.dir.join(provision::FILE);
    let bytes = std::fs::read(&path)
        .with_context(|| format!("cannot read {}: `wasmbed provision` makes a device's folder", path.display()))?;
    let provisioning = Provisioning::decode(&bytes).with_context(|| format!("{} cannot be used", path.display()))?;
    let gateways = if arguments.gateway.is_empty() { provisioned_gateways(&provisioning)? } else { arguments.gateway };
    let folder = std::path::absolute(&arguments.dir)?;
    let log = folder.join(LOG);
    let mut tail = Tail::from_end(&log);
    print::progress(&format!("{} starts; Ctrl-C ends it", arguments.board));
    let name = arguments.board;
    let device = EmulatedDevice { name, emulated, provisioning, gateways, folder, output: log, program };
    let playing = device.start()?;
    let mut state = playing.state();
    let mut restarts = 0;
    let ended = loop {
        tokio::select! {
            lines = tail.next_lines() => match show(lines) {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
            changed = state.changed() => {
                let state = state.borrow_and_update().clone();
                if changed.is_ok() && state.restarts > restarts {
                    restarts = state.restarts;
                    print::progress(&format!("it ended ({}) and is started again", state.last_end.unwrap_or_default()));
                }
            }
            () = &mut end => break Ok(()),
        }
    };
    playing.stop().await;
    // What it printed at its end.
    ended.and(show(tail.lines()))
}

fn show(lines: std::io::Result<Vec<String>>) -> Result<()> {
    lines.context("cannot read what the board prints")?.iter().try_for_each(print::line)
}

/// The machine of a board's name.
///
/// # Errors
/// There is none.
pub(crate) fn machine(board: &str) -> Result<Machine> {
    let Some(machine) = Machine::named(board) else {
        let names: Vec<&str> = Machine::all().map(Machine::name).collect();
        bail!("{board} is not a board that an emulator plays; there are {}", names.join(", "));
    };
    Ok(machine)
}

fn provisioned_gateways(provisioning: &Provisioning) -> Result<Vec<Endpoint>> {
    let gateway = |text: &String| {
        text.parse().with_context(|| format!("{text} is no gateway's address; give one with --gateway host:port"))
    };
    provisioning.gateways.iter().map(gateway).collect()
}

/// Becomes an emulator that ends with its parent; returns only if that failed.
///
/// # Errors
/// The parent is gone, or there is no such program.
pub(crate) fn with_parent(arguments: &WithParent) -> Result<ExitCode> {
    let (program, rest) = arguments.program.split_first().context("no program is named")?;
    match wasmbed_emulator::become_guarded(arguments.parent, arguments.memory, program, rest) {
        Err(error) => Err(error).with_context(|| format!("cannot become {}", OsStr::display(program))),
    }
}

/// Runs an emulator in a network of its own, and ends as it does.
///
/// # Errors
/// There can be no such network here, or there is no such program.
pub(crate) fn in_network(arguments: &InNetwork) -> Result<ExitCode> {
    let (program, rest) = arguments.program.split_first().context("no program is named")?;
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let ended =
        wasmbed_emulator::run_in_network(arguments.parent, &arguments.gateway, &own, program.as_ref(), rest.to_vec())
            .context("the emulator has no network")?;
    // 128 and the signal, as shells say it.
    let code =
        ended.code().or_else(|| std::os::unix::process::ExitStatusExt::signal(&ended).map(|signal| 128 + signal));
    Ok(u8::try_from(code.unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}
