//! Values as CBOR (RFC 8949), into a buffer of a fixed size: what a message is made of.
//!
//! Numbers, booleans, text, options, arrays and slices are values; [`Bytes`](crate::cbor::Bytes) is a byte string; [`map!`](crate::map) makes a map:
//!
//! ```
//! wasmbed::publish("room/climate", &wasmbed::map! { "celsius": 21.5, "samples": [1, 2, 3] })?;
//! ```

use crate::Error;

/// A value that can be sent.
pub trait Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it does not fit.
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error>;
}

/// Writes CBOR into a buffer.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// A writer into `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.length + bytes.len();
        self.buffer.get_mut(self.length..end).ok_or(Error::TooLarge)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// The head of a data item, in its shortest form.
    fn head(&mut self, major: u8, value: u64) -> Result<(), Error> {
        let bytes = value.to_be_bytes();
        let (information, skip) = match value {
            0..=23 => return self.put(&[major << 5 | value as u8]),
            24..=0xff => (24, 7),
            0x100..=0xffff => (25, 6),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 0),
        };
        self.put(&[major << 5 | information])?;
        self.put(&bytes[skip..])
    }

    /// Starts a map of `entries` keys and values, which follow.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it does not fit.
    pub fn map(&mut self, entries: usize) -> Result<(), Error> {
        self.head(5, entries as u64)
    }

    /// Starts an array of `items` values, which follow.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it does not fit.
    pub fn array(&mut self, items: usize) -> Result<(), Error> {
        self.head(4, items as u64)
    }
}

macro_rules! unsigned {
    ($($kind:ty)*) => {$(
        impl Encode for $kind {
            fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                writer.head(0, *self as u64)
            }
        }
    )*};
}

macro_rules! signed {
    ($($kind:ty)*) => {$(
        impl Encode for $kind {
            fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                let value = *self as i64;
                if value < 0 { writer.head(1, !value as u64) } else { writer.head(0, value as u64) }
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64 usize);
signed!(i8 i16 i32 i64 isize);

impl Encode for bool {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.put(&[if *self { 0xf5 } else { 0xf4 }])
    }
}

impl Encode for f32 {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.put(&[0xfa])?;
        writer.put(&self.to_be_bytes())
    }
}

impl Encode for f64 {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let short = *self as f32;
        if f64::from(short) == *self {
            return short.encode(writer);
        }
        writer.put(&[0xfb])?;
        writer.put(&self.to_be_bytes())
    }
}

impl Encode for str {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.head(3, self.len() as u64)?;
        writer.put(self.as_bytes())
    }
}

impl Encode for alloc::string::String {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.as_str().encode(writer)
    }
}

/// A byte string.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Encode for Bytes<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.head(2, self.0.len() as u64)?;
        writer.put(self.0)
    }
}

/// Null, or the value.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        match self {
            Some(value) => value.encode(writer),
            None => writer.put(&[0xf6]),
        }
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.array(self.len())?;
        self.iter().try_for_each(|item| item.encode(writer))
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.as_slice().encode(writer)
    }
}

impl<T: Encode> Encode for alloc::vec::Vec<T> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.as_slice().encode(writer)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        (*self).encode(writer)
    }
}

/// A value that a function writes; what [`map!`](crate::map) makes.
pub struct With<F>(F);

/// A value that `write` writes: exactly one data item.
pub fn with<F: Fn(&mut Writer<'_>) -> Result<(), Error>>(write: F) -> With<F> {
    With(write)
}

impl<F: Fn(&mut Writer<'_>) -> Result<(), Error>> Encode for With<F> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        (self.0)(writer)
    }
}

/// A map, written as in JSON: `map! { "celsius": 21.5, "room": "attic" }`.
#[macro_export]
macro_rules! map {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::cbor::with(|writer: &mut $crate::cbor::Writer<'_>| {
            writer.map([$($key),*].len())?;
            $(
                $crate::cbor::Encode::encode($key, writer)?;
                $crate::cbor::Encode::encode(&$value, writer)?;
            )*
            Ok(())
        })
    };
}
