//! How Renode is called, and what it is told. Pure.
//!
//! A script names only files of the device's folder, in which Renode runs: the platform ([`PLATFORM`]), the firmware
//! ([`IMAGE`]), the records ([`RECORDS`]). So the script of a machine is always the same; `scripts/` holds each, to be read and
//! to be run by hand.
//!
//! Guests reach only their gateway: one with a UART has a link, whose other end is ours; one with Ethernet has a TAP in a
//! network namespace where nothing is but its gateway ([`crate::namespace`]).
//!
//! Memory is bounded: a guest has what its board has, and Renode's managed heap at most [`HEAP`] bytes.

use std::ffi::OsString;

use crate::machine::{Machine, RenodeMachine};

/// The most managed memory one Renode has, in bytes.
pub const HEAP: u64 = 512 << 20;
/// The platform's description, in the device's folder.
pub const PLATFORM: &str = "platform.repl";
/// The firmware, in the device's folder.
pub const IMAGE: &str = "firmware.elf";
/// The records that are loaded before the start, in the device's folder.
pub const RECORDS: &str = "records.bin";
/// The script, in the device's folder.
pub const SCRIPT: &str = "device.resc";
/// What the log's UART prints, in the device's folder.
pub const UART: &str = "uart.txt";
/// The pseudo-terminal of a UART link, in the device's folder.
pub const LINK: &str = "link.tty";
/// The TAP of a machine with Ethernet, in its network namespace.
pub const TAP: &str = "tap0";

/// How a machine reaches its gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Network {
    /// By the link on this UART.
    Link(&'static str),
    /// By this Ethernet controller.
    Ethernet(&'static str),
}

impl RenodeMachine {
    /// The platform's description, in Renode's own language.
    #[must_use]
    pub fn platform(self) -> &'static str {
        match self {
            Self::ArduinoNano33Ble => include_str!("../platforms/arduino-nano-33-ble.repl"),
            Self::Nrf52840Dk => include_str!("../platforms/nrf52840-dk.repl"),
            Self::Stm32F4Discovery => include_str!("../platforms/stm32f4-disco.repl"),
            Self::Stm32F746gDiscovery => include_str!("../platforms/stm32f746g-disco.repl"),
            Self::FrdmK64f => include_str!("../platforms/frdm-k64f.repl"),
        }
    }

    /// The UART of the log; none where the log comes over the link.
    #[must_use]
    pub fn log(self) -> Option<&'static str> {
        match self {
            Self::ArduinoNano33Ble | Self::Nrf52840Dk | Self::Stm32F4Discovery => None,
            Self::FrdmK64f => Some("uart0"),
            Self::Stm32F746gDiscovery => Some("usart1"),
        }
    }

    /// How it reaches its gateway.
    #[must_use]
    pub fn network(self) -> Network {
        match self {
            Self::ArduinoNano33Ble | Self::Nrf52840Dk => Network::Link("uart0"),
            Self::Stm32F4Discovery => Network::Link("usart2"),
            Self::Stm32F746gDiscovery => Network::Ethernet("ethernet"),
            Self::FrdmK64f => Network::Ethernet("eth"),
        }
    }
}

/// The script that makes the machine and starts it.
#[must_use]
pub fn script(machine: RenodeMachine) -> String {
    let mut lines = vec![
        format!("# {}, in the folder of a device. Written by wasmbed.", machine.name()),
        "mach create \"device\"".to_owned(),
        format!("machine LoadPlatformDescription @{PLATFORM}"),
        format!("sysbus LoadELF @{IMAGE}"),
    ];
    lines.push(format!("sysbus LoadBinary @{RECORDS} {:#010X}", Machine::Renode(machine).region().address));
    if let Some(log) = machine.log() {
        lines.push(format!("sysbus.{log} CreateFileBackend @{UART} true"));
    }
    match machine.network() {
        Network::Link(uart) => {
            // A terminal in the device's folder, and not a socket: nobody else on this computer may open it.
            lines.push(format!("emulation CreateUartPtyTerminal \"link\" \"{LINK}\" true"));
            lines.push(format!("connector Connect sysbus.{uart} link"));
        }
        Network::Ethernet(controller) => {
            lines.push("emulation CreateSwitch \"switch\"".to_owned());
            lines.push(format!("emulation CreateTap \"{TAP}\" \"tap\""));
            lines.push("connector Connect host.tap switch".to_owned());
            lines.push(format!("connector Connect sysbus.{controller} switch"));
            lines.push("host.tap Start".to_owned());
        }
    }
    lines.push("start".to_owned());
    lines.join("\n") + "\n"
}

/// The arguments of `renode`, which is to run in the device's folder.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    ["--disable-gui", "--plain", "--console", "-e"]
        .map(OsString::from)
        .into_iter()
        .chain([format!("include @{SCRIPT}").into()])
        .collect()
}

/// What bounds Renode's managed heap, under .NET and under Mono.
#[must_use]
pub fn environment() -> Vec<(OsString, OsString)> {
    vec![
        ("DOTNET_GCHeapHardLimit".into(), format!("{HEAP:x}").into()),
        ("MONO_GC_PARAMS".into(), format!("max-heap-size={HEAP}").into()),
    ]
}
