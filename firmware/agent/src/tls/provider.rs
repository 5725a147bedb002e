//! The provider handed to rustls.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, Error, SupportedCipherSuite, Tls13CipherSuite};

use super::aead::ChaCha20Poly1305Aead;
use super::entropy::{Entropy, Random};
use super::hash::{Sha256Hash, Sha256Hmac};
use super::key_exchange::X25519;

static TLS13_CHACHA20_POLY1305_SHA256: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        hash_provider: &Sha256Hash,
        confidentiality_limit: u64::MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&Sha256Hmac),
    aead_alg: &ChaCha20Poly1305Aead,
    quic: None,
};

/// The algorithms of a device. Always passed explicitly, never installed as the process' default.
pub(super) fn provider(entropy: Entropy) -> CryptoProvider {
    let random = Random::leak(entropy);
    CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(&TLS13_CHACHA20_POLY1305_SHA256)],
        kx_groups: vec![Box::leak(Box::new(X25519(random)))],
        // Certificates are not spoken here; raw keys are checked by the verifier.
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        secure_random: random,
        key_provider: &NoKeyFiles,
    }
}

/// A device's key comes from its provisioning, not from DER.
#[derive(Debug)]
struct NoKeyFiles;

impl KeyProvider for NoKeyFiles {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("a device's key is not loaded from DER".into()))
    }
}
