//! The one place where registers are touched.

#![allow(unsafe_code)]

/// A peripheral's registers.
pub(crate) struct Registers(usize);

impl Registers {
    /// The registers of the peripheral at this address.
    ///
    /// # Safety
    /// There is a peripheral of the MPS2, whose registers may be read and written in any order without harm to memory
    /// safety: none of those used here is a bus master.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        // SAFETY: as promised to `at`; offsets are those of the peripheral's data sheet.
        unsafe { ((self.0 + offset as usize) as *const u32).read_volatile() }
    }

    pub(crate) fn write(&self, offset: u32, value: u32) {
        // SAFETY: as promised to `at`; offsets are those of the peripheral's data sheet.
        unsafe { ((self.0 + offset as usize) as *mut u32).write_volatile(value) }
    }
}

// Made without `at`, whose promise they keep: ARM's application notes AN385, AN386 and AN500 have these peripherals at these
// addresses.
pub(crate) const TIMER0: Registers = Registers(0x4000_0000);
pub(crate) const TIMER1: Registers = Registers(0x4000_1000);
pub(crate) const UART0: Registers = Registers(0x4000_4000);
pub(crate) const WATCHDOG: Registers = Registers(0x4000_8000);
pub(crate) const FPGAIO: Registers = Registers(0x4002_8000);
