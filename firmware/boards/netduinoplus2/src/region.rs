//! The flash region, in RAM: what is here is gone with QEMU, which starts anew for every reset.
//!
//! `-device loader` puts the records of the first two units here before the processor starts. On top work the rules of NOR
//! flash, so that nothing works here which would not on a chip.

#![allow(unsafe_code)]

use core::convert::Infallible;

use alloc::format;
use wasmbed_agent::Level;
use wasmbed_agent::region::{UNITS, Unit};
use wasmbed_agent::store::nor::{Medium, Nor, NorError};
use wasmbed_agent::store::{Area, FlashError, Geometry};
use wasmbed_board::console;
use wasmbed_board::flash::Flash;

/// Where the linker script's RAM ends; the emulator knows it as well.
const BEGIN: usize = 0x2001_F000;
const UNIT: u32 = 2_048;
const WORD: u32 = 4;
const LOG_UNITS: u32 = 4;
const MODULE_UNITS: u32 = 7;
/// Bytes of the whole region: up to where the linker script has the applications' memory.
const REGION: u32 = (UNITS + LOG_UNITS + MODULE_UNITS) * UNIT;
const _: () = assert!(BEGIN + REGION as usize == 0x2002_6000);

/// The bytes as they lie in memory.
struct Ram(());

impl Ram {
    fn pointer(address: u32, length: usize) -> *mut u8 {
        assert!(address as usize + length <= REGION as usize, "the flash region ends before that");
        (BEGIN + address as usize) as *mut u8
    }
}

impl Medium for Ram {
    type Error = Infallible;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let begin = Self::pointer(address, bytes.len());
        // SAFETY: `pointer` saw to the bounds, and `bytes` is other memory: the region is only lent out for reading.
        unsafe { begin.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let begin = Self::pointer(address, bytes.len());
        // SAFETY: as for reading; what the store erases or programs is lent to no application that runs.
        unsafe { begin.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }
}

/// The region of this board.
pub(crate) struct VolatileFlash(Nor<Ram>);

impl VolatileFlash {
    /// Takes over what the emulator has put there; to be called once.
    pub(crate) fn new() -> Self {
        // RAM is not erased by itself.
        erase(if seed_is_trusted() { Unit::Panic } else { Unit::Seed });
        let whole = Geometry {
            word: WORD,
            log: Area { address: 0, unit: UNIT, units: UNITS - 1 },
            modules: Area { address: (UNITS - 1) * UNIT, unit: UNIT, units: 1 + LOG_UNITS + MODULE_UNITS },
        };
        Self(Nor::new(Ram(()), whole))
    }
}

/// Erases from this unit on to the end.
fn erase(unit: Unit) {
    let address = unit.address(UNIT);
    let length = (REGION - address) as usize;
    // SAFETY: `pointer` sees to the bounds, and nobody has been given the region yet.
    unsafe { Ram::pointer(address, length).write_bytes(0xFF, length) };
}

/// Whether whoever started QEMU is believed to renew the seed each time.
fn seed_is_trusted() -> bool {
    #[cfg(feature = "emulated-entropy")]
    return wasmbed_emulated_entropy::is_trusted();
    #[cfg(not(feature = "emulated-entropy"))]
    return false;
}

impl Flash for VolatileFlash {
    fn unit(&self) -> u32 {
        UNIT
    }

    fn geometry(&self) -> Geometry {
        Geometry::uniform(WORD, UNIT, LOG_UNITS, MODULE_UNITS)
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if u64::from(address) + bytes.len() as u64 > u64::from(REGION) {
            return Err(FlashError::Unreadable);
        }
        let Ok(()) = self.0.medium_mut().read(address, bytes);
        Ok(())
    }

    async fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.program(address, bytes).map_err(broken_rule)
    }

    async fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        self.0.erase(address, length).map_err(broken_rule)
    }

    fn mapped(&self, address: u32, length: u32) -> Result<&'static [u8], FlashError> {
        if u64::from(address) + u64::from(length) > u64::from(REGION) {
            return Err(FlashError::Unreadable);
        }
        // SAFETY: the bytes are there for good, and the trait's promise is that nobody writes them while this is used.
        Ok(unsafe { core::slice::from_raw_parts(Ram::pointer(address, length as usize), length as usize) })
    }
}

/// A chip would spoil the bytes without a word: this says so.
fn broken_rule(rule: NorError<Infallible>) -> FlashError {
    console::line(Level::Error, None, &format!("the store broke a rule of flash: {rule}"));
    FlashError::WriteFailed
}
