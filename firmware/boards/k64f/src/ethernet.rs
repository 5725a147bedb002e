//! The Ethernet of the board: the controller by RMII to a KSZ8081.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use embassy_sync::waitqueue::AtomicWaker;
use wasmbed_board::ethernet::Ethernet;

use crate::clock;
use crate::enet::{Bus, Enet, Memory, StartError};
use crate::interrupts::Line;
use crate::registers::{ENET, PORT_A, PORT_B, SYSTEM_MPU};

static WAKER: AtomicWaker = AtomicWaker::new();

/// Function 4 of a pin.
const ALTERNATIVE_4: u32 = 4 << 8;
/// And open drain with a pull-up: the data line to the PHY.
const DATA_LINE: u32 = ALTERNATIVE_4 | 1 << 5 | 0b11;

/// The board's Ethernet, for the device to start.
pub type K64fEthernet = Ethernet<fn([u8; 6]) -> Result<Enet<Registers>, StartError>>;

/// The controller's registers in memory.
pub struct Registers(());

impl Bus for Registers {
    fn read(&self, offset: u32) -> u32 {
        ENET.read(offset)
    }

    fn write(&self, offset: u32, value: u32) {
        ENET.write(offset, value);
    }
}

struct Shared(UnsafeCell<Memory>);

// SAFETY: `take` lends it once.
unsafe impl Sync for Shared {}

static MEMORY: Shared = Shared(UnsafeCell::new(Memory::new()));
static TAKEN: AtomicBool = AtomicBool::new(false);

pub(crate) fn new() -> K64fEthernet {
    Ethernet::new(start)
}

fn start(hardware_address: [u8; 6]) -> Result<Enet<Registers>, StartError> {
    clock::gate(2, 0);
    clock::gate(5, 9);
    clock::gate(5, 10);
    // RXER, RXD1, RXD0, CRS_DV, TXEN, TXD0, TXD1.
    for pin in [5, 12, 13, 14, 15, 16, 17] {
        PORT_A.write(4 * pin, ALTERNATIVE_4);
    }
    PORT_B.write(0, DATA_LINE);
    PORT_B.write(4, ALTERNATIVE_4);
    // The system's memory protection lets no bus master but the processor at the RAM, from the reset on.
    SYSTEM_MPU.write(0, SYSTEM_MPU.read(0) & !1);
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the Ethernet is started once");
    // SAFETY: nobody else has a reference to it, as was just seen.
    let memory = unsafe { &mut *MEMORY.0.get() };
    let enet = Enet::start(Registers(()), memory, hardware_address, &WAKER)?;
    Line::EthernetReceive.unmask();
    Line::EthernetTransmit.unmask();
    Ok(enet)
}

pub(crate) fn interrupt() {
    Enet::acknowledge(&Registers(()));
    WAKER.wake();
}
