//! Devices, and what plays or connects them.

use std::path::PathBuf;

use clap::Args;

use super::groups::{ApiArguments, FirmwareArguments};

/// `wasmbed device`.
#[derive(Debug, Args)]
pub(crate) struct Device {
    /// The device's folder, made by `wasmbed provision`
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// End when standard input ends, as a child of a supervisor does
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `wasmbed link`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Which API, for the gateways.
    #[command(flatten)]
    pub api: ApiArguments,
    /// The board's serial port (for example /dev/ttyACM0), a pseudo-terminal, or a Unix socket
    #[arg(long, value_name = "PATH")]
    pub port: PathBuf,
    /// Bits a second on a serial port, as the board's firmware has it
    #[arg(long, default_value_t = 115_200, value_name = "BAUD")]
    pub baud: u32,
    /// The address of a gateway that the board may reach, as it is provisioned with it (host:port), several times for
    /// several [default: those of `wasmbed up`]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
}

/// `wasmbed emulate`.
#[derive(Debug, Args)]
pub(crate) struct Emulate {
    /// The board: mps2-an385, mps2-an386, mps2-an500 or netduinoplus2 in QEMU; stm32f746g-disco, frdm-k64f, nrf52840-dk,
    /// arduino-nano-33-ble or stm32f4-disco in Renode
    #[arg(long, value_name = "BOARD")]
    pub board: String,
    /// The device's folder, made by `wasmbed provision`; its flash is kept in there
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Where its gateway listens (host:port), several times for several [default: those it was provisioned with]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<wasmbed_api::Endpoint>,
    /// Firmware.
    #[command(flatten)]
    pub firmware: FirmwareArguments,
}

/// `wasmbed with-parent`.
#[derive(Debug, Args)]
pub(crate) struct WithParent {
    /// The process id of the parent.
    pub parent: u32,
    /// The most address space the program may have, in bytes.
    #[arg(long)]
    pub memory: Option<u64>,
    /// The program, and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<std::ffi::OsString>,
}

/// `wasmbed in-network`.
#[derive(Debug, Args)]
pub(crate) struct InNetwork {
    /// The process id of the parent.
    #[arg(long)]
    pub parent: u32,
    /// The socket that leads to a gateway, several times for several.
    #[arg(long)]
    pub gateway: Vec<PathBuf>,
    /// The program, and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<std::ffi::OsString>,
}
