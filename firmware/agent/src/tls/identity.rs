//! The device's key as rustls uses it, and the configuration every connection shares.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, Error, SignatureAlgorithm, SignatureScheme};
use wasmbed_protocol::limits::TLS_MAX_FRAGMENT;
use wasmbed_protocol::{ALPN, spki};

use super::entropy::Entropy;
use super::exporter::Exporter;
use super::provider::provider;
use super::verifier::AnyRawKey;

/// One device's way of speaking TLS. Connections are made from it, one at a time.
#[derive(Debug)]
pub(crate) struct TlsIdentity {
    pub(super) config: Arc<ClientConfig>,
    pub(super) exporter: Arc<Exporter>,
}

impl TlsIdentity {
    pub(crate) fn new(key: &wasmbed_protocol::SigningKey, entropy: Entropy) -> Self {
        let exporter = Arc::new(Exporter::default());
        let spki = CertificateDer::from(spki::encode(&key.public()).to_vec());
        let key = Arc::new(CertifiedKey::new(vec![spki], Arc::new(DeviceKey(key.clone()))));
        let mut config = ClientConfig::builder_with_details(Arc::new(provider(entropy)), Arc::new(NoClock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has a TLS 1.3 suite and a key exchange for it")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyRawKey))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.key_log = exporter.clone();
        config.max_fragment_size = Some(TLS_MAX_FRAGMENT);
        // Every session proves both keys anew.
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config), exporter }
    }
}

/// Raw keys do not expire, so no decision here needs a clock; rustls asks for one all the same.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

#[derive(Debug, Clone)]
struct DeviceKey(wasmbed_protocol::SigningKey);

impl SigningKey for DeviceKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(spki::encode(&self.0.public()).to_vec()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
