//! The one place where registers are touched.

#![allow(unsafe_code)]

/// A peripheral's registers.
pub(crate) struct Registers(usize);

impl Registers {
    /// The registers of the peripheral at this address.
    ///
    /// # Safety
    /// There is a peripheral whose registers may be read and written in any order without harm to memory safety: none of
    /// those used here is a bus master.
    const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        // SAFETY: as promised to `at`; offsets are those of the reference manual (RM0090).
        unsafe { ((self.0 + offset as usize) as *const u32).read_volatile() }
    }

    pub(crate) fn write(&self, offset: u32, value: u32) {
        // SAFETY: as promised to `at`; offsets are those of the reference manual (RM0090).
        unsafe { ((self.0 + offset as usize) as *mut u32).write_volatile(value) }
    }
}

macro_rules! peripherals {
    ($($name:ident: $address:literal),* $(,)?) => {
        // SAFETY: QEMU's STM32F405 has these peripherals at these addresses.
        $(pub(crate) const $name: Registers = unsafe { Registers::at($address) };)*
    };
}

peripherals! {
    TIM2: 0x4000_0000,
    TIM5: 0x4000_0C00,
    USART1: 0x4001_1000,
    USART2: 0x4000_4400,
}
