//! What a board's network is to the device: something that serves a [`Port`].

use core::convert::Infallible;

use wasmbed_agent::StaticAddress;

use crate::port::Port;
use crate::probe::Probes;

/// What a network is told when it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// A hardware address of the device's own, made from its key: locally administered, the same at every start.
    pub hardware_address: [u8; 6],
    /// The address given by hand, if it is not to be asked for.
    pub address: Option<StaticAddress>,
    /// Random bits, for ports and sequence numbers.
    pub random: u64,
}

/// A way to gateways: an Ethernet with TCP, or a link over a UART.
pub trait Network {
    /// Serves the device's connections and its applications' probes, for ever.
    fn serve(self, setup: Setup, port: &Port, probes: &Probes) -> impl Future<Output = Infallible>;
}
