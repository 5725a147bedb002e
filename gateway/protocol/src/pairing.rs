//! Enrollment by a one-time code of 128 bits.
//!
//! A person carries the code to the device; the declaration holds only the public half of the Ed25519 key derived from
//! it. The device proves the code by a signature over this TLS session's exporter, the name it claims and its own key,
//! so neither a gateway nor an eavesdropper learns anything they could use again.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::cbor::{DecodeError, Item, Reader, Writer};
use crate::id::PublicKey;
use crate::key::SigningKey;

/// Label of the TLS exporter value that a proof covers; no context, [`EXPORTER_LENGTH`] bytes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-wasmbed-pairing";

/// Length of the exporter value in bytes.
pub const EXPORTER_LENGTH: usize = 32;

const PROOF_DOMAIN: &[u8] = b"wasmbed pairing proof 1";
const KEY_SALT: &[u8] = b"wasmbed pairing key 1";
const CHECKSUM_DOMAIN: &[u8] = b"wasmbed pairing code 1";

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 26 characters carry the 128 bits, two more a checksum of ten.
const SYMBOLS: usize = 28;

/// A one-time code. Its text is seven groups of four characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Zeroizing<[u8; 16]>);

impl Code {
    /// The code made of 128 random bits.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The key that proves the code; `spec.pairing.publicKey` is its public half.
    #[must_use]
    pub fn key(&self) -> SigningKey {
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(KEY_SALT), self.0.as_ref())
            .expand(b"ed25519", seed.as_mut())
            .expect("32 bytes are less than 255 hashes");
        SigningKey::from_seed(&seed)
    }

    /// The text a person types.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bits = u128::from_be_bytes(*self.0);
        let check = self.checksum();
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + 6));
        for place in 0..SYMBOLS {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            // 26 symbols hold 130 bits: the first carries the top three.
            let value = match place {
                0..26 => (bits >> (5 * (25 - place))) as usize & 31,
                26 => usize::from(check >> 5),
                _ => usize::from(check & 31),
            };
            text.push(char::from(ALPHABET[value]));
        }
        text
    }

    fn checksum(&self) -> u16 {
        let digest = Sha256::new().chain_update(CHECKSUM_DOMAIN).chain_update(*self.0).finalize();
        u16::from_be_bytes([digest[0], digest[1]]) & 0x3ff
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// Text that is not a pairing code. It does not quote the text, which may be nearly a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCodeError {
    /// Too few or too many characters.
    #[error("a pairing code has 28 letters and digits in groups of four, and this has {0}")]
    Length(usize),
    /// A character that is in no code.
    #[error("{0:?} is in no pairing code")]
    Character(char),
    /// The checksum does not match.
    #[error("the pairing code has a typing error: its checksum does not match")]
    Checksum,
}

/// Reads a code in either case, with or without hyphens and spaces; O is read as 0, I and L as 1.
impl FromStr for Code {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        let symbols = text
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| symbol(c).ok_or(ParseCodeError::Character(c)))
            .collect::<Result<Vec<u8>, _>>()
            .map(Zeroizing::new)?;
        if symbols.len() != SYMBOLS {
            return Err(ParseCodeError::Length(symbols.len()));
        }
        if symbols[0] > 7 {
            return Err(ParseCodeError::Checksum);
        }
        let bits = symbols[..26].iter().fold(0u128, |bits, symbol| bits << 5 | u128::from(*symbol));
        let check = u16::from(symbols[26]) << 5 | u16::from(symbols[27]);
        let code = Self::new(bits.to_be_bytes());
        if code.checksum() != check {
            return Err(ParseCodeError::Checksum);
        }
        Ok(code)
    }
}

fn symbol(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    let place = ALPHABET.iter().position(|symbol| char::from(*symbol) == c)?;
    u8::try_from(place).ok()
}

/// A signature that proves a code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof(pub [u8; 64]);

impl Proof {
    /// Proves `code` in the session with this exporter value, for the device of this name and key.
    #[must_use]
    pub fn new(code: &Code, exporter: &[u8; EXPORTER_LENGTH], device: &str, key: &PublicKey) -> Self {
        Self(code.key().sign(&statement(exporter, device, key)))
    }

    /// Whether it proves the code whose public half is `pairing`, for exactly this session, name and key.
    #[must_use]
    pub fn verify(&self, pairing: &PublicKey, exporter: &[u8; EXPORTER_LENGTH], device: &str, key: &PublicKey) -> bool {
        pairing.verify(&statement(exporter, device, key), &self.0)
    }
}

/// The exporter value ([`EXPORTER_LABEL`], no context) computed from the exporter secret of a session whose hash is
/// SHA-256 (RFC 8446, 7.5): rustls' unbuffered connections have no exporter, but tell a `KeyLog` the `EXPORTER_SECRET`.
/// `None` if the secret is not of that hash.
#[must_use]
pub fn exporter_from_secret(secret: &[u8]) -> Option<[u8; EXPORTER_LENGTH]> {
    let secret: &[u8; 32] = secret.try_into().ok()?;
    let empty = Sha256::digest([]);
    let derived = Zeroizing::new(expand_label(secret, EXPORTER_LABEL, &empty));
    Some(expand_label(&derived, b"exporter", &empty))
}

/// HKDF-Expand-Label of RFC 8446, 7.1, to 32 bytes.
fn expand_label(secret: &[u8; 32], label: &[u8], context: &[u8]) -> [u8; 32] {
    let length = |bytes: usize| u8::try_from(bytes).expect("our labels and SHA-256 hashes are short");
    let mut out = [0; 32];
    Hkdf::<Sha256>::from_prk(secret)
        .expect("32 bytes are a key for SHA-256")
        .expand_multi_info(
            &[&[0, 32, length(6 + label.len())], b"tls13 ", label, &[length(context.len())], context],
            &mut out,
        )
        .expect("32 bytes are less than 255 hashes");
    out
}

/// What a proof signs. The name stands before two fixed lengths, so no two statements share bytes.
fn statement(exporter: &[u8; EXPORTER_LENGTH], device: &str, key: &PublicKey) -> Vec<u8> {
    [PROOF_DOMAIN, device.as_bytes(), exporter, key.as_bytes()].concat()
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

impl Item for Proof {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bytes()?.try_into().map(Self).map_err(|_| DecodeError::Length { what: "pairing proof" })
    }
}

impl Serialize for Proof {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let length = bytes.len();
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::invalid_length(length, &"64 bytes"))
    }
}
