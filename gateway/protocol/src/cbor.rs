//! CBOR (RFC 8949) items of definite length, read without recursion and written in the one deterministic way (4.2.1).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;

use ciborium_ll::{Decoder, Encoder, Header, simple};

/// Bytes that are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside an item.
    #[error("the bytes end inside an item")]
    Truncated,
    /// Not CBOR of definite length.
    #[error("not CBOR of definite length")]
    Syntax,
    /// CBOR, but another type than this place holds.
    #[error("expected {0}")]
    Type(&'static str),
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field this version does not know, in a signed object.
    #[error("unknown field {0} in a signed object")]
    UnknownField(u64),
    /// Map keys that are repeated or out of order.
    #[error("field {0} is repeated or out of order")]
    Order(u64),
    /// Text or a list longer than its field allows.
    #[error("{0} is longer than the protocol allows")]
    TooLong(&'static str),
    /// Bytes of another length than this thing has.
    #[error("a {what} of the wrong length")]
    Length {
        /// What should have been there.
        what: &'static str,
    },
    /// A number outside the range of its field.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A message kind this version does not know; the receiver may skip it.
    #[error("unknown message kind {0}")]
    UnknownKind(u64),
    /// An envelope of another version.
    #[error("protocol version {0}, and this side speaks version 1")]
    Version(u64),
    /// Bytes after the end of the item.
    #[error("bytes after the end of the message")]
    Trailing,
}

/// A message that cannot be sent, because a receiver would refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field is longer than the protocol allows.
    #[error("{field} has length {length}, more than the {max} the protocol allows")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes or elements.
        length: usize,
        /// The most it may have.
        max: usize,
    },
    /// The whole is longer than a frame or a signed object may be.
    #[error("{length} bytes, more than the {max} the protocol allows")]
    TooLarge {
        /// Length of the whole in bytes.
        length: usize,
        /// The most it may have.
        max: usize,
    },
}

/// Something that stands in a message as one CBOR item.
pub(crate) trait Item: Sized {
    /// Appends it.
    fn write(&self, w: &mut Writer);

    /// Reads it.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// What a map without this field means, if the field may be absent.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the field is written at all.
    fn is_present(&self) -> bool {
        true
    }

    /// Length that a bound on the field applies to: bytes of text, elements of a list.
    fn length(&self) -> usize {
        0
    }
}

/// Writes items; remembers the first field that was too long.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    error: Option<EncodeError>,
}

impl Writer {
    /// One that allocates once, if no more than so many bytes are written.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), error: None }
    }

    /// What was written, if no field broke its bound and the whole is at most `max` bytes.
    pub(crate) fn finish(self, max: usize) -> Result<Vec<u8>, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let bytes = self.out;
        if bytes.len() > max {
            return Err(EncodeError::TooLarge { length: bytes.len(), max });
        }
        Ok(bytes)
    }

    /// What was written, where no field has a bound.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Remembers a field that is longer than it may be.
    pub fn bound(&mut self, field: &'static str, length: usize, max: usize) {
        if length > max && self.error.is_none() {
            self.error = Some(EncodeError::TooLong { field, length, max });
        }
    }

    /// Appends an unsigned number.
    pub fn uint(&mut self, value: u64) {
        self.header(Header::Positive(value));
    }

    /// Appends bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.header(Header::Bytes(Some(value.len())));
        self.out.extend_from_slice(value);
    }

    /// Appends text.
    pub fn text(&mut self, value: &str) {
        self.header(Header::Text(Some(value.len())));
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Begins an array of so many items.
    pub fn array(&mut self, count: usize) {
        self.header(Header::Array(Some(count)));
    }

    /// Begins a map of so many pairs.
    pub fn map(&mut self, count: usize) {
        self.header(Header::Map(Some(count)));
    }

    fn header(&mut self, header: Header) {
        let Ok(()) = Encoder::from(Sink(&mut self.out)).push(header);
    }
}

/// Reads items off the front of some bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    strict: bool,
}

