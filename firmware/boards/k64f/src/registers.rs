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

macro_rules! peripherals {
    ($($name:ident: $address:literal),* $(,)?) => {
        // SAFETY: the reference manual has these peripherals at these addresses.
        $(pub(crate) const $name: Registers = unsafe { Registers::at($address) };)*
    };
}

peripherals! {
    SYSTEM_MPU: 0x4000_D000,
    FLASH_CACHE: 0x4001_F000,
    FLASH: 0x4002_0000,
    RANDOM: 0x4002_9000,
    PIT: 0x4003_7000,
    SIM: 0x4004_7000,
    ADC0: 0x4003_B000,
    PORT_A: 0x4004_9000,
    PORT_B: 0x4004_A000,
    PORT_C: 0x4004_B000,
    PORT_E: 0x4004_D000,
    WATCHDOG: 0x4005_2000,
    CLOCK: 0x4006_4000,
    OSCILLATOR: 0x4006_5000,
    UART0: 0x4006_A000,
    GPIO_B: 0x400F_F040,
    GPIO_C: 0x400F_F080,
    GPIO_E: 0x400F_F100,
    ENET: 0x400C_0000,
}
