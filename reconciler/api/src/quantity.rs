//! Amounts of memory and of processor time, as Kubernetes writes quantities.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scalar::ScalarError;

/// An amount of memory in bytes, written `64Ki`, `1Mi`, `1.5M` or as a plain number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

/// A share of one processor in thousandths, written `250m`, `0.25` or `1`; 1 to 1000.
///
/// `250m` is 250 milliseconds of processor time in each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u16);

impl Memory {
    /// The most that can be declared: what a 32-bit address space holds.
    pub const MAX: Self = Self(1 << 32);

    /// An amount of memory in bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Whether a device could ever have as much: reading checks the form only, so that an
    /// object already accepted can always be read.
    ///
    /// # Errors
    /// The amount is zero or above [`Memory::MAX`].
    pub fn check(self) -> Result<(), ScalarError> {
        match self.0 {
            1..=0x1_0000_0000 => Ok(()),
            _ => Err(ScalarError::new("an amount of memory between 1 byte and `4Gi`", &self.to_string())),
        }
    }

    /// The amount in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Cpu {
    /// One whole processor.
    pub const WHOLE: Self = Self(1000);

    /// A share in milliseconds of processor time a second, 1 to 1000.
    pub const fn from_millis(millis: u64) -> Option<Self> {
        if millis >= 1 && millis <= 1000 { Some(Self(millis as u16)) } else { None }
    }

    /// The share in milliseconds of processor time a second, 1 to 1000.
    pub const fn millis(self) -> u16 {
        self.0
    }
}

const SUFFIXES: [(&str, u64); 6] =
    [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, factor) in &SUFFIXES[..3] {
            if self.0 != 0 && self.0.is_multiple_of(*factor) {
                return write!(f, "{}{suffix}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

/// `digits[.digits]` as thousandths, or nothing.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 12) || !digits(fraction, 3) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + fraction)
}

impl FromStr for Memory {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, factor) = SUFFIXES
            .iter()
            .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|number| (number, *factor)))
            .unwrap_or((text, 1));
        thousandths(number)
            .map(|amount| u128::from(amount) * u128::from(factor) / 1000)
            .map(|bytes| Self(u64::try_from(bytes).unwrap_or(u64::MAX)))
            .ok_or_else(|| ScalarError::new("an amount of memory, such as `64Ki`, `1Mi` or `65536`", text))
    }
}

impl FromStr for Cpu {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = match text.strip_suffix('m') {
            Some(number) => number.parse().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit())),
            None => thousandths(text),
        };
        millis.and_then(Self::from_millis).ok_or_else(|| {
            ScalarError::new("a share of one processor between `1m` and `1000m`, such as `250m` or `0.5`", text)
        })
    }
}

macro_rules! quantity {
    ($type:ident, $shape:literal, $pattern:literal, $integer:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl Visitor<'_> for Reader {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a quantity as text or a whole number")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Reader)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "x-kubernetes-int-or-string": true,
                    "pattern": $pattern,
                    "minimum": $integer.0,
                    "maximum": $integer.1,
                    "x-wasmbed-shape": $shape,
                })
            }
        }
    };
}

quantity!(Memory, "memory", r"^[0-9]{1,12}(\.[0-9]{1,3})?(k|Ki|M|Mi|G|Gi)?$", (0, 999_999_999_999u64));
quantity!(Cpu, "cpu", r"^([1-9][0-9]{0,2}m|1000m|1(\.0{1,3})?|0\.[1-9][0-9]{0,2}|0\.0[1-9][0-9]?|0\.00[1-9])$", (1, 1));
