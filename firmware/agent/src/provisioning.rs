//! What is put into a device once, before it ever connects.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use wasmbed_protocol::DecodeError;
use wasmbed_protocol::cbor::{Reader, Writer};
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
    /// The address of a board that has a network without DHCP. Host devices, and boards on a UART link, need none.
    pub address: Option<StaticAddress>,
}

/// An IPv4 address that was given by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticAddress {
    /// The device's own address.
    pub address: [u8; 4],
    /// Bits of it that name its network, 1 to 30.
    pub prefix: u8,
    /// What leads to other networks.
    pub router: Option<[u8; 4]>,
    /// What resolves names; without one, gateways are named by their addresses.
    pub dns: Option<[u8; 4]>,
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
        let wire = Wire::read(bytes)?;
        let bytes = |field, bytes: Option<&[u8]>| {
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| unusable(field, "it is 32 bytes long"))
        };
        let pairing = match wire.pairing {
            None => None,
            Some((device, code)) => {
                Some(Pairing { device: device.into(), code: code.parse().map_err(ProvisioningError::Code)? })
            }
        };
        let provisioning = Self {
            seed: bytes("seed", wire.seed)?,
            root: bytes("root key", wire.root)?,
            fleet: wire.fleet.into(),
            gateways: wire.gateways,
            pairing,
            address: wire.address,
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
        let mut w = Writer::default();
        w.map(5 + usize::from(self.pairing.is_some()) + usize::from(self.address.is_some()));
        w.text("version");
        w.uint(VERSION.into());
        w.text("seed");
        w.bytes(&self.seed);
        w.text("root");
        w.bytes(&self.root);
        w.text("fleet");
        w.text(&self.fleet);
        w.text("gateways");
        w.array(self.gateways.len());
        self.gateways.iter().for_each(|gateway| w.text(gateway));
        if let Some(pairing) = &self.pairing {
            w.text("pairing");
            w.map(2);
            w.text("device");
            w.text(&pairing.device);
            w.text("code");
            w.text(&pairing.code.to_text());
        }
        if let Some(address) = &self.address {
            w.text("address");
            address.write(&mut w);
        }
        let mut bytes = w.into_bytes();
        if bytes.len() > MAX_PROVISIONING {
            bytes.zeroize();
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
        if self.address.is_some_and(|address| !(1..=30).contains(&address.prefix)) {
            return Err(unusable("address", "its prefix is 1 to 30"));
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
            .field("address", &self.address)
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

/// What the bytes say, before anything is made of it. No field is there twice, and none that is not known.
#[derive(Default)]
struct Wire<'a> {
    seed: Option<&'a [u8]>,
    root: Option<&'a [u8]>,
    fleet: &'a str,
    gateways: Vec<String>,
    pairing: Option<(&'a str, &'a str)>,
    address: Option<StaticAddress>,
}

impl<'a> Wire<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ProvisioningError> {
        let mut r = Reader::strict(bytes);
        let mut wire = Self::default();
        let mut version = None;
        let mut known = Fields::default();
        for _ in 0..r.map().map_err(malformed)?.len() {
            let name = r.text().map_err(malformed)?;
            let field = known.take(name, &["version", "seed", "root", "fleet", "gateways", "pairing", "address"])?;
            match field {
                0 => {
                    let number = u8::try_from(r.uint().map_err(malformed)?).unwrap_or(u8::MAX);
                    if number != VERSION {
                        return Err(ProvisioningError::Version(number));
                    }
                    version = Some(number);
                }
                1 => wire.seed = Some(r.bytes().map_err(malformed)?),
                2 => wire.root = Some(r.bytes().map_err(malformed)?),
                3 => wire.fleet = r.text().map_err(malformed)?,
                4 => {
                    for _ in 0..r.array().map_err(malformed)? {
                        wire.gateways.push(r.text().map_err(malformed)?.into());
                    }
                }
                5 => {
                    let mut known = Fields::default();
                    let (mut device, mut code) = ("", "");
                    for _ in 0..r.map().map_err(malformed)?.len() {
                        let name = r.text().map_err(malformed)?;
                        match known.take(name, &["device", "code"])? {
                            0 => device = r.text().map_err(malformed)?,
                            _ => code = r.text().map_err(malformed)?,
                        }
                    }
                    wire.pairing = Some((device, code));
                }
                _ => wire.address = Some(StaticAddress::read(&mut r)?),
            }
        }
        r.finish().map_err(malformed)?;
        match version {
            Some(_) => Ok(wire),
            None => Err(ProvisioningError::Malformed("the version is missing".into())),
        }
    }
}

impl StaticAddress {
    fn write(&self, w: &mut Writer) {
        w.map(2 + usize::from(self.router.is_some()) + usize::from(self.dns.is_some()));
        w.text("address");
        w.bytes(&self.address);
        w.text("prefix");
        w.uint(self.prefix.into());
        for (name, address) in [("router", &self.router), ("dns", &self.dns)] {
            if let Some(address) = address {
                w.text(name);
                w.bytes(address);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, ProvisioningError> {
        let (mut address, mut prefix, mut router, mut dns) = (None, 0, None, None);
        let mut known = Fields::default();
        for _ in 0..r.map().map_err(malformed)?.len() {
            let name = r.text().map_err(malformed)?;
            let field = known.take(name, &["prefix", "address", "router", "dns"])?;
            if field == 0 {
                prefix = u8::try_from(r.uint().map_err(malformed)?).unwrap_or_default();
                continue;
            }
            let bytes = r.bytes().map_err(malformed)?;
            let bytes = bytes.try_into().map_err(|_| unusable("address", "it is four bytes long"))?;
            match field {
                1 => address = Some(bytes),
                2 => router = Some(bytes),
                _ => dns = Some(bytes),
            }
        }
        let address = address.ok_or_else(|| unusable("address", "it is four bytes long"))?;
        Ok(Self { address, prefix, router, dns })
    }
}

/// The fields of a map that were there already.
#[derive(Default)]
struct Fields(u32);

impl Fields {
    /// The place of a name among those that are known; each is there once.
    fn take(&mut self, name: &str, names: &[&str]) -> Result<usize, ProvisioningError> {
        let place = names.iter().position(|known| *known == name);
        let place = place
            .ok_or_else(|| ProvisioningError::Malformed(format!("unknown field \"{}\"", name.escape_default())))?;
        if self.0 & 1 << place != 0 {
            return Err(ProvisioningError::Malformed(format!("field \"{name}\" is there twice")));
        }
        self.0 |= 1 << place;
        Ok(place)
    }
}

fn malformed(error: DecodeError) -> ProvisioningError {
    ProvisioningError::Malformed(error.to_string())
}

fn unusable(field: &'static str, problem: &'static str) -> ProvisioningError {
    ProvisioningError::Unusable { field, problem }
}
