//! The Release: what may run, signed once by a release key.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::keyset::KeySet;
use super::sign1::{Payload, Refusal, SignError, payload, read_unverified, sign, verify};
use crate::cbor::{EncodeError, map, number};
use crate::id::{ModuleDigest, ReleaseDigest};
use crate::key::SigningKey;
use crate::limits::{MAX_ARTIFACTS, MAX_MODULE, MAX_NAME};

map! {
    /// What may run. Named by the SHA-256 of its deterministic CBOR, so the same content is the same Release.
    pub struct Release {
        /// The fleet it is for.
        0 => fleet: String, max MAX_NAME;
        /// The application it is of.
        1 => application: String, max MAX_NAME;
        /// The same program for each platform it was built for.
        2 => artifacts: Vec<Artifact>, max MAX_ARTIFACTS;
        /// What the program is told.
        3 => config: Configuration;
        /// What the program may use.
        4 => limits: Limits;
        /// What the program may touch.
        5 => capabilities: Capabilities;
        /// What follows a failure.
        6 => restart: RestartPolicy;
    }
}

map! {
    /// A program in one form.
    pub struct Artifact {
        /// Which devices can run it; `wasm32` is any.
        0 => platform: String, max 32;
        /// What the bytes are.
        1 => format: Format;
        /// Their name.
        2 => digest: ModuleDigest;
        /// How many there are.
        3 => size: u32;
    }
}

number! {
    /// What an artifact's bytes are.
    pub enum Format {
        /// A WebAssembly module.
        Wasm = 0,
    }
}

map! {
    /// What a program is told.
    pub struct Configuration {
        /// Environment variables, which are also its configuration values.
        0 => env: BTreeMap<String, String>, max 64;
        /// Arguments, without the program's name.
        1 => args: Vec<String>, max 32;
    }
}

map! {
    /// What a program may use.
    pub struct Limits {
        /// Memory in bytes, all of it: linear memory, stack and the runtime's own for this instance.
        0 => memory: u32;
        /// CPU time in milliseconds per second.
        1 => cpu_ms_per_s: u32;
        /// What it may send.
        2 => io: IoLimits;
    }
}

map! {
    /// What a program may send. Beyond it, lines and messages are dropped and counted.
    pub struct IoLimits {
        /// Log text in bytes per second.
        0 => log_bytes_per_s: u32;
        /// Published messages per second.
        1 => publish_per_s: u32;
        /// Published payload in bytes per second.
        2 => publish_bytes_per_s: u32;
    }
}

map! {
    /// What a program may touch besides time, log, sleep and its configuration.
    pub struct Capabilities {
        /// Topics it may publish under; `prefix/*` is all that start with `prefix/`.
        0 => publish: Vec<String>, max 32;
        /// GPIO pins by name.
        1 => gpio: Vec<String>, max 32;
        /// ADC inputs by name.
        2 => adc: Vec<String>, max 32;
        /// Network peers it may probe, `host:port`.
        3 => network: Vec<String>, max 32;
    }
}

map! {
    /// What follows a failure.
    pub struct RestartPolicy {
        /// Whether it is started again.
        0 => auto: bool;
        /// How often, before it counts as failed.
        1 => max: u32;
    }
}

impl Release {
    /// Its name.
    ///
    /// # Errors
    /// It is too long to be signed.
    pub fn digest(&self) -> Result<ReleaseDigest, EncodeError> {
        Ok(ReleaseDigest(Sha256::digest(self.payload(0)?).into()))
    }

    /// Signs it with a release key.
    ///
    /// # Errors
    /// It is too long, or every device would refuse it.
    pub fn sign(&self, release_key: &SigningKey) -> Result<Vec<u8>, SignError> {
        sign(self, release_key)
    }

    /// Opens one of `keyset`'s fleet, signed by one of its release keys, with its name.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub fn verify(cose: &[u8], keyset: &KeySet) -> Result<(ReleaseDigest, Self), Refusal> {
        let release: Self = verify(cose, &keyset.release)?;
        if release.fleet != keyset.fleet {
            return Err(Refusal::OtherFleet { found: release.fleet, expected: keyset.fleet.clone() });
        }
        Ok((Self::name_of(cose)?, release))
    }

    /// As [`Self::verify`], for the Release of this name and no other.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub fn verify_named(cose: &[u8], keyset: &KeySet, name: &ReleaseDigest) -> Result<Self, Refusal> {
        let (digest, release) = Self::verify(cose, keyset)?;
        if digest == *name { Ok(release) } else { Err(Refusal::OtherRelease) }
    }

    /// Opens one without asking who signed it: for those who only carry or show it, and for what was verified when it
    /// was stored.
    ///
    /// # Errors
    /// It is no Release.
    pub fn read_unverified(cose: &[u8]) -> Result<(ReleaseDigest, Self), Refusal> {
        let release: Self = read_unverified(cose)?;
        Ok((Self::name_of(cose)?, release))
    }

    /// The name of one, whatever it says and whoever signed it: that of what is read in it, if it can be read.
    ///
    /// # Errors
    /// It is no signed object.
    pub fn name_of(cose: &[u8]) -> Result<ReleaseDigest, Refusal> {
        // What can be read is in its one deterministic encoding, so that its digest is that of its bytes.
        Ok(ReleaseDigest(Sha256::digest(payload(cose)?).into()))
    }
}

impl Payload for Release {
    const NAME: &'static str = "Release";
    const AAD: &'static [u8] = b"wasmbed/1 Release";

    fn check(&self) -> Result<(), Refusal> {
        if self.artifacts.is_empty() {
            return Err(Refusal::Content("a Release without artifacts"));
        }
        if self.artifacts.iter().any(|artifact| artifact.size == 0 || artifact.size > MAX_MODULE) {
            return Err(Refusal::Content("an artifact of an impossible size"));
        }
        Ok(())
    }
}
