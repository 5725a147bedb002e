//! What boards have for applications.

use crate::device::{Backend, DeviceSpec, McuType};

/// What an application takes beside its memory limit: its native stack and the account of its memory.
pub const APPLICATION_OVERHEAD: u64 = 12 * 1024;
/// The interpreter's stack in every application's memory limit.
pub const INTERPRETER_STACK: u64 = 8 * 1024;
/// A board with no more RAM than this gives no memory in whole pages of 64 KiB.
const SMALL: u64 = 192 * 1024;

/// What a board has for applications, in bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BoardMemory {
    /// All of its RAM.
    pub ram: u64,
    /// For all applications together, each with its memory limit and [`APPLICATION_OVERHEAD`].
    pub applications: u64,
}

impl BoardMemory {
    /// The largest memory limit that an application can be given.
    #[must_use]
    pub const fn largest_limit(&self) -> u64 {
        self.applications - APPLICATION_OVERHEAD
    }

    /// Whether memory in whole pages of 64 KiB is refused.
    #[must_use]
    pub const fn is_small(&self) -> bool {
        self.ram <= SMALL
    }
}

impl McuType {
    /// What the board has; `None` for a process, which has what its limits say, and for boards that run nowhere.
    #[must_use]
    pub const fn memory(self) -> Option<BoardMemory> {
        let (ram, applications) = match self {
            Self::Mps2An385 | Self::Mps2An386 | Self::Mps2An500 => (20 << 10, 8 << 10),
            Self::Stm32F746gDisco => (320, 144),
            Self::FrdmK64f => (256, 112),
            Self::Nrf52840Dk | Self::RenodeArduinoNano33Ble => (256, 112),
            Self::Stm32F4Disco | Self::RenodeStm32F4Discovery => (192, 72),
            Self::Host | Self::Mps2An505 | Self::Stm32Vldiscovery | Self::OlimexStm32H405 | Self::Esp32DevkitC => {
                return None;
            }
        };
        Some(BoardMemory { ram: ram << 10, applications: applications << 10 })
    }
}

impl DeviceSpec {
    /// What the device has for applications; `None` where it is a process, which has what its limits say.
    #[must_use]
    pub fn memory(&self) -> Option<BoardMemory> {
        let declared = self.emulation.as_ref().and_then(|emulation| emulation.backend);
        match (declared, self.board()) {
            (Some(Backend::Host), _) => None,
            // QEMU plays it by netduinoplus2, whose flash is in its RAM.
            (Some(Backend::Qemu), McuType::Stm32F4Disco | McuType::RenodeStm32F4Discovery) => {
                Some(BoardMemory { ram: 192 << 10, applications: 40 << 10 })
            }
            (_, board) => board.memory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::device::Emulation;

    /// The constant of a firmware's source, in KiB.
    fn kibibytes(file: &str, before: &str) -> u64 {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../firmware/boards").join(file);
        let source = std::fs::read_to_string(&path).expect("a board's source");
        let value = source.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {}", path.display())).1;
        value.split_once(" * 1024").expect("in KiB").0.trim().parse().expect("a number")
    }

    #[test]
    fn a_board_has_what_its_firmware_gives_to_applications() {
        let boards = [
            (McuType::Stm32F746gDisco, "stm32f746g-disco"),
            (McuType::FrdmK64f, "frdm-k64f"),
            (McuType::Nrf52840Dk, "nrf52840-dk"),
            (McuType::Stm32F4Disco, "stm32f4-disco"),
        ];
        for (board, folder) in boards {
            let given = kibibytes(&format!("{folder}/src/main.rs"), "const APPLICATIONS: usize = ");
            assert_eq!(board.memory().expect("a board").applications, given << 10, "{board}");
        }
        let given = kibibytes("netduinoplus2/src/upper.rs", "const SIZE: usize = ");
        let beside = ["const STACK: usize = ", "const ARENA_SPARE: usize = "];
        let beside: u64 = beside.map(|name| kibibytes("support/src/sliced.rs", name)).iter().sum();
        assert_eq!(APPLICATION_OVERHEAD, beside << 10, "what the firmware takes beside a limit");
        assert_eq!(INTERPRETER_STACK, kibibytes("../runtime/src/application.rs", "            stack: ") << 10);
        let played = DeviceSpec {
            mcu_type: Some(McuType::Stm32F4Disco),
            emulation: Some(Emulation { backend: Some(Backend::Qemu), running: None }),
            ..DeviceSpec::default()
        };
        assert_eq!(played.memory().expect("a board").applications, given << 10);
    }

    #[test]
    fn boards_of_192_kib_are_small() {
        let small: Vec<McuType> = McuType::ALL
            .iter()
            .copied()
            .filter(|board| board.memory().is_some_and(|memory| memory.is_small()))
            .collect();
        assert_eq!(small, [McuType::Stm32F4Disco, McuType::RenodeStm32F4Discovery]);
    }

    #[test]
    fn what_plays_a_device_decides_what_it_has() {
        let spec = |backend| DeviceSpec {
            mcu_type: Some(McuType::Stm32F4Disco),
            emulation: Some(Emulation { backend, running: None }),
            ..DeviceSpec::default()
        };
        assert_eq!(spec(Some(Backend::Host)).memory(), None);
        assert_eq!(spec(Some(Backend::Qemu)).memory().map(|memory| memory.applications), Some(40 << 10));
        assert_eq!(spec(None).memory().map(|memory| memory.applications), Some(72 << 10));
        assert_eq!(DeviceSpec { mcu_type: Some(McuType::Host), ..DeviceSpec::default() }.memory(), None);
    }
}
