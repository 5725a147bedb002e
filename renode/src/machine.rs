//! Which backend plays which board, and as what. Pure.

use wasmbed_api::{Backend, McuType};

/// A machine of an emulator.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Machine {
    /// QEMU's.
    Qemu(QemuMachine),
    /// Renode's.
    Renode(RenodeMachine),
}

/// A machine of QEMU.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum QemuMachine {
    /// Cortex-M3, Ethernet, a store that lasts.
    Mps2An385,
    /// Cortex-M4F, Ethernet, a store that lasts.
    Mps2An386,
    /// Cortex-M7, Ethernet, a store that lasts.
    Mps2An500,
    /// STM32F405, UART link, a volatile store: QEMU has its flash as ROM only.
    NetduinoPlus2,
}

/// A machine of Renode. All of them have a volatile store.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RenodeMachine {
    /// nRF52840, UART link.
    ArduinoNano33Ble,
    /// nRF52840, UART link.
    Nrf52840Dk,
    /// STM32F407, UART link.
    Stm32F4Discovery,
    /// STM32F746, Ethernet.
    Stm32F746gDiscovery,
    /// MK64F, Ethernet.
    FrdmK64f,
}

impl QemuMachine {
    /// Every machine.
    pub const ALL: [Self; 4] = [Self::Mps2An385, Self::Mps2An386, Self::Mps2An500, Self::NetduinoPlus2];

    /// What QEMU calls it, and its firmware image's name without `.elf`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mps2An385 => "mps2-an385",
            Self::Mps2An386 => "mps2-an386",
            Self::Mps2An500 => "mps2-an500",
            Self::NetduinoPlus2 => "netduinoplus2",
        }
    }
}

impl RenodeMachine {
    /// Every machine.
    pub const ALL: [Self; 5] =
        [Self::ArduinoNano33Ble, Self::Nrf52840Dk, Self::Stm32F4Discovery, Self::Stm32F746gDiscovery, Self::FrdmK64f];

    /// The name of its files in `platforms/` and `scripts/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArduinoNano33Ble => "arduino-nano-33-ble",
            Self::Nrf52840Dk => "nrf52840-dk",
            Self::Stm32F4Discovery => "stm32f4-disco",
            Self::Stm32F746gDiscovery => "stm32f746g-disco",
            Self::FrdmK64f => "frdm-k64f",
        }
    }

    /// The name of its firmware image, without `.elf`: that of the board of silicon that it plays.
    #[must_use]
    pub fn image(self) -> &'static str {
        match self {
            Self::ArduinoNano33Ble | Self::Nrf52840Dk => "nrf52840-dk",
            _ => self.name(),
        }
    }
}

/// Where the records that make a board a device lie in its memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// The first byte.
    pub address: u32,
    /// Bytes of an erase unit.
    pub unit: u32,
}

impl Machine {
    /// Every machine.
    pub fn all() -> impl Iterator<Item = Self> {
        QemuMachine::ALL.map(Self::Qemu).into_iter().chain(RenodeMachine::ALL.map(Self::Renode))
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu(machine) => machine.name(),
            Self::Renode(machine) => machine.name(),
        }
    }

    /// The name of its firmware image, without `.elf`.
    #[must_use]
    pub fn image(self) -> &'static str {
        match self {
            Self::Qemu(machine) => machine.name(),
            Self::Renode(machine) => machine.image(),
        }
    }

    /// Where the firmware has its persistent region (`firmware/boards/chip-flash/src/map.rs` for boards of silicon).
    #[must_use]
    pub fn region(self) -> Region {
        let region = |address, unit| Region { address, unit };
        match self {
            Self::Qemu(QemuMachine::Mps2An385 | QemuMachine::Mps2An386) => region(0x2100_0000, 4_096),
            Self::Qemu(QemuMachine::Mps2An500) => region(0x6000_0000, 4_096),
            // In RAM, at its end: the flash of this machine is ROM.
            Self::Qemu(QemuMachine::NetduinoPlus2) => region(0x2001_F000, 2_048),
            Self::Renode(RenodeMachine::ArduinoNano33Ble | RenodeMachine::Nrf52840Dk) => region(0x000B_0000, 4_096),
            Self::Renode(RenodeMachine::FrdmK64f) => region(0x000C_0000, 4_096),
            // The identity has a sector of 16 KiB of its own; the seed begins the next.
            Self::Renode(RenodeMachine::Stm32F4Discovery) => region(0x0800_4000, 16_384),
            // In the quad SPI flash.
            Self::Renode(RenodeMachine::Stm32F746gDiscovery) => region(0x9000_0000, 4_096),
        }
    }

    /// The machine of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|machine| machine.name() == name)
    }
}

/// As what `backend` plays `board`.
///
/// # Errors
/// It does not: what it would take, for people.
pub fn machine(board: McuType, backend: Backend) -> Result<Machine, String> {
    if let Some(why) = runs_nowhere(board) {
        return Err(why.to_owned());
    }
    let qemu = match board {
        McuType::Mps2An385 => Some(QemuMachine::Mps2An385),
        McuType::Mps2An386 => Some(QemuMachine::Mps2An386),
        McuType::Mps2An500 => Some(QemuMachine::Mps2An500),
        McuType::Stm32F4Disco | McuType::RenodeStm32F4Discovery => Some(QemuMachine::NetduinoPlus2),
        _ => None,
    };
    let renode = match board {
        McuType::RenodeArduinoNano33Ble => Some(RenodeMachine::ArduinoNano33Ble),
        McuType::Nrf52840Dk => Some(RenodeMachine::Nrf52840Dk),
        McuType::Stm32F4Disco | McuType::RenodeStm32F4Discovery => Some(RenodeMachine::Stm32F4Discovery),
        McuType::Stm32F746gDisco => Some(RenodeMachine::Stm32F746gDiscovery),
        McuType::FrdmK64f => Some(RenodeMachine::FrdmK64f),
        _ => None,
    };
    let (played, other) = match backend {
        Backend::Qemu => (qemu.map(Machine::Qemu), renode.map(|_| Backend::Renode)),
        Backend::Renode => (renode.map(Machine::Renode), qemu.map(|_| Backend::Qemu)),
        Backend::Host => (None, None),
    };
    played.ok_or_else(|| match other {
        Some(other) => format!("{backend} has no machine for {board}; {other} has: set spec.emulation.backend to it"),
        None => format!("{board} is no board of an emulator; set spec.emulation.backend to host"),
    })
}

