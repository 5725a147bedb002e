//! The gateway credential: which TLS key is which gateway, signed by the gateway CA key.

use alloc::string::String;
use alloc::vec::Vec;

use super::keyset::KeySet;
use super::sign1::{Payload, Refusal, SignError, read_unverified, sign, verify};
use crate::cbor::map;
use crate::id::PublicKey;
use crate::key::SigningKey;
use crate::limits::MAX_NAME;

map! {
    /// Says that a TLS key is a gateway of a fleet.
    pub struct Credential {
        /// The fleet.
        0 => fleet: String, max MAX_NAME;
        /// The gateway's name.
        1 => gateway: String, max MAX_NAME;
        /// The key it proves in the handshake.
        2 => tls_key: PublicKey;
    }
}

impl Credential {
    /// Signs it with the gateway CA key.
    ///
    /// # Errors
    /// It is too long.
    pub fn sign(&self, gateway_ca: &SigningKey) -> Result<Vec<u8>, SignError> {
        sign(self, gateway_ca)
    }

    /// Opens one of `keyset`'s fleet, signed by its gateway CA, for exactly the key of this connection.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub fn verify(cose: &[u8], keyset: &KeySet, tls_key: &PublicKey) -> Result<Self, Refusal> {
        let credential: Self = verify(cose, core::slice::from_ref(&keyset.gateway_ca))?;
        if credential.fleet != keyset.fleet {
            return Err(Refusal::OtherFleet { found: credential.fleet, expected: keyset.fleet.clone() });
        }
        if credential.tls_key != *tls_key {
            return Err(Refusal::OtherTlsKey);
        }
        Ok(credential)
    }

    /// Opens one without asking who signed it: for those who only carry it.
    ///
    /// # Errors
    /// It is no credential.
    pub fn read_unverified(cose: &[u8]) -> Result<Self, Refusal> {
        read_unverified(cose)
    }
}

impl Payload for Credential {
    const NAME: &'static str = "gateway credential";
    const AAD: &'static [u8] = b"wasmbed/1 Credential";

    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
