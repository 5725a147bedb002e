//! What stands in the log, byte by byte (all numbers little-endian):
//!
//! ```text
//! half    = header, header copy, record*, erased words
//! header  = "WBL1" generation:u32 layout:u32 crc:u32                     padded to words
//! record  = length:u16 kind:u8 key_length:u8 sequence:u32 payload_crc:u32 header_crc:u32
//!           key value                                                    padded to words
//! ```
//!
//! `length` is that of the value. A kind with the top bit set removes its key. `header_crc` covers the twelve bytes
//! before it, the generation and the record's place, so bytes of an earlier generation, or moved ones, are never taken
//! for a record.

use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::Crc32;

use super::Key;
use super::geometry::Geometry;

pub(super) const RECORD_HEADER: u32 = 16;
const HALF_HEADER: u32 = 16;
const MAGIC: [u8; 4] = *b"WBL1";
const REMOVED: u8 = 0x80;
const ERASED: u8 = 0xFF;

/// A key as it stands in the log: its kind, and what tells several of that kind apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RawKey {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
}

/// The kinds of record; the numbers are on devices in the field and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    KeySet = 1,
    Assignment = 2,
    Panic = 3,
    Release = 4,
    Application = 5,
    Module = 6,
    Other = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::KeySet, Kind::Assignment, Kind::Panic, Kind::Release, Kind::Application, Kind::Module, Kind::Other]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

impl RawKey {
    pub(super) fn keyset() -> RawKey {
        RawKey { kind: Kind::KeySet, name: Vec::new() }
    }

    /// Whether the name is one that a key of this kind can have.
    fn is_valid(&self) -> bool {
        match self.kind {
            Kind::KeySet | Kind::Assignment | Kind::Panic => self.name.is_empty(),
            Kind::Release | Kind::Module => self.name.len() == 32,
            Kind::Application => core::str::from_utf8(&self.name).is_ok(),
            Kind::Other => self.name.len() == 1,
        }
    }
}

impl From<&Key> for RawKey {
    fn from(key: &Key) -> RawKey {
        let (kind, name) = match key {
            Key::Assignment => (Kind::Assignment, Vec::new()),
            Key::Panic => (Kind::Panic, Vec::new()),
            Key::Release(digest) => (Kind::Release, digest.to_vec()),
            Key::Application(name) => (Kind::Application, String::as_bytes(name).to_vec()),
            Key::Other(number) => (Kind::Other, [*number].to_vec()),
        };
        RawKey { kind, name }
    }
}

/// Where the record's bytes stand: part of its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) generation: u32,
    /// From the start of the half.
    pub(super) offset: u32,
}

/// The checked first part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    kind: Kind,
    removed: bool,
    key_length: u8,
    value_length: u16,
    pub(super) sequence: u32,
    payload_crc: u32,
}

impl RecordHeader {
    /// Reads a header, if these 16 bytes are one that was written for this place.
    pub(super) fn parse(bytes: &[u8], place: Place) -> Option<RecordHeader> {
        let bytes: &[u8; RECORD_HEADER as usize] = bytes.try_into().ok()?;
        if header_crc(&bytes[..12], place) != u32_at(bytes, 12) {
            return None;
        }
        Some(RecordHeader {
            kind: Kind::from_byte(bytes[2] & !REMOVED)?,
            removed: bytes[2] & REMOVED != 0,
            key_length: bytes[3],
            value_length: u16::from_le_bytes([bytes[0], bytes[1]]),
            sequence: u32_at(bytes, 4),
            payload_crc: u32_at(bytes, 8),
        })
    }

    /// Bytes behind the header, without padding.
    pub(super) fn payload_length(&self) -> u32 {
        u32::from(self.key_length) + u32::from(self.value_length)
    }

    /// Key and value (none if it removes the key), if the payload is what was written.
    pub(super) fn payload(&self, payload: &[u8]) -> Option<(RawKey, Option<Vec<u8>>)> {
        if Crc32::new().with(payload).value() != self.payload_crc {
            return None;
        }
        let (name, value) = payload.split_at_checked(usize::from(self.key_length))?;
        let key = RawKey { kind: self.kind, name: name.to_vec() };
        key.is_valid().then(|| (key, (!self.removed).then(|| value.to_vec())))
    }
}

/// Bytes of a record in the log.
pub(super) fn record_size(geometry: &Geometry, key: &RawKey, value_length: usize) -> u32 {
    geometry.words(RECORD_HEADER + key.name.len() as u32 + value_length as u32)
}

/// A record ready to be programmed. The caller checked that key and value are not too long.
pub(super) fn encode_record(
    geometry: &Geometry,
    place: Place,
    sequence: u32,
    key: &RawKey,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let removed = if value.is_none() { REMOVED } else { 0 };
    let value = value.unwrap_or_default();
    let size = record_size(geometry, key, value.len()) as usize;
    let payload_crc = Crc32::new().with(&key.name).with(value).value();
    let mut record = Vec::with_capacity(size);
    record.extend_from_slice(&(value.len() as u16).to_le_bytes());
    record.extend_from_slice(&[key.kind as u8 | removed, key.name.len() as u8]);
    record.extend_from_slice(&sequence.to_le_bytes());
    record.extend_from_slice(&payload_crc.to_le_bytes());
    let crc = header_crc(&record, place);
    record.extend_from_slice(&crc.to_le_bytes());
    record.extend_from_slice(&key.name);
    record.extend_from_slice(value);
    record.resize(size, ERASED);
    record
}

fn header_crc(first: &[u8], place: Place) -> u32 {
    Crc32::new().with(first).with(&place.generation.to_le_bytes()).with(&place.offset.to_le_bytes()).value()
}

/// Bytes that one copy of a half's header takes.
pub(super) fn header_slot(geometry: &Geometry) -> u32 {
    geometry.words(HALF_HEADER)
}

/// Where the first record of a half stands.
pub(super) fn first_record(geometry: &Geometry) -> u32 {
    2 * header_slot(geometry)
}

/// One copy of a half's header, ready to be programmed.
pub(super) fn encode_half_header(geometry: &Geometry, generation: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(header_slot(geometry) as usize);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&generation.to_le_bytes());
    header.extend_from_slice(&layout(geometry).to_le_bytes());
    let crc = Crc32::new().with(&header).value();
    header.extend_from_slice(&crc.to_le_bytes());
    header.resize(header_slot(geometry) as usize, ERASED);
    header
}

/// The generation in one copy of a half's header, if it is whole and of this layout.
pub(super) fn parse_half_header(geometry: &Geometry, bytes: &[u8]) -> Option<u32> {
    let header = bytes.get(..HALF_HEADER as usize)?;
    let whole = header[..4] == MAGIC
        && u32_at(header, 8) == layout(geometry)
        && u32_at(header, 12) == Crc32::new().with(&header[..12]).value();
    whole.then(|| u32_at(header, 4))
}

/// A number for the geometry: a store never takes over bytes that were laid out for another one.
fn layout(geometry: &Geometry) -> u32 {
    let Geometry { word, log, modules } = geometry;
    [*word, log.address, log.unit, log.units, modules.address, modules.unit, modules.units]
        .iter()
        .fold(Crc32::new(), |crc, number| crc.with(&number.to_le_bytes()))
        .value()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == ERASED)
}
