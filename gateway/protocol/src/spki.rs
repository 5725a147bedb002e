//! Ed25519 raw public keys as TLS carries them (RFC 7250, RFC 8410): a SubjectPublicKeyInfo of 44 bytes.

use crate::id::PublicKey;

/// Length of an Ed25519 SubjectPublicKeyInfo in DER, in bytes.
pub const LENGTH: usize = 44;

/// `SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }`, up to the key.
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// PKCS#8 v1 (RFC 5958) of an Ed25519 seed, up to the seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The DER form of a key.
#[must_use]
pub fn encode(key: &PublicKey) -> [u8; LENGTH] {
    let mut der = [0; LENGTH];
    der[..PREFIX.len()].copy_from_slice(&PREFIX);
    der[PREFIX.len()..].copy_from_slice(&key.0);
    der
}

/// The key in a DER form, if it is exactly that of an Ed25519 key.
#[must_use]
pub fn decode(der: &[u8]) -> Option<PublicKey> {
    let key = der.strip_prefix(&PREFIX)?;
    key.try_into().ok().map(PublicKey)
}

/// The PKCS#8 DER form of a seed, which is what TLS libraries read a private key from.
#[must_use]
pub fn pkcs8(seed: &[u8; 32]) -> zeroize::Zeroizing<[u8; 48]> {
    let mut der = zeroize::Zeroizing::new([0; 48]);
    der[..PKCS8_PREFIX.len()].copy_from_slice(&PKCS8_PREFIX);
    der[PKCS8_PREFIX.len()..].copy_from_slice(seed);
    der
}
