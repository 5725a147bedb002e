//! The Assignment: everything one device is to run, signed for one session of it by an assignment key.

use alloc::string::String;
use alloc::vec::Vec;

use super::keyset::KeySet;
use super::sign1::{Payload, Refusal, SignError, read_unverified, sign, verify};
use crate::cbor::{map, number};
use crate::id::{Nonce, PublicKey, ReleaseDigest, Thumbprint};
use crate::key::SigningKey;
use crate::limits::{MAX_APPLICATIONS, MAX_NAME};

map! {
    /// Everything one device is to run: what is not named is to be stopped and erased.
    pub struct Assignment {
        /// The fleet it is for.
        0 => fleet: String, max MAX_NAME;
        /// The device, by its key.
        1 => device: Thumbprint;
        /// The session, by what the device drew for it.
        2 => nonce: Nonce;
        /// Rises within a session.
        3 => n: u64;
        /// The gateway the session is at.
        4 => gateway: String, max MAX_NAME;
        /// The applications, in the order of their names.
        5 => entries: Vec<Entry>, max MAX_APPLICATIONS;
    }
}

map! {
    /// One application of an Assignment.
    pub struct Entry {
        /// Its name.
        0 => application: String, max MAX_NAME;
        /// What to run.
        1 => release: ReleaseDigest;
        /// Whether to run it.
        2 => state: RunState;
        /// When it changes, the application is started anew.
        3 => restart: u64;
    }
}

number! {
    /// Whether an assigned application runs.
    pub enum RunState {
        /// It runs.
        Run = 0,
        /// It is held ready and does not run.
        Suspended = 1,
    }
}

/// What a device knows of its own session, and an Assignment must agree with.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The device's key.
    pub device: &'a PublicKey,
    /// What it sent in this session's `Hello`.
    pub nonce: &'a Nonce,
    /// The gateway that this session's credential named.
    pub gateway: &'a str,
    /// The number of the last Assignment of this session, if there was one.
    pub last: Option<u64>,
}

impl Assignment {
    /// Signs it with an assignment key. Its entries must be in the order of their applications' names.
    ///
    /// # Errors
    /// It is too long, or every device would refuse it.
    pub fn sign(&self, assignment_key: &SigningKey) -> Result<Vec<u8>, SignError> {
        sign(self, assignment_key)
    }

    /// Opens one of `keyset`'s fleet, signed by one of its assignment keys, for this session and newer than its last.
    ///
    /// # Errors
    /// [`Refusal`] says which rule it breaks.
    pub fn verify(cose: &[u8], keyset: &KeySet, expected: &Expected<'_>) -> Result<Self, Refusal> {
        let assignment: Self = verify(cose, &keyset.assignment)?;
        if assignment.fleet != keyset.fleet {
            return Err(Refusal::OtherFleet { found: assignment.fleet, expected: keyset.fleet.clone() });
        }
        if assignment.device != expected.device.thumbprint() {
            return Err(Refusal::OtherDevice);
        }
        if assignment.nonce != *expected.nonce {
            return Err(Refusal::OtherSession);
        }
        if assignment.gateway != expected.gateway {
            return Err(Refusal::OtherGateway(assignment.gateway));
        }
        match expected.last {
            Some(last) if assignment.n <= last => Err(Refusal::NotNewer { found: assignment.n, last }),
            _ => Ok(assignment),
        }
    }

    /// Opens one without asking who signed it: for those who only carry it, and for what was verified when it was stored.
    ///
    /// # Errors
    /// It is no Assignment.
    pub fn read_unverified(cose: &[u8]) -> Result<Self, Refusal> {
        read_unverified(cose)
    }
}

impl Payload for Assignment {
    const NAME: &'static str = "Assignment";
    const AAD: &'static [u8] = b"wasmbed/1 Assignment";

    fn check(&self) -> Result<(), Refusal> {
        for pair in self.entries.windows(2) {
            if pair[0].application == pair[1].application {
                return Err(Refusal::DuplicateApplication(pair[0].application.clone()));
            }
        }
        if !self.entries.is_sorted_by(|a, b| a.application < b.application) {
            return Err(Refusal::Content("an Assignment whose applications are not in the order of their names"));
        }
        Ok(())
    }
}
