//! TLS 1.3 with raw public keys (RFC 7250) on both sides. Which keys are whose is not decided here.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    ServerConnection, SignatureScheme,
};
use wasmbed_protocol::limits::TLS_MAX_FRAGMENT;
use wasmbed_protocol::{ALPN, PublicKey, SigningKey, spki};

/// How a gateway with this key shakes hands.
pub(crate) fn server_config(key: &SigningKey) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pkcs8 = spki::pkcs8(&key.seed());
    let signing = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()))?;
    let public = CertificateDer::from(spki::encode(&key.public()).to_vec());
    let certified = Arc::new(CertifiedKey::new(vec![public], signing));
    let verifier = AnyRawKey { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_fragment_size = Some(TLS_MAX_FRAGMENT);
    // Every session proves both keys anew; nothing is kept between sessions.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The key a device proved in the handshake, if it also asked for our protocol.
pub(crate) fn device_key(connection: &ServerConnection) -> Result<PublicKey, &'static str> {
    if connection.alpn_protocol() != Some(ALPN) {
        return Err("the client did not ask for the protocol wasmbed/1");
    }
    let key = connection.peer_certificates().and_then(|certificates| certificates.first());
    key.and_then(|key| spki::decode(key)).ok_or("the client showed no Ed25519 key")
}

/// Accepts whoever proves a well-formed Ed25519 key; the session decides what the key is good for.
#[derive(Debug)]
struct AnyRawKey {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyRawKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match spki::decode(end_entity) {
            Some(key) if key.is_usable() && intermediates.is_empty() => Ok(ClientCertVerified::assertion()),
            _ => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
