//! Public keys of devices.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use crate::digest::Digest;
use crate::scalar::{ScalarError, text_scalar};

/// An Ed25519 public key, written as OpenSSH does (`ssh-ed25519 AAAA... comment`) or as base64 of the 32 bytes.
///
/// Reading checks the form only, so that an object already accepted can always be read;
/// [`PublicKey::check`] says whether the bytes are a key at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// What precedes the 32 bytes of the key in OpenSSH's encoding (RFC 8709): two lengths and the name.
const SSH_PREFIX: &[u8] = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20";

impl PublicKey {
    /// A key by its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The SHA-256 of the 32 bytes, by which Assignments name a device.
    pub fn thumbprint(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Whether the bytes are a point of the curve that no one can make signatures for without the secret half.
    ///
    /// # Errors
    /// The bytes are no point of the curve, or one of small order.
    pub fn check(&self) -> Result<(), ScalarError> {
        match VerifyingKey::from_bytes(&self.0) {
            Ok(key) if !key.is_weak() => Ok(()),
            _ => Err(ScalarError::new(
                "a usable Ed25519 public key (these 32 bytes are no safe point of the curve; was it copied whole?)",
                &self.to_string(),
            )),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = SSH_PREFIX.to_vec();
        blob.extend_from_slice(&self.0);
        write!(f, "ssh-ed25519 {}", STANDARD.encode(blob))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse =
            || ScalarError::new("an Ed25519 public key: `ssh-ed25519 AAAA...` or base64 of its 32 bytes", text);
        let bytes = match text.strip_prefix("ssh-ed25519 ") {
            Some(rest) => {
                let blob = STANDARD.decode(rest.split(' ').next().unwrap_or_default()).map_err(|_| refuse())?;
                blob.strip_prefix(SSH_PREFIX).ok_or_else(refuse)?.to_vec()
            }
            None => STANDARD.decode(text).map_err(|_| refuse())?,
        };
        bytes.try_into().map(Self).map_err(|_| refuse())
    }
}

text_scalar!(
    PublicKey,
    "publicKey",
    "^([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42}( .*)?)$",
    1024
);
