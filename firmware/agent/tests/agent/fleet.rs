//! A fleet's keys, and what they sign.

use std::collections::BTreeMap;

use wasmbed_agent::Provisioning;
use wasmbed_protocol::signed::{
    Artifact, Capabilities, Configuration, Entry, Format, IoLimits, Limits, RestartPolicy, RunState,
};
use wasmbed_protocol::{
    Assignment, Credential, KeySet, ModuleDigest, Nonce, PublicKey, Release, ReleaseDigest, SigningKey,
};

pub const FLEET: &str = "example";
pub const GATEWAY: &str = "gateway-1";

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// The keys of one fleet; change one to have another fleet, or an attacker.
#[derive(Clone)]
pub struct Fleet {
    pub root: SigningKey,
    pub release: SigningKey,
    pub assignment: SigningKey,
    pub gateway_ca: SigningKey,
    /// What the gateway holds.
    pub gateway: SigningKey,
    pub epoch: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { root: key(1), release: key(2), assignment: key(3), gateway_ca: key(4), gateway: key(5), epoch: 7 }
    }
}

impl Fleet {
    pub fn provisioning(&self, device: &SigningKey) -> Provisioning {
        Provisioning {
            seed: *device.seed(),
            root: self.root.public().0,
            fleet: FLEET.into(),
            gateways: vec!["one:4433".into(), "two:4433".into()],
            pairing: None,
            address: None,
        }
    }

    pub fn keyset(&self) -> Vec<u8> {
        let keyset = KeySet {
            epoch: self.epoch,
            fleet: FLEET.into(),
            release: vec![self.release.public()],
            assignment: vec![self.assignment.public()],
            gateway_ca: self.gateway_ca.public(),
        };
        keyset.sign(&self.root).expect("a small KeySet")
    }

    pub fn credential(&self, tls_key: PublicKey) -> Vec<u8> {
        let credential = Credential { fleet: FLEET.into(), gateway: GATEWAY.into(), tls_key };
        credential.sign(&self.gateway_ca).expect("a small credential")
    }

    pub fn assignment(&self, device: PublicKey, nonce: Nonce, n: u64, entries: &[Entry]) -> Vec<u8> {
        let mut entries = entries.to_vec();
        entries.sort_by(|a, b| a.application.cmp(&b.application));
        let assignment =
            Assignment { fleet: FLEET.into(), device: device.thumbprint(), nonce, n, gateway: GATEWAY.into(), entries };
        assignment.sign(&self.assignment).expect("a small Assignment")
    }
}

/// A Release whose module's text says how it behaves (see `runtime`).
#[derive(Clone)]
pub struct Built {
    pub release: Release,
    pub module: Vec<u8>,
}

impl Built {
    pub fn new(application: &str, behaviour: &str) -> Self {
        Self::sized(application, behaviour, 3_000)
    }

    /// With a module of so many bytes.
    pub fn sized(application: &str, behaviour: &str, size: usize) -> Self {
        let mut module = format!("{behaviour}\n").into_bytes();
        let noise = module.clone();
        while module.len() < size {
            let next = noise[module.len() % noise.len()].wrapping_mul(31).wrapping_add((module.len() % 251) as u8);
            module.push(next);
        }
        let artifact = Artifact {
            platform: "wasm32".into(),
            format: Format::Wasm,
            digest: ModuleDigest::of(&module),
            size: module.len() as u32,
        };
        let release = Release {
            fleet: FLEET.into(),
            application: application.into(),
            artifacts: vec![artifact],
            config: Configuration { env: BTreeMap::from([("KEY".into(), "value".into())]), args: vec!["one".into()] },
            limits: Limits {
                memory: 65_536,
                cpu_ms_per_s: 500,
                io: IoLimits { log_bytes_per_s: 4_096, publish_per_s: 10, publish_bytes_per_s: 4_096 },
            },
            capabilities: Capabilities { publish: vec!["t/*".into()], gpio: vec![], adc: vec![], network: vec![] },
            restart: RestartPolicy { auto: true, max: 3 },
        };
        Self { release, module }
    }

    pub fn digest(&self) -> ReleaseDigest {
        self.release.digest().expect("a small Release")
    }

    pub fn entry(&self) -> Entry {
        Entry {
            application: self.release.application.clone(),
            release: self.digest(),
            state: RunState::Run,
            restart: 0,
        }
    }
}
