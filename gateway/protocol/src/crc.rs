//! CRC-32, for the frames of a [link](crate::link) and for the records in a device's flash.

/// CRC-32 (IEEE 802.3, reflected), four bits at a time: 64 bytes of table, for flash is scarce where this runs.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

impl Crc32 {
    /// Of no bytes yet.
    #[must_use]
    pub const fn new() -> Crc32 {
        Crc32(!0)
    }

    /// With more bytes behind those it had.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Crc32 {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            self.0 = (self.0 >> 4) ^ TABLE[(self.0 & 15) as usize];
            self.0 = (self.0 >> 4) ^ TABLE[(self.0 & 15) as usize];
        }
        self
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32;

    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(Crc32::new().with(b"12345").with(b"6789").value(), 0xCBF4_3926);
    }
}
