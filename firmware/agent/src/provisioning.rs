//! What is put into a device once, before it ever connects.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use wasmbed_protocol::pairing::{Code, ParseCodeError};
use zeroize::Zeroize;

/// Longest encoded provisioning, in bytes.
pub const MAX_PROVISIONING: usize = 2_048;
/// Most gateway addresses.
pub const MAX_GATEWAYS: usize = 8;
/// Longest gateway address (`host:port`), in bytes.
pub const MAX_ADDRESS: usize = 200;
/// Longest fleet or device name, in bytes.
const MAX_NAME: usize = 253;
/// The layout below; another number is refused.
const VERSION: u8 = 1;

/// A device's identity, whom it trusts, and where it connects.
#[derive(Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// Ed25519 seed of the device's key: its identity. Never leaves the device.
    pub seed: [u8; 32],
    /// Ed25519 public key that signs the fleet's key sets.
    pub root: [u8; 32],
    /// Name of the fleet.
    pub fleet: String,
    /// Where gateways listen (`host:port`), tried in turn; at least one.
    pub gateways: Vec<String>,
    /// How an unknown device proves that it belongs to a declaration, once.
    pub pairing: Option<Pairing>,
}

/// A one-time code, and the declaration it was made for.
#[derive(Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Name of the declared Device.
    pub device: String,
    /// The one-time code.
    pub code: Code,
}

/// Provisioning that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisioningError {
    /// Not the CBOR map this program writes.
    #[error("provisioning is not readable ({0}): write it again with `wasmbed provision`")]
    Malformed(String),
    /// Written by another version.
    #[error(
        "provisioning has version {0}, this program reads version {VERSION}: write it again with `wasmbed provision`"
    )]
    Version(u8),
    /// The one-time code is not one.
    #[error("provisioning: {0}")]
    Code(ParseCodeError),
    /// A value is missing or out of its range.
    #[error("provisioning has no usable {field}: {problem}; write it again with `wasmbed provision`")]
    Unusable {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Provisioning {
    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Anything that is not exactly that, or holds a value out of its range.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProvisioningError> {
        if bytes.len() > MAX_PROVISIONING {
            return Err(unusable("length", "more than 2048 bytes"));
        }
        let wire: Wire = ciborium::de::from_reader_with_recursion_limit(bytes, 8)
            .map_err(|error| ProvisioningError::Malformed(error.to_string()))?;
        if wire.version != VERSION {
            return Err(ProvisioningError::Version(wire.version));
        }
        let pairing = match &wire.pairing {
            None => None,
            Some(pairing) => Some(Pairing {
                device: pairing.device.clone(),
                code: pairing.code.parse().map_err(ProvisioningError::Code)?,
            }),
        };
        let provisioning = Self {
            seed: fixed(&wire.seed).ok_or_else(|| unusable("seed", "it is 32 bytes long"))?,
            root: fixed(&wire.root).ok_or_else(|| unusable("root key", "it is 32 bytes long"))?,
            fleet: wire.fleet,
            gateways: wire.gateways,
            pairing,
        };
        provisioning.check()?;
        Ok(provisioning)
    }

    /// The bytes to put into the device: one CBOR map, at most [`MAX_PROVISIONING`] long.
    ///
    /// # Errors
    /// A value is out of its range.
    pub fn encode(&self) -> Result<Vec<u8>, ProvisioningError> {
        self.check()?;
        let wire = Wire {
            version: VERSION,
            seed: Bytes(self.seed.to_vec()),
            root: Bytes(self.root.to_vec()),
            fleet: self.fleet.clone(),
            gateways: self.gateways.clone(),
            pairing: self.pairing.as_ref().map(|pairing| WirePairing {
                device: pairing.device.clone(),
                code: String::clone(&pairing.code.to_text()),
            }),
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&wire, &mut bytes).map_err(|error| ProvisioningError::Malformed(error.to_string()))?;
        if bytes.len() > MAX_PROVISIONING {
            return Err(unusable("length", "more than 2048 bytes"));
        }
        Ok(bytes)
    }

    fn check(&self) -> Result<(), ProvisioningError> {
        if self.fleet.is_empty() || self.fleet.len() > MAX_NAME {
            return Err(unusable("fleet", "a name of 1 to 253 bytes is needed"));
        }
        if self.gateways.is_empty() || self.gateways.len() > MAX_GATEWAYS {
            return Err(unusable("gateways", "1 to 8 addresses are needed"));
        }
        for address in &self.gateways {
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
            if address.len() > MAX_ADDRESS || port.is_none() {
                return Err(unusable("gateway address", "host:port of at most 200 bytes is needed"));
            }
        }
        if self.pairing.as_ref().is_some_and(|pairing| pairing.device.is_empty() || pairing.device.len() > MAX_NAME) {
            return Err(unusable("pairing device", "a name of 1 to 253 bytes is needed"));
        }
        Ok(())
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Provisioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioning")
            .field("fleet", &self.fleet)
            .field("gateways", &self.gateways)
            .field("pairing", &self.pairing.as_ref().map(|pairing| &pairing.device))
            .finish_non_exhaustive()
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairing").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Drop for Provisioning {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u8,
    seed: Bytes,
    root: Bytes,
    fleet: String,
    gateways: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairing: Option<WirePairing>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePairing {
    device: String,
    code: String,
}

impl Drop for WirePairing {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// A CBOR byte string (serde's own `Vec<u8>` is an array of numbers).
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn fixed<const N: usize>(bytes: &Bytes) -> Option<[u8; N]> {
    bytes.0.as_slice().try_into().ok()
}

fn unusable(field: &'static str, problem: &'static str) -> ProvisioningError {
    ProvisioningError::Unusable { field, problem }
}
