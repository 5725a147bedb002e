//! A frame as bytes for the network stack, and as the words that go through the chip's FIFOs.

/// Longest frame without its checksum: header and 1,500 bytes.
pub(crate) const MAX_FRAME: usize = 1_514;
/// Words of the longest frame with its checksum.
pub(crate) const WORDS: usize = (MAX_FRAME + 4).div_ceil(4);

/// Bytes in the order they go over the wire; the chip's FIFOs take them four at a time, the first one lowest.
pub(crate) struct Words([u8; 4 * WORDS]);

impl Words {
    pub(crate) fn new() -> Self {
        Self([0; 4 * WORDS])
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    pub(crate) fn word(&self, index: usize) -> u32 {
        let bytes = &self.0[4 * index..][..4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    pub(crate) fn set(&mut self, index: usize, word: u32) {
        self.0[4 * index..][..4].copy_from_slice(&word.to_le_bytes());
    }
}
