//! The records that lie before the store in a board's persistent flash: what was provisioned, the seed of its randomness,
//! and what the last panic said.
//!
//! The region begins with [`UNITS`] erase units, one a record; the store's own region follows. Each record is
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic: `WBPR` (provisioning), `WBSE` (seed), `WBPA` (panic) |
//! | 4 | length of the body, little endian; a seed has none of these, it is 32 bytes long |
//! | 4 | CRC-32 (IEEE) of the body; a seed's stands behind it |
//! | | the body; the rest of the unit is erased |
//!
//! Everything here is pure: the bytes of a unit come in, the bytes to program into an erased one come out.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};
use wasmbed_protocol::Crc32;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::provisioning::{MAX_PROVISIONING, Provisioning, ProvisioningError};

/// Erase units before the store's region.
pub const UNITS: u32 = 3;
/// Longest text of a panic, in bytes.
pub const MAX_PANIC: usize = 512;
/// Bytes of a seed record.
pub const SEED_RECORD: usize = 40;
/// Bytes before the body of the other records.
pub const HEADER: usize = 12;

const PROVISIONING: &[u8; 4] = b"WBPR";
const SEED: &[u8; 4] = b"WBSE";
const PANIC: &[u8; 4] = b"WBPA";

/// The units before the store, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Identity, trust, addresses: [`provisioning`].
    Provisioning = 0,
    /// The seed of the device's randomness: [`Seed`].
    Seed = 1,
    /// What the last panic said: [`panic_text`].
    Panic = 2,
}

impl Unit {
    /// First byte of the unit, from the start of the region, where erase units have `unit` bytes.
    #[must_use]
    pub fn address(self, unit: u32) -> u32 {
        self as u32 * unit
    }
}

/// First byte of the store's own region, from the start of the region, where erase units have `unit` bytes.
#[must_use]
pub fn store_address(unit: u32) -> u32 {
    UNITS * unit
}

/// Why a unit holds no record that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// The unit is erased: nothing was ever written.
    #[error("there is none: write it with `wasmbed provision`")]
    Missing,
    /// Something is there, but not a whole record: torn, or of something else.
    #[error("it is damaged: write it again with `wasmbed provision`")]
    Damaged,
    /// The record is whole, and what it holds cannot be used.
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
}

/// Reads the provisioning record from the bytes of its unit.
///
/// # Errors
/// There is none, or it cannot be used.
pub fn provisioning(unit: &[u8]) -> Result<Provisioning, RegionError> {
    Ok(Provisioning::decode(body(unit, PROVISIONING, MAX_PROVISIONING)?)?)
}

/// The record of a provisioning, for an erased unit.
///
/// # Errors
/// A value of the provisioning is out of its range.
pub fn encode_provisioning(provisioning: &Provisioning) -> Result<Vec<u8>, ProvisioningError> {
    let mut bytes = provisioning.encode()?;
    let record = record(PROVISIONING, &bytes);
    bytes.zeroize();
    Ok(record)
}

/// What the last panic said, if the bytes of its unit hold that.
///
/// # Errors
/// There was none, or its record is torn.
pub fn panic_text(unit: &[u8]) -> Result<&str, RegionError> {
    core::str::from_utf8(body(unit, PANIC, MAX_PANIC)?).map_err(|_| RegionError::Damaged)
}

/// Writes the record of a panic's text into `buffer`, without allocating, for an erased unit; the text is cut at
/// [`MAX_PANIC`] bytes or at what the buffer holds. Returns the record's bytes, or `None` if the buffer holds no record at all.
pub fn encode_panic<'a>(text: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let room = buffer.len().checked_sub(HEADER)?.min(MAX_PANIC);
    let text = &text[..text.floor_char_boundary(room)];
    buffer[..HEADER].copy_from_slice(&header(PANIC, text.as_bytes()));
    buffer[HEADER..][..text.len()].copy_from_slice(text.as_bytes());
    Some(&buffer[..HEADER + text.len()])
}

/// 32 bytes that nobody else knows and that were never used. A board without a random number generator has them from the
/// host that provisioned or starts it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

/// What becomes of a seed at a start of the device.
pub struct Ratchet {
    /// Replaces the seed in flash. Until it is durable there, nothing that follows from `key` may leave the device: a reset
    /// would use it a second time.
    pub next: Seed,
    /// The key of this start's random numbers.
    pub key: Seed,
}

impl Seed {
    /// A seed of bytes from a cryptographic source.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the seed record from the bytes of its unit.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn decode(unit: &[u8]) -> Result<Self, RegionError> {
        let record: &[u8; SEED_RECORD] = unit.first_chunk().ok_or(RegionError::Damaged)?;
        if record.iter().all(|byte| *byte == 0xFF) {
            return Err(RegionError::Missing);
        }
        let (magic, rest) = record.split_at(4);
        let (seed, crc) = rest.split_at(32);
        if magic != SEED || crc != Crc32::new().with(seed).value().to_le_bytes() {
            return Err(RegionError::Damaged);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(seed);
        Ok(Self(bytes))
    }

    /// The seed's record, for an erased unit.
    #[must_use]
    pub fn encode(&self) -> [u8; SEED_RECORD] {
        let mut record = [0; SEED_RECORD];
        record[..4].copy_from_slice(SEED);
        record[4..36].copy_from_slice(&self.0);
        record[36..].copy_from_slice(&Crc32::new().with(&self.0).value().to_le_bytes());
        record
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Two independent secrets, of which neither tells the other or this seed. `extra` is what the board adds: bytes of its
    /// own random number generator, or nothing.
    #[must_use]
    pub fn ratchet(&self, extra: &[u8]) -> Ratchet {
        let derive = |label: &[u8]| {
            Self(Sha256::new().chain_update(label).chain_update(self.0).chain_update(extra).finalize().into())
        };
        Ratchet { next: derive(b"wasmbed seed: next"), key: derive(b"wasmbed seed: key") }
    }
}

/// Secrets stay out of logs.
impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed")
    }
}

fn record(magic: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [header(magic, body).as_slice(), body].concat()
}

fn header(magic: &[u8; 4], body: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(magic);
    // Bodies are bounded far below 4 GiB.
    header[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[8..].copy_from_slice(&Crc32::new().with(body).value().to_le_bytes());
    header
}

fn body<'a>(unit: &'a [u8], magic: &[u8; 4], most: usize) -> Result<&'a [u8], RegionError> {
    let (header, rest) = unit.split_first_chunk::<HEADER>().ok_or(RegionError::Damaged)?;
    if header.iter().all(|byte| *byte == 0xFF) {
        return Err(RegionError::Missing);
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = usize::try_from(word(4)).unwrap_or(usize::MAX);
    if !header.starts_with(magic) || length > most {
        return Err(RegionError::Damaged);
    }
    let body = rest.get(..length).ok_or(RegionError::Damaged)?;
    if word(8) == Crc32::new().with(body).value() { Ok(body) } else { Err(RegionError::Damaged) }
}