impl<'a> Reader<'a> {
    /// For messages: unknown fields are skipped.
    pub(crate) fn lenient(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, strict: false }
    }

    /// For signed objects: unknown fields are errors.
    pub fn strict(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, strict: true }
    }

    /// Succeeds if nothing is left.
    ///
    /// # Errors
    /// There is more.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// Reads an unsigned number.
    ///
    /// # Errors
    /// The next item is something else, or not whole.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        match self.header()? {
            Header::Positive(value) => Ok(value),
            _ => Err(DecodeError::Type("an unsigned number")),
        }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// The next item is something else, or not whole.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.header()? {
            Header::Bytes(Some(length)) => self.take(length),
            _ => Err(DecodeError::Type("bytes")),
        }
    }

    /// Reads text.
    ///
    /// # Errors
    /// The next item is something else, or not whole.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        match self.header()? {
            Header::Text(Some(length)) => {
                core::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Type("text in UTF-8"))
            }
            _ => Err(DecodeError::Type("text")),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.header()? {
            Header::Simple(simple::FALSE) => Ok(false),
            Header::Simple(simple::TRUE) => Ok(true),
            _ => Err(DecodeError::Type("true or false")),
        }
    }

    /// Reads the begin of an array; its count of items.
    ///
    /// # Errors
    /// The next item is something else, or not whole.
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        match self.header()? {
            Header::Array(Some(count)) => self.plausible(count),
            _ => Err(DecodeError::Type("an array")),
        }
    }

    /// Reads the begin of a map.
    ///
    /// # Errors
    /// The next item is something else, or not whole.
    pub fn map(&mut self) -> Result<Entries, DecodeError> {
        match self.header()? {
            Header::Map(Some(count)) => Ok(Entries { left: self.plausible(count)?, last: None }),
            _ => Err(DecodeError::Type("a map")),
        }
    }

    pub(crate) fn bound(&self, field: &'static str, length: usize, max: usize) -> Result<(), DecodeError> {
        if length > max { Err(DecodeError::TooLong(field)) } else { Ok(()) }
    }

    /// Steps over the value of an unknown field, or refuses it in a signed object.
    pub(crate) fn unknown(&mut self, key: u64) -> Result<(), DecodeError> {
        if self.strict { Err(DecodeError::UnknownField(key)) } else { self.skip() }
    }

    /// Steps over one item, whatever it is and however deep.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            match self.header()? {
                Header::Bytes(Some(length)) | Header::Text(Some(length)) => drop(self.take(length)?),
                Header::Array(Some(count)) => left = left.saturating_add(self.plausible(count)?),
                Header::Map(Some(count)) => left = left.saturating_add(self.plausible(count)?.saturating_mul(2)),
                Header::Tag(_) => left = left.saturating_add(1),
                Header::Positive(_) | Header::Negative(_) | Header::Float(_) | Header::Simple(_) => {}
                _ => return Err(DecodeError::Syntax),
            }
        }
        Ok(())
    }

    /// A count of items is believed only if the bytes for them can be there.
    fn plausible(&self, count: usize) -> Result<usize, DecodeError> {
        if count > self.rest.len() { Err(DecodeError::Truncated) } else { Ok(count) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn header(&mut self) -> Result<Header, DecodeError> {
        let mut decoder = Decoder::from(Source(self.rest));
        let header = decoder.pull().map_err(|error| match error {
            ciborium_ll::Error::Io(Truncated) => DecodeError::Truncated,
            ciborium_ll::Error::Syntax(_) => DecodeError::Syntax,
        })?;
        self.rest = &self.rest[decoder.offset()..];
        Ok(header)
    }
}

/// What is left of a map whose keys are ascending numbers.
#[derive(Debug)]
pub struct Entries {
    left: usize,
    last: Option<u64>,
}

impl Entries {
    /// How many entries are left.
    #[allow(clippy::len_without_is_empty, reason = "it counts what is left, it holds nothing")]
    pub fn len(&self) -> usize {
        self.left
    }

    /// The next key; its value is to be read or skipped before the next call.
    pub(crate) fn key(&mut self, r: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = r.uint()?;
        if self.last.is_some_and(|last| key <= last) {
            return Err(DecodeError::Order(key));
        }
        self.last = Some(key);
        Ok(Some(key))
    }
}

/// Declares a struct that is a CBOR map with integer keys; `max` bounds the bytes of a text or the elements of a list.
macro_rules! map {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* $key:literal => $field:ident: $type:ty $(, max $max:expr)?;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::cbor::Item for $name {
            fn write(&self, w: &mut $crate::cbor::Writer) {
                $($(w.bound(
                    concat!(stringify!($name), ".", stringify!($field)),
                    $crate::cbor::Item::length(&self.$field),
                    $max,
                );)?)*
                w.map([$($crate::cbor::Item::is_present(&self.$field)),*].into_iter().filter(|present| *present).count());
                $(if $crate::cbor::Item::is_present(&self.$field) {
                    w.uint($key);
                    $crate::cbor::Item::write(&self.$field, w);
                })*
            }

            fn read(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                $(let mut $field: Option<$type> = None;)*
                let mut entries = r.map()?;
                while let Some(key) = entries.key(r)? {
                    match key {
                        $($key => {
                            let value = <$type as $crate::cbor::Item>::read(r)?;
                            $(r.bound(
                                concat!(stringify!($name), ".", stringify!($field)),
                                $crate::cbor::Item::length(&value),
                                $max,
                            )?;)?
                            $field = Some(value);
                        })*
                        _ => r.unknown(key)?,
                    }
                }
                Ok(Self {
                    $($field: $field.or_else(<$type as $crate::cbor::Item>::absent).ok_or(
                        $crate::cbor::DecodeError::Missing(concat!(stringify!($name), ".", stringify!($field))),
                    )?,)*
                })
            }
        }
    };
}

