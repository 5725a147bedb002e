//! Where the keys of a fleet lie on a cluster.

use std::fmt;

/// The entry of a release or assignment key's Secret with its 32-byte Ed25519 seed.
pub const SEED_ENTRY: &str = "seed";
/// The entry of a gateway's Secret with the 32-byte seed of its TLS key.
pub const TLS_SEED_ENTRY: &str = "tls.seed";
/// The entry of a gateway's Secret with its credential.
pub const CREDENTIAL_ENTRY: &str = "credential.cose";

/// On what `wasmbed keys publish` writes: the namespace of the fleet it is for. Names alone may say two things
/// (`wasmbed-a-gateway-b-release`), so that nothing is written over what bears another fleet's.
pub const TENANT_LABEL: &str = "wasmbed.github.io/tenant";

/// A Secret, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretPlace {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Name of the Secret in the system namespace with the release key of the fleet in `namespace`.
#[must_use]
pub fn release_secret(namespace: &str) -> String {
    format!("wasmbed-{namespace}-release")
}

/// Name of the Secret in the system namespace with the assignment key of the fleet in `namespace`.
#[must_use]
pub fn assignment_secret(namespace: &str) -> String {
    format!("wasmbed-{namespace}-assignment")
}

/// Name of the Secret in the system namespace with the identity of a gateway of the fleet in `namespace`.
#[must_use]
pub fn gateway_secret(namespace: &str, gateway: &str) -> String {
    format!("wasmbed-{namespace}-gateway-{gateway}")
}
