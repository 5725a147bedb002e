//! Who this gateway is: its TLS key and credential, and the KeySet it shows to devices.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use rustls::ServerConfig;
use wasmbed_api::labels::{KEYSET, KEYSET_ENTRY};
use wasmbed_keys::{CREDENTIAL_ENTRY, SecretPlace, TLS_SEED_ENTRY as SEED_ENTRY};
use wasmbed_protocol::message::{GatewayMessage, Introduction};
use wasmbed_protocol::{Credential, KeySet, Refusal, SigningKey};
use zeroize::Zeroizing;

use crate::tls;

/// What new sessions are begun with.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) introduction: GatewayMessage,
    /// The KeySet that it shows.
    pub(crate) keyset: Arc<KeySet>,
}

/// Why this gateway cannot introduce itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{what} is missing; `wasmbed keys publish` writes it, and `wasmbed up` makes it by itself")]
    Missing { what: String },
    #[error("{what} is no 32-byte seed")]
    Seed { what: String },
    #[error("{what}: {refusal}")]
    Refused { what: String, refusal: Refusal },
    #[error("{what} is for the gateway {found:?}")]
    OtherGateway { what: String, found: String },
    #[error("TLS cannot use the key in {what}: {error}")]
    Tls { what: String, error: String },
}

/// Puts an identity together from what the API holds, and holds it to the rules devices will hold it to.
///
/// Only the root's signature on the KeySet is left to them: this process does not know the root key.
pub(crate) fn identity(
    gateway: &str,
    secret_place: &SecretPlace,
    secret: Option<&Secret>,
    keyset: Option<&ConfigMap>,
) -> Result<Identity, IdentityError> {
    let place = |entry: &str| format!("{entry} of Secret {secret_place}");
    let data = |entry: &str| {
        let data = secret.and_then(|secret| secret.data.as_ref()).and_then(|data| data.get(entry));
        data.map(|bytes| bytes.0.as_slice()).ok_or_else(|| IdentityError::Missing { what: place(entry) })
    };
    let seed = <[u8; 32]>::try_from(data(SEED_ENTRY)?)
        .map(Zeroizing::new)
        .map_err(|_| IdentityError::Seed { what: place(SEED_ENTRY) })?;
    let credential = data(CREDENTIAL_ENTRY)?.to_vec();

    let keyset_place = format!("{KEYSET_ENTRY} of ConfigMap {KEYSET}");
    let keyset_cose = keyset
        .and_then(|map| map.binary_data.as_ref())
        .and_then(|data| data.get(KEYSET_ENTRY))
        .map(|bytes| bytes.0.clone())
        .ok_or_else(|| IdentityError::Missing { what: keyset_place.clone() })?;
    let keyset = KeySet::read_unverified(&keyset_cose)
        .map_err(|refusal| IdentityError::Refused { what: keyset_place, refusal })?;

    let key = SigningKey::from_seed(&seed);
    let verified = Credential::verify(&credential, &keyset, &key.public())
        .map_err(|refusal| IdentityError::Refused { what: place(CREDENTIAL_ENTRY), refusal })?;
    if verified.gateway != gateway {
        return Err(IdentityError::OtherGateway { what: place(CREDENTIAL_ENTRY), found: verified.gateway });
    }
    let tls = tls::server_config(&key)
        .map_err(|error| IdentityError::Tls { what: place(SEED_ENTRY), error: error.to_string() })?;
    let introduction = Introduction { keyset: keyset_cose, credential };
    Ok(Identity { tls: Arc::new(tls), introduction: introduction.into(), keyset: Arc::new(keyset) })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn key(number: u8) -> SigningKey {
        SigningKey::from_seed(&[number; 32])
    }

    fn secret(credential: &Credential, ca: &SigningKey) -> Secret {
        let credential = credential.sign(ca).expect("it is short");
        let data = [(SEED_ENTRY, vec![1; 32]), (CREDENTIAL_ENTRY, credential)];
        let data = data.into_iter().map(|(entry, bytes)| (entry.to_owned(), ByteString(bytes))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    fn at() -> SecretPlace {
        SecretPlace { namespace: "fleet".into(), name: "gateway-gateway-1".into() }
    }

    fn keyset() -> ConfigMap {
        let keyset = KeySet {
            epoch: 1,
            fleet: "example".into(),
            release: vec![],
            assignment: vec![],
            gateway_ca: key(2).public(),
        };
        let cose = keyset.sign(&key(3)).expect("it is short");
        let data = [(KEYSET_ENTRY.to_owned(), ByteString(cose))].into();
        ConfigMap { binary_data: Some(data), ..ConfigMap::default() }
    }

    fn credential() -> Credential {
        Credential { fleet: "example".into(), gateway: "gateway-1".into(), tls_key: key(1).public() }
    }

    #[test]
    fn a_gateway_with_key_credential_and_keyset_can_introduce_itself() {
        let identity = identity("gateway-1", &at(), Some(&secret(&credential(), &key(2))), Some(&keyset()));
        assert!(identity.is_ok(), "{identity:?}");
    }

    #[test]
    fn what_devices_would_refuse_is_found_before_they_do() {
        let keyset = keyset();
        let check = |secret: &Secret| {
            identity("gateway-1", &at(), Some(secret), Some(&keyset)).map(|_| ()).expect_err("it is to be refused")
        };
        let other_ca = check(&secret(&credential(), &key(9)));
        assert!(matches!(other_ca, IdentityError::Refused { refusal: Refusal::Signature(_), .. }));
        let other_key = Credential { tls_key: key(8).public(), ..credential() };
        let other_key = check(&secret(&other_key, &key(2)));
        assert!(matches!(other_key, IdentityError::Refused { refusal: Refusal::OtherTlsKey, .. }));
        let other_name = Credential { gateway: "gateway-2".into(), ..credential() };
        assert!(matches!(check(&secret(&other_name, &key(2))), IdentityError::OtherGateway { .. }));
        assert!(matches!(check(&Secret::default()), IdentityError::Missing { .. }));
    }

    #[test]
    fn an_error_says_what_is_missing_where_and_what_makes_it() {
        let error = identity("gateway-1", &at(), None, None).map(|_| ()).expect_err("nothing is there").to_string();
        assert_eq!(
            error,
            "tls.seed of Secret fleet/gateway-gateway-1 is missing; `wasmbed keys publish` writes it, and `wasmbed up` makes it by itself"
        );
    }
}
