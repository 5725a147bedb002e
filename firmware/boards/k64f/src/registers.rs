//! The one place where registers are touched.

#![allow(unsafe_code)]

/// A peripheral's registers.
#[derive(Clone, Copy)]
pub(crate) struct Registers(usize);

impl Registers {
    /// The registers of the peripheral at this address.
    ///
    /// # Safety
    /// There is a peripheral of the chip, and what is written to it does no harm to memory safety. The one bus master among
    /// them, the Ethernet controller, is told addresses of memory that is its own alone.
    const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        // SAFETY: as promised to `at`; offsets are those of the reference manual.
        unsafe { ((self.0 + offset as usize) as *const u32).read_volatile() }
    }

    pub(crate) fn write(&self, offset: u32, value: u32) {
        // SAFETY: as promised to `at`; offsets are those of the reference manual.
        unsafe { ((self.0 + offset as usize) as *mut u32).write_volatile(value) }
    }

    pub(crate) fn write_half(&self, offset: u32, value: u16) {
        // SAFETY: as promised to `at`; offsets are those of the reference manual.
        unsafe { ((self.0 + offset as usize) as *mut u16).write_volatile(value) }
    }

    pub(crate) fn read_byte(&self, offset: u32) -> u8 {
        // SAFETY: as promised to `at`; offsets are those of the reference manual.
        unsafe { ((self.0 + offset as usize) as *const u8).read_volatile() }
    }

    pub(crate) fn write_byte(&self, offset: u32, value: u8) {
        // SAFETY: as promised to `at`; offsets are those of the reference manual.
        unsafe { ((self.0 + offset as usize) as *mut u8).write_volatile(value) }
    }

    pub(crate) fn set(&self, offset: u32, bits: u32) {
        self.write(offset, self.read(offset) | bits);
    }
}

// SAFETY (of all): the reference manual has these peripherals at these addresses.
pub(crate) const SYSTEM_MPU: Registers = unsafe { Registers::at(0x4000_D000) };
pub(crate) const FLASH_CACHE: Registers = unsafe { Registers::at(0x4001_F000) };
pub(crate) const FLASH: Registers = unsafe { Registers::at(0x4002_0000) };
pub(crate) const RANDOM: Registers = unsafe { Registers::at(0x4002_9000) };
pub(crate) const PIT: Registers = unsafe { Registers::at(0x4003_7000) };
pub(crate) const SIM: Registers = unsafe { Registers::at(0x4004_7000) };
pub(crate) const ADC0: Registers = unsafe { Registers::at(0x4003_B000) };
pub(crate) const PORT_A: Registers = unsafe { Registers::at(0x4004_9000) };
pub(crate) const PORT_B: Registers = unsafe { Registers::at(0x4004_A000) };
pub(crate) const PORT_C: Registers = unsafe { Registers::at(0x4004_B000) };
pub(crate) const PORT_E: Registers = unsafe { Registers::at(0x4004_D000) };
pub(crate) const WATCHDOG: Registers = unsafe { Registers::at(0x4005_2000) };
pub(crate) const CLOCK: Registers = unsafe { Registers::at(0x4006_4000) };
pub(crate) const OSCILLATOR: Registers = unsafe { Registers::at(0x4006_5000) };
pub(crate) const UART0: Registers = unsafe { Registers::at(0x4006_A000) };
pub(crate) const GPIO_B: Registers = unsafe { Registers::at(0x400F_F040) };
pub(crate) const GPIO_C: Registers = unsafe { Registers::at(0x400F_F080) };
pub(crate) const GPIO_E: Registers = unsafe { Registers::at(0x400F_F100) };
pub(crate) const ENET: Registers = unsafe { Registers::at(0x400C_0000) };
