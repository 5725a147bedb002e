//! Fixed-size names: digests, keys and nonces, which are text (hexadecimal) for people and bytes on the wire.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::cbor::{DecodeError, Item, Reader, Writer};
use crate::hex;

/// Text that is not the hexadecimal form of the thing it should name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: expected {digits} hexadecimal digits")]
pub struct ParseIdError {
    what: &'static str,
    digits: usize,
    text: String,
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $size:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// The bytes it is.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $size];
                hex::read(text, &mut bytes).ok_or_else(|| ParseIdError {
                    what: $what,
                    digits: 2 * $size,
                    text: text.chars().take(2 * $size + 1).collect(),
                })?;
                Ok(Self(bytes))
            }
        }

        impl From<[u8; $size]> for $name {
            fn from(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Bytes;
                impl<'de> Visitor<'de> for Bytes {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a {}", $what)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        bytes.try_into().map($name).map_err(|_| E::invalid_length(bytes.len(), &self))
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<$name, A::Error> {
                        let mut bytes = [0; $size];
                        for (index, byte) in bytes.iter_mut().enumerate() {
                            *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
                        }
                        Ok($name(bytes))
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Bytes)
                } else {
                    deserializer.deserialize_bytes(Bytes)
                }
            }
        }

        impl Item for $name {
            fn write(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let bytes = r.bytes()?;
                bytes.try_into().map(Self).map_err(|_| DecodeError::Length { what: $what })
            }
        }
    };
}

id!(
    /// The name of a Release: SHA-256 of its deterministic CBOR payload.
    ReleaseDigest, 32, "release digest"
);
id!(
    /// The name of a module: SHA-256 of its bytes.
    ModuleDigest, 32, "module digest"
);
id!(
    /// The name of a device key: SHA-256 of its 32 raw public key bytes.
    Thumbprint, 32, "key thumbprint"
);
id!(
    /// What a device drew for one session; an Assignment counts only with it.
    Nonce, 16, "session nonce"
);
id!(
    /// An Ed25519 public key, raw. Whether it is a usable point shows when something is [verified](PublicKey::verify) by it.
    PublicKey, 32, "public key"
);

impl ModuleDigest {
    /// The name of these bytes.
    #[must_use]
    pub fn of(module: &[u8]) -> Self {
        Self(Sha256::digest(module).into())
    }
}

impl PublicKey {
    /// The name of this key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(Sha256::digest(self.0).into())
    }
}
