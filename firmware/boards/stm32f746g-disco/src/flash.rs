//! The flash region: the quad SPI's N25Q128A, mapped into memory (`wasmbed_chip_flash::map` says why not the chip's own flash).

#![allow(unsafe_code)]

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_stm32::Peri;
use embassy_stm32::mode::Blocking;
use embassy_stm32::pac;
use embassy_stm32::peripherals::{PB2, PB6, PD11, PD12, PD13, PE2, QUADSPI};
use embassy_stm32::qspi::enums::{AddressSize, DummyCycles, MemorySize, QspiWidth};
use embassy_stm32::qspi::{Config, Qspi, TransferConfig};
use wasmbed_agent::region::Unit;
use wasmbed_agent::store::{FlashError, Geometry};
use wasmbed_board::flash::Flash;
use wasmbed_chip_flash::ChipFlash;
use wasmbed_chip_flash::map::STM32F746G_DISCO;
use wasmbed_quad_nor::{Controller, QuadNor, Unknown};

const BASE: u32 = 0x9000_0000;
/// By 4: 54 MHz, at which every command of the flash works.
const PRESCALER: u8 = 3;
/// Fast read over four lines.
const READ: TransferConfig = TransferConfig {
    iwidth: QspiWidth::SING,
    awidth: QspiWidth::SING,
    dwidth: QspiWidth::QUAD,
    instruction: 0x6B,
    address: None,
    dummy: DummyCycles::_8,
};

/// The pins of the flash: lines 0 to 3, clock, select.
pub(crate) type Pins = (
    Peri<'static, PD11>,
    Peri<'static, PD12>,
    Peri<'static, PE2>,
    Peri<'static, PD13>,
    Peri<'static, PB2>,
    Peri<'static, PB6>,
);

struct QuadSpi(Qspi<'static, QUADSPI, Blocking>);

impl Controller for QuadSpi {
    fn command(&mut self, instruction: u8, address: Option<u32>) {
        self.0.blocking_command(transfer(instruction, address, QspiWidth::NONE));
    }

    fn read(&mut self, instruction: u8, answer: &mut [u8]) {
        self.0.blocking_read(answer, transfer(instruction, None, QspiWidth::SING));
    }

    fn write(&mut self, instruction: u8, address: u32, bytes: &[u8]) {
        self.0.blocking_write(bytes, transfer(instruction, Some(address), QspiWidth::SING));
    }

    fn unmap(&mut self) {
        guard(true);
        pac::QUADSPI.cr().modify(|control| control.set_abort(true));
        while pac::QUADSPI.cr().read().abort() || pac::QUADSPI.sr().read().busy() {}
    }

    fn map(&mut self) {
        self.0.enable_memory_map(&READ);
        guard(false);
    }

    fn mapped(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        if !STM32F746G_DISCO.contains(BASE.checked_add(address)?, length) {
            return None;
        }
        // SAFETY: the flash is mapped there; who maps a module promises that it is not erased while it is used.
        Some(unsafe { core::slice::from_raw_parts((BASE + address) as *const u8, length as usize) })
    }
}

fn transfer(instruction: u8, address: Option<u32>, data: QspiWidth) -> TransferConfig {
    let awidth = if address.is_some() { QspiWidth::SING } else { QspiWidth::NONE };
    TransferConfig { iwidth: QspiWidth::SING, awidth, dwidth: data, instruction, address, dummy: DummyCycles::_0 }
}

/// Keeps the processor from reading ahead in the flash while it is not mapped: a Cortex-M7 does so in all normal memory, and
/// the controller would never answer. Region 0 of the MPU; the slices of applications use the last.
fn guard(on: bool) {
    // 16 MiB, no access, nothing executed.
    const REGION: u32 = 1 << 28 | 23 << 1 | 1;
    // SAFETY: the MPU's registers. No access to a memory that nobody uses meanwhile takes nothing from anybody.
    unsafe {
        let mpu = &*cortex_m::peripheral::MPU::PTR;
        critical_section::with(|_| {
            mpu.rnr.write(0);
            mpu.rbar.write(BASE);
            mpu.rasr.write(if on { REGION } else { 0 });
            // On, with the default map beside it: before slices start, nobody else has switched it on.
            mpu.ctrl.modify(|control| control | 0b101);
        });
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

type Chip = ChipFlash<QuadNor<QuadSpi>>;

/// It is here because an emergency needs it too.
static CHIP: Mutex<RefCell<Option<Chip>>> = Mutex::new(RefCell::new(None));

/// The region of this board.
pub(crate) struct Region(());

pub(crate) fn region(controller: Peri<'static, QUADSPI>, pins: Pins) -> Result<Region, Unknown> {
    let mut config = Config::default();
    config.memory_size = MemorySize::_16MiB;
    config.address_size = AddressSize::_24bit;
    config.prescaler = PRESCALER;
    let (d0, d1, d2, d3, clock, select) = pins;
    let controller = QuadSpi(Qspi::new_blocking_bank1(controller, d0, d1, d2, d3, clock, select, config));
    let chip = ChipFlash::new(QuadNor::start(controller, BASE)?, STM32F746G_DISCO);
    critical_section::with(|cs| *CHIP.borrow_ref_mut(cs) = Some(chip));
    Ok(Region(()))
}

/// Keeps what a panic said, unless it came in the middle of something that the flash did.
pub(crate) fn keep(record: &[u8]) {
    critical_section::with(|cs| {
        if let Ok(mut chip) = CHIP.borrow(cs).try_borrow_mut()
            && let Some(chip) = &mut *chip
        {
            chip.keep(Unit::Panic.address(STM32F746G_DISCO.unit), record);
        }
    });
}

impl Region {
    /// Takes the chip for a while, so that interrupts go on; nobody else but an emergency wants it.
    async fn with<R>(&mut self, work: impl AsyncFnOnce(&mut Chip) -> Result<R, FlashError>) -> Result<R, FlashError> {
        let taken = critical_section::with(|cs| CHIP.borrow_ref_mut(cs).take());
        let mut chip = taken.ok_or(FlashError::WriteFailed)?;
        let result = work(&mut chip).await;
        critical_section::with(|cs| *CHIP.borrow_ref_mut(cs) = Some(chip));
        result
    }
}

impl Flash for Region {
    fn unit(&self) -> u32 {
        STM32F746G_DISCO.unit
    }

    fn geometry(&self) -> Geometry {
        STM32F746G_DISCO.geometry
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::Unreadable)?;
        bytes.copy_from_slice(self.mapped(address, length)?);
        Ok(())
    }

    async fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.with(async |chip| chip.program(address, bytes).await).await
    }

    async fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        self.with(async |chip| chip.erase(address, length).await).await
    }

    fn mapped(&self, address: u32, length: u32) -> Result<&'static [u8], FlashError> {
        critical_section::with(|cs| match &*CHIP.borrow_ref(cs) {
            Some(chip) => chip.mapped(address, length),
            None => Err(FlashError::Unreadable),
        })
    }
}
