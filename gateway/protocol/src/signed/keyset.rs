//! The KeySet: which keys a fleet's devices believe, signed by the root key.

use alloc::string::String;
use alloc::vec::Vec;

use super::sign1::{Payload, Refusal, SignError, read_unverified, sign, verify};
use crate::cbor::map;
use crate::id::PublicKey;
use crate::key::SigningKey;
use crate::limits::{MAX_KEYS, MAX_NAME};

map! {
    /// Which keys a fleet's devices believe. Devices keep the one with the highest epoch.
    pub struct KeySet {
        /// Rises with every KeySet; a device refuses a lower one than it has seen.
        0 => epoch: u64;
        /// The fleet it is for.
        1 => fleet: String, max MAX_NAME;
        /// Keys that may sign Releases.
        2 => release: Vec<PublicKey>, max MAX_KEYS;
        /// Keys that may sign Assignments.
        3 => assignment: Vec<PublicKey>, max MAX_KEYS;
        /// The key that signs gateways' credentials.
        4 => gateway_ca: PublicKey;
    }
}

impl KeySet {
    /// Signs it with the root key.
    ///
    /// # Errors
    /// It is too long.
    pub fn sign(&self, root: &SigningKey) -> Result<Vec<u8>, SignError> {
        sign(self, root)
    }

    /// Opens one that `root` signed for `fleet`, no older than `stored_epoch`.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub fn verify(cose: &[u8], root: &PublicKey, fleet: &str, stored_epoch: u64) -> Result<Self, Refusal> {
        let keyset: Self = verify(cose, core::slice::from_ref(root))?;
        if keyset.fleet != fleet {
            return Err(Refusal::OtherFleet { found: keyset.fleet, expected: fleet.into() });
        }
        if keyset.epoch < stored_epoch {
            return Err(Refusal::OldEpoch { found: keyset.epoch, stored: stored_epoch });
        }
        Ok(keyset)
    }

    /// Opens one without asking who signed it: for those who only carry it, and for what was verified when it was stored.
    ///
    /// # Errors
    /// It is no KeySet.
    pub fn read_unverified(cose: &[u8]) -> Result<Self, Refusal> {
        read_unverified(cose)
    }
}

impl Payload for KeySet {
    const NAME: &'static str = "KeySet";
    const AAD: &'static [u8] = b"wasmbed/1 KeySet";

    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