/// Declares an enum that is a small number.
macro_rules! number {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)*
        }

        impl $name {
            /// Every one there is, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl $crate::cbor::Item for $name {
            fn write(&self, w: &mut $crate::cbor::Writer) {
                w.uint(*self as u64);
            }

            fn read(r: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::DecodeError> {
                match r.uint()? {
                    $($value => Ok(Self::$variant),)*
                    _ => Err($crate::cbor::DecodeError::Range(stringify!($name))),
                }
            }
        }
    };
}

pub(crate) use {map, number};

impl Item for u64 {
    fn write(&self, w: &mut Writer) {
        w.uint(*self);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uint()
    }
}

impl Item for u32 {
    fn write(&self, w: &mut Writer) {
        w.uint(u64::from(*self));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uint()?.try_into().map_err(|_| DecodeError::Range("a number of 32 bits"))
    }
}

impl Item for bool {
    fn write(&self, w: &mut Writer) {
        w.header(Header::Simple(if *self { simple::TRUE } else { simple::FALSE }));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.boolean()
    }
}

impl Item for String {
    fn write(&self, w: &mut Writer) {
        w.text(self);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.text().map(Self::from)
    }

    fn length(&self) -> usize {
        self.len()
    }
}

impl Item for Vec<u8> {
    fn write(&self, w: &mut Writer) {
        w.bytes(self);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bytes().map(Self::from)
    }

    fn length(&self) -> usize {
        self.len()
    }
}

impl<T: Item> Item for Option<T> {
    fn write(&self, w: &mut Writer) {
        if let Some(value) = self {
            value.write(w);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::read(r).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_present(&self) -> bool {
        self.is_some()
    }

    fn length(&self) -> usize {
        self.as_ref().map_or(0, Item::length)
    }
}

/// A list; empty, it is left out of its map.
impl<T: Item> Item for Vec<T> {
    fn write(&self, w: &mut Writer) {
        w.array(self.len());
        self.iter().for_each(|item| item.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        (0..r.array()?).map(|_| T::read(r)).collect()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_present(&self) -> bool {
        !self.is_empty()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// A map of texts, in the order of its encoded keys (the shorter first); empty, it is left out of its map.
impl Item for BTreeMap<String, String> {
    fn write(&self, w: &mut Writer) {
        w.map(self.len());
        // The map has them in order, so what is left is to take one length after the other: a sort is 3 KB of a device's flash.
        let mut next = self.keys().map(String::len).min();
        while let Some(length) = next {
            for (key, value) in self.iter().filter(|(key, _)| key.len() == length) {
                w.text(key);
                w.text(value);
            }
            next = self.keys().map(String::len).filter(|other| *other > length).min();
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = Self::new();
        for _ in 0..r.map()?.len() {
            let key = String::read(r)?;
            if map.insert(key, String::read(r)?).is_some() {
                return Err(DecodeError::Type("a map without repeated keys"));
            }
        }
        Ok(map)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_present(&self) -> bool {
        !self.is_empty()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// A growing buffer as ciborium sees it; its own type, so that it is the same with and without ciborium's `std`.
struct Sink<'a>(&'a mut Vec<u8>);

impl ciborium_io::Write for Sink<'_> {
    type Error = Infallible;

    fn write_all(&mut self, data: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Source<'a>(&'a [u8]);

#[derive(Debug)]
struct Truncated;

impl ciborium_io::Read for Source<'_> {
    type Error = Truncated;

    fn read_exact(&mut self, data: &mut [u8]) -> Result<(), Truncated> {
        let (taken, rest) = self.0.split_at_checked(data.len()).ok_or(Truncated)?;
        data.copy_from_slice(taken);
        self.0 = rest;
        Ok(())
    }
}