/// Why no backend but a process can play the board, and what it would take.
#[must_use]
pub fn runs_nowhere(board: McuType) -> Option<&'static str> {
    match board {
        McuType::Stm32Vldiscovery => Some(
            "Stm32Vldiscovery has 8 KB of RAM, and TLS alone needs 45: no firmware of ours fits, neither in an emulator nor \
             on the board",
        ),
        McuType::Esp32DevkitC => Some(
            "Esp32DevkitC is an Xtensa: it would take a Rust toolchain and a WebAssembly runtime for that processor, and an \
             emulator that knows the board; neither QEMU of Debian nor Renode does",
        ),
        McuType::OlimexStm32H405 => Some(
            "OlimexStm32H405 is in QEMU from version 8 on: it would take that and an image of its own; the same firmware \
             runs as Stm32F4Disco with backend qemu",
        ),
        McuType::Mps2An505 => Some(
            "Mps2An505 has no firmware yet: its Cortex-M33 starts in the secure world, which would take an image of its own \
             that leaves it; Mps2An386 is the nearest board that runs",
        ),
        McuType::Host
        | McuType::Mps2An385
        | McuType::Mps2An386
        | McuType::Mps2An500
        | McuType::Nrf52840Dk
        | McuType::Stm32F4Disco
        | McuType::Stm32F746gDisco
        | McuType::FrdmK64f
        | McuType::RenodeArduinoNano33Ble
        | McuType::RenodeStm32F4Discovery => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_but_a_host_has_a_machine_or_says_why_not() {
        for &board in McuType::ALL {
            let machines = [Backend::Qemu, Backend::Renode].map(|backend| machine(board, backend));
            match runs_nowhere(board) {
                Some(why) => assert!(machines.iter().all(|machine| machine.as_ref().is_err_and(|said| said == why))),
                None if board == McuType::Host => assert!(machines.iter().all(Result::is_err)),
                None => assert!(machines.iter().any(Result::is_ok), "{board}"),
            }
        }
    }

    #[test]
    fn the_backend_a_board_has_by_itself_is_one_that_plays_it() {
        for &board in McuType::ALL {
            if board != McuType::Host && runs_nowhere(board).is_none() {
                assert!(machine(board, board.backend()).is_ok(), "{board}");
            }
        }
    }

    #[test]
    fn every_machine_plays_a_board_and_is_found_by_its_name() {
        for expected in Machine::all() {
            let plays = |&board: &McuType| {
                [Backend::Qemu, Backend::Renode].iter().any(|&backend| machine(board, backend) == Ok(expected))
            };
            assert!(McuType::ALL.iter().any(plays), "{expected:?}");
            assert_eq!(Machine::named(expected.name()), Some(expected));
        }
        assert_eq!(Machine::named("esp32"), None);
    }

    #[test]
    fn a_board_is_provisioned_where_its_firmware_looks() {
        let map = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/boards/chip-flash/src/map.rs");
        let map = std::fs::read_to_string(map).expect("the boards' map");
        let boards = [
            (RenodeMachine::ArduinoNano33Ble, "NRF52840"),
            (RenodeMachine::Nrf52840Dk, "NRF52840"),
            (RenodeMachine::FrdmK64f, "MK64F"),
            (RenodeMachine::Stm32F4Discovery, "STM32F407"),
            (RenodeMachine::Stm32F746gDiscovery, "STM32F746G_DISCO"),
        ];
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(&digits.replace('_', ""), 16).expect("hexadecimal"),
            None => text.strip_suffix(" * KIB").expect("in KiB").parse::<u32>().expect("a number") * 1_024,
        };
        for (machine, layout) in boards {
            let layout = map.split_once(&format!("pub const {layout}: Layout")).expect("a layout").1;
            let pieces = layout.split_once("pieces: &[").expect("pieces").1.split("address: ").skip(1);
            let mut pieces = pieces.map(|piece| number(piece.split_once(',').expect("an address").0));
            let region = Machine::Renode(machine).region();
            assert_eq!(pieces.next(), Some(region.address), "{machine:?}");
            if machine == RenodeMachine::Stm32F4Discovery {
                assert_eq!(pieces.next(), Some(region.address + region.unit), "the seed of {machine:?}");
            }
        }
    }

    #[test]
    fn a_backend_without_the_board_names_the_one_that_has_it() {
        let why = machine(McuType::Mps2An386, Backend::Renode).expect_err("it has no such machine");
        assert_eq!(why, "renode has no machine for Mps2An386; qemu has: set spec.emulation.backend to it");
        let why = machine(McuType::FrdmK64f, Backend::Qemu).expect_err("it has no such machine");
        assert_eq!(why, "qemu has no machine for FrdmK64f; renode has: set spec.emulation.backend to it");
    }
}
