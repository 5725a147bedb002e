//! Frames: a packet and its CRC-32, encoded by COBS, ended by a zero byte.

use crate::Crc32;

/// Longest packet with its CRC: what COBS encodes with one byte more.
pub const MAX_RAW: usize = 254;

/// Bytes of a CRC.
pub const CRC: usize = 4;

/// Most bytes one frame puts on the line: a zero before it after a pause, a code byte, and a zero behind it.
pub const MAX_WIRE: usize = MAX_RAW + 3;

/// Where a packet begins in the buffer: behind the leading zero and the first code byte.
const START: usize = 2;

/// Room for one frame on its way out. A UART driver may send straight from it.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: [u8; MAX_WIRE],
    end: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuffer {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_WIRE], end: START }
    }

    pub(super) fn start(&mut self) {
        self.end = START;
    }

    /// Appends to the packet. What does not fit is cut off: no packet is longer by its construction.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let space = self.space();
        let count = bytes.len().min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        self.advance(count);
    }

    /// Where the rest of the packet may be written, before the CRC.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..START + MAX_RAW - CRC]
    }

    /// So many bytes were written to [`space`](Self::space).
    pub(super) fn advance(&mut self, count: usize) {
        self.end += count;
    }

    /// Puts the CRC behind the packet and encodes both where they stand. `leading` puts a zero before the frame, which
    /// ends whatever noise made of the pause before it.
    pub(super) fn finish(&mut self, leading: bool) -> &[u8] {
        let crc = Crc32::new().with(&self.bytes[START..self.end]).value().to_le_bytes();
        self.bytes[self.end..self.end + CRC].copy_from_slice(&crc);
        let end = self.end + CRC;
        // From the back: each zero becomes the distance to the next. A packet is too short for a distance above 255.
        let mut code: u8 = 1;
        for at in (START..end).rev() {
            if self.bytes[at] == 0 {
                self.bytes[at] = code;
                code = 1;
            } else {
                code += 1;
            }
        }
        self.bytes[0] = 0;
        self.bytes[START - 1] = code;
        self.bytes[end] = 0;
        &self.bytes[usize::from(!leading)..=end]
    }
}

/// Finds frames in what a line brings. It holds one frame and no more.
#[derive(Debug)]
pub struct Decoder {
    bytes: [u8; MAX_RAW + 1],
    length: usize,
    /// More came than a frame can have: the rest until the next zero belongs to it.
    too_long: bool,
    damaged: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_RAW + 1], length: 0, too_long: false, damaged: 0 }
    }

    /// Takes bytes off the front of `input` until a packet is whole or nothing is left. Call it again after a packet: there
    /// may be another in what remains. `None` means that more bytes must come.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<&[u8]> {
        loop {
            let Some(end) = input.iter().position(|&byte| byte == 0) else {
                self.keep(input);
                *input = &[];
                return None;
            };
            self.keep(&input[..end]);
            *input = &input[end + 1..];
            let length = core::mem::take(&mut self.length);
            let too_long = core::mem::take(&mut self.too_long);
            // Nothing between two zeros is no frame, and no harm.
            if length == 0 {
                continue;
            }
            match decode(&mut self.bytes[..length]) {
                Some(packet) if !too_long => return Some(&self.bytes[1..=packet]),
                _ => self.damaged = self.damaged.saturating_add(1),
            }
        }
    }

    /// How many frames were dropped because they did not decode or had another CRC.
    #[must_use]
    pub fn damaged(&self) -> u32 {
        self.damaged
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.bytes.len() - self.length;
        self.too_long |= bytes.len() > room;
        let count = bytes.len().min(room);
        self.bytes[self.length..self.length + count].copy_from_slice(&bytes[..count]);
        self.length += count;
    }
}

/// Decodes where the bytes stand; gives the length of the packet, which begins at 1.
fn decode(bytes: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let code = usize::from(bytes[at]);
        // No zero is inside a frame, so each step goes forward.
        bytes[at] = 0;
        at += code;
    }
    let packet = bytes.len().checked_sub(1 + CRC)?;
    if at != bytes.len() {
        return None;
    }
    let (body, crc) = bytes[1..].split_at(packet);
    (crc == Crc32::new().with(body).value().to_le_bytes()).then_some(packet)
}

#[cfg(test)]
mod tests {
    use super::{Decoder, FrameBuffer, MAX_RAW, MAX_WIRE};

    fn encoded(packet: &[u8], leading: bool) -> Vec<u8> {
        let mut frame = FrameBuffer::new();
        frame.start();
        frame.put(packet);
        frame.finish(leading).to_vec()
    }

    fn packets(mut wire: &[u8]) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        while let Some(packet) = decoder.next(&mut wire) {
            found.push(packet.to_vec());
        }
        found
    }

    #[test]
    fn packets_of_every_length_with_and_without_zeros_come_back() {
        for length in 0..=MAX_RAW - 4 {
            for packet in [vec![0; length], vec![7; length], (0..length).map(|i| (i % 3) as u8).collect()] {
                let wire = encoded(&packet, length % 2 == 0);
                assert!(wire.len() <= MAX_WIRE);
                assert_eq!(wire[usize::from(length % 2 == 0)..wire.len() - 1].iter().position(|&byte| byte == 0), None);
                assert_eq!(packets(&wire), [packet]);
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let wire = encoded(&[1, 0, 0, 2, 3, 0, 255], false);
        for at in 0..wire.len() - 1 {
            for bit in 0..8 {
                let mut other = wire.clone();
                other[at] ^= 1 << bit;
                assert!(packets(&other).is_empty(), "byte {at} bit {bit}");
            }
            let mut shorter = wire.clone();
            shorter.remove(at);
            assert!(packets(&shorter).is_empty(), "without byte {at}");
        }
    }

    #[test]
    fn noise_of_any_length_is_over_at_the_next_zero() {
        let frame = encoded(b"packet", false);
        for noise in 0..1_000 {
            let wire = [vec![0x55; noise], vec![0], frame.clone()].concat();
            assert_eq!(packets(&wire), [b"packet"], "{noise}");
        }
    }

    #[test]
    fn what_is_dropped_is_counted_and_zeros_alone_are_not() {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.next(&mut &[0, 0, 0][..]), None);
        assert_eq!(decoder.damaged(), 0);
        assert_eq!(decoder.next(&mut &[3, 1, 0][..]), None);
        assert_eq!(decoder.damaged(), 1);
    }
}
