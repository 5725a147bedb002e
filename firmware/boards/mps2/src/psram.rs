//! The PSRAM as the device's flash. QEMU keeps it in a file, so it outlives resets and ends of the emulator; on top of it
//! work the rules of NOR flash, so that nothing here works which would not on a chip.

#![allow(unsafe_code)]

use core::convert::Infallible;
use core::mem::MaybeUninit;

use wasmbed_agent::region::{UNITS, Unit};
use wasmbed_agent::store::nor::{Medium, Nor, NorError};
use wasmbed_agent::store::{Area, FlashError, Geometry};
use wasmbed_board::flash::Flash;

const UNIT: u32 = 4_096;
const WORD: u32 = 8;
const LOG_UNITS: u32 = 32;
const MODULE_UNITS: u32 = 224;
/// Bytes of the whole region.
const REGION: u32 = (UNITS + LOG_UNITS + MODULE_UNITS) * UNIT;

/// A part of the PSRAM behind the region, for applications: where it begins, from the PSRAM's start, and its bytes.
///
/// # Safety
/// There is PSRAM, of which nothing else uses that part.
pub(crate) unsafe fn piece(psram: usize, (begin, bytes): (usize, usize)) -> &'static mut [MaybeUninit<u8>] {
    assert!(begin >= REGION as usize, "the flash region lies there");
    // SAFETY: as the caller promises.
    unsafe { core::slice::from_raw_parts_mut((psram + begin) as *mut MaybeUninit<u8>, bytes) }
}

/// The bytes as they lie in memory.
pub(crate) struct Psram {
    begin: usize,
}

impl Psram {
    /// # Safety
    /// At `begin` there are [`REGION`] bytes of memory that nothing but this module writes.
    pub(crate) const unsafe fn at(begin: usize) -> Self {
        Self { begin }
    }

    fn pointer(&self, address: u32, length: usize) -> *mut u8 {
        assert!(address as usize + length <= REGION as usize, "the flash region ends before that");
        (self.begin + address as usize) as *mut u8
    }

    /// Replaces a record at once, without the rules and the heap: the way of the panic handler.
    pub(crate) fn keep(&mut self, unit: Unit, record: &[u8]) {
        let address = unit.address(UNIT);
        let begin = self.pointer(address, UNIT as usize);
        // SAFETY: `pointer` saw to the bounds, and `at` was promised that the memory is ours.
        unsafe { begin.write_bytes(0xFF, UNIT as usize) };
        let _ = self.write(address, &record[..record.len().min(UNIT as usize)]);
    }
}

impl Medium for Psram {
    type Error = Infallible;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        let begin = self.pointer(address, bytes.len());
        // SAFETY: `pointer` saw to the bounds, and `bytes` is other memory: the region is only lent out for reading.
        unsafe { begin.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Infallible> {
        let begin = self.pointer(address, bytes.len());
        // SAFETY: as for reading; what the store erases or programs is lent to no application that runs.
        unsafe { begin.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }
}

/// The flash region of an MPS2 board.
pub(crate) struct PsramFlash {
    begin: usize,
    nor: Nor<Psram>,
}

impl PsramFlash {
    pub(crate) fn new(psram: Psram) -> Self {
        let whole = Geometry {
            word: WORD,
            log: Area { address: 0, unit: UNIT, units: UNITS },
            modules: Area { address: UNITS * UNIT, unit: UNIT, units: LOG_UNITS + MODULE_UNITS },
        };
        Self { begin: psram.begin, nor: Nor::new(psram, whole) }
    }
}

impl Flash for PsramFlash {
    fn unit(&self) -> u32 {
        UNIT
    }

    fn geometry(&self) -> Geometry {
        Geometry::uniform(WORD, UNIT, LOG_UNITS, MODULE_UNITS)
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let end = u64::from(address) + bytes.len() as u64;
        if end > u64::from(REGION) {
            return Err(FlashError::Unreadable);
        }
        let Ok(()) = self.nor.medium_mut().read(address, bytes);
        Ok(())
    }

    async fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.nor.program(address, bytes).map_err(broken_rule)
    }

    async fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        self.nor.erase(address, length).map_err(broken_rule)
    }

    fn mapped(&self, address: u32, length: u32) -> Result<&'static [u8], FlashError> {
        if u64::from(address) + u64::from(length) > u64::from(REGION) {
            return Err(FlashError::Unreadable);
        }
        // SAFETY: the bytes are there for good, and the trait's promise is that nobody writes them while this is used.
        Ok(unsafe { core::slice::from_raw_parts((self.begin + address as usize) as *const u8, length as usize) })
    }
}

/// A chip would spoil the bytes without a word: this says so.
fn broken_rule(rule: NorError<Infallible>) -> FlashError {
    wasmbed_board::console::line(
        wasmbed_agent::Level::Error,
        None,
        &alloc::format!("the store broke a rule of flash: {rule}"),
    );
    FlashError::WriteFailed
}
