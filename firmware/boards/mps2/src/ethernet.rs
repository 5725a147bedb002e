//! The LAN9118 on the board's memory bus.

use embassy_sync::waitqueue::AtomicWaker;
use wasmbed_board::ethernet::Ethernet;
use wasmbed_lan9118::{Bus, Lan9118, StartError};

use crate::interrupts::Line;
use crate::registers::Registers;

static WAKER: AtomicWaker = AtomicWaker::new();

/// The board's Ethernet, for the device to start.
pub(crate) type Mps2Ethernet = Ethernet<fn([u8; 6]) -> Result<Lan9118<MemoryBus>, StartError>>;

/// The chip's registers in memory.
pub(crate) struct MemoryBus(Registers);

impl Bus for MemoryBus {
    fn read(&mut self, offset: u32) -> u32 {
        self.0.read(offset)
    }

    fn write(&mut self, offset: u32, value: u32) {
        self.0.write(offset, value);
    }

    fn listen(&mut self) {
        Line::Ethernet.unmask();
    }
}

/// The Ethernet whose chip is at this address.
pub(crate) fn at<const ADDRESS: usize>() -> Mps2Ethernet {
    Ethernet::new(|hardware_address| {
        // SAFETY: `Image` names the addresses, by ARM's application notes.
        #[allow(unsafe_code)]
        let bus = MemoryBus(unsafe { Registers::at(ADDRESS) });
        Lan9118::start(bus, hardware_address, &WAKER)
    })
}

/// The line stays active until the driver has looked: until then it is masked.
pub(crate) fn interrupt() {
    Line::Ethernet.mask();
    WAKER.wake();
}
