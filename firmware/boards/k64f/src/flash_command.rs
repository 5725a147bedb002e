//! The commands of the flash module (FTFE), as the three words that its registers FCCOB3 to FCCOB8 take.

const PROGRAM_PHRASE: u32 = 0x07;
const ERASE_SECTOR: u32 = 0x09;

/// Bytes that are programmed together.
pub const PHRASE: usize = 8;

/// A command: the words at FCCOB3, FCCOB7 and FCCOBB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command(pub [u32; 3]);

impl Command {
    /// Programs a phrase. `None` if the address is not one of a phrase.
    #[must_use]
    pub fn program(address: u32, phrase: [u8; PHRASE]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = phrase;
        let words = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
        Some(Self([head(PROGRAM_PHRASE, address, PHRASE as u32)?, words[0], words[1]]))
    }

    /// Erases the sector of 4 KiB at this address. `None` if none begins there.
    #[must_use]
    pub fn erase(address: u32) -> Option<Self> {
        Some(Self([head(ERASE_SECTOR, address, 4_096)?, 0, 0]))
    }
}

/// The command in the highest byte, which is FCCOB0; below it 24 bits of address.
fn head(command: u32, address: u32, aligned: u32) -> Option<u32> {
    (address.is_multiple_of(aligned) && address < 1 << 24).then_some(command << 24 | address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in FCCOB0 to FCCOB7 and then in FCCOB8 to FCCOBB, in the order of the manual: within each four the
    /// registers lie in memory from the highest number down.
    fn registers(Command(words): Command) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (word, place) in words.iter().zip(bytes.chunks_exact_mut(4)) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn a_phrase_is_programmed_with_its_first_byte_where_the_lowest_address_is() {
        let command = Command::program(0x0C_1238, *b"01234567").map(registers);
        assert_eq!(command, Some([0x07, 0x0C, 0x12, 0x38, b'3', b'2', b'1', b'0', b'7', b'6', b'5', b'4']));
    }

    #[test]
    fn a_sector_is_erased_by_its_address() {
        let command = Command::erase(0x0C_1000).map(registers);
        assert_eq!(command, Some([0x09, 0x0C, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn addresses_between_units_and_beyond_the_chip_make_no_command() {
        assert_eq!(Command::program(4, [0; 8]), None);
        assert_eq!(Command::erase(2_048), None);
        assert_eq!(Command::erase(1 << 24), None);
    }
}
