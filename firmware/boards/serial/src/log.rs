//! The device's log on its way to the link's log channel.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use wasmbed_board::console::Console;

/// Bytes that wait for the link; more wait in the console's own ring. Not more than the link holds of log text.
pub(crate) const PIPE: usize = 256;

/// Where the console writes what the link sends.
pub struct LinkLog(Pipe<CriticalSectionRawMutex, PIPE>);

impl LinkLog {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Pipe::new())
    }

    pub(crate) async fn read(&self, text: &mut [u8]) -> usize {
        self.0.read(text).await
    }
}

impl Default for LinkLog {
    fn default() -> Self {
        Self::new()
    }
}

/// The link's task wakes when there is text, and the executor's next pass hands it more.
impl Console for &LinkLog {
    fn write(&mut self, byte: u8) -> bool {
        self.0.try_write(&[byte]).is_ok()
    }
}
