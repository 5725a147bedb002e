//! A gateway: a real rustls server in memory, which signs with real keys.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, ServerConnection, SignatureScheme};
use wasmbed_protocol::limits::TLS_MAX_FRAGMENT;
use wasmbed_protocol::message::{Chunk, HeartbeatAck, Introduction, SignedAssignment, SignedRelease, Welcome};
use wasmbed_protocol::signed::Entry;
use wasmbed_protocol::{ALPN, DeviceMessage, FrameDecoder, GatewayMessage, Nonce, PublicKey, SigningKey, spki};

use crate::fleet::{Built, Fleet};

/// Changes what a gateway is about to answer.
pub type Tamper = Box<dyn FnMut(&DeviceMessage, &mut Vec<GatewayMessage>)>;

/// What gateways of a test say and know, over all their connections.
pub struct Plan {
    pub fleet: Fleet,
    pub device: PublicKey,
    pub known: bool,
    pub heartbeat_ms: u32,
    pub entries: Vec<Entry>,
    pub releases: BTreeMap<[u8; 32], Vec<u8>>,
    pub modules: BTreeMap<[u8; 32], Vec<u8>>,
    pub n: u64,
    pub tamper: Option<Tamper>,
    /// Replaces the introduction.
    pub introduction: Option<Introduction>,
    /// Everything devices said.
    pub heard: Vec<DeviceMessage>,
    /// Bytes of modules that were asked for.
    pub fetched: usize,
    /// Every Assignment ever signed.
    pub signed: Vec<Vec<u8>>,
}

impl Plan {
    pub fn new(fleet: Fleet, device: PublicKey) -> Self {
        Self {
            fleet,
            device,
            known: true,
            heartbeat_ms: 10_000,
            entries: Vec::new(),
            releases: BTreeMap::new(),
            modules: BTreeMap::new(),
            n: 0,
            tamper: None,
            introduction: None,
            heard: Vec::new(),
            fetched: 0,
            signed: Vec::new(),
        }
    }

    /// Makes a Release known, without assigning it.
    pub fn publish(&mut self, built: &Built) {
        let cose = built.release.sign(&self.fleet.release).expect("a small Release");
        self.releases.insert(built.digest().0, cose);
        self.modules.insert(wasmbed_protocol::ModuleDigest::of(&built.module).0, built.module.clone());
    }

    /// The Releases and the Assignment, as a gateway sends them.
    pub fn assignment(&mut self, nonce: Nonce) -> Vec<GatewayMessage> {
        self.n += 1;
        let mut messages: Vec<GatewayMessage> = self
            .entries
            .iter()
            .filter_map(|entry| self.releases.get(&entry.release.0))
            .map(|cose| SignedRelease { cose: cose.clone() }.into())
            .collect();
        let cose = self.fleet.assignment(self.device, nonce, self.n, &self.entries);
        self.signed.push(cose.clone());
        messages.push(SignedAssignment { cose }.into());
        messages
    }

    fn answer(&mut self, message: &DeviceMessage) -> Vec<GatewayMessage> {
        let mut answers = match message {
            DeviceMessage::Hello(hello) if self.known => {
                let welcome = Welcome {
                    version: 1,
                    name: "device-1".into(),
                    heartbeat_ms: self.heartbeat_ms,
                    time_ms: 1_700_000_000_000,
                };
                let mut answers = vec![welcome.into()];
                answers.extend(self.assignment(hello.nonce));
                answers
            }
            DeviceMessage::Heartbeat(_) => vec![HeartbeatAck { time_ms: 1_700_000_000_000 }.into()],
            DeviceMessage::Fetch(fetch) => {
                let module = self.modules.get(&fetch.digest.0).cloned().unwrap_or_default();
                let (start, length) = (fetch.offset as usize, fetch.length as usize);
                let bytes = module.get(start..(start + length).min(module.len())).unwrap_or_default().to_vec();
                self.fetched += bytes.len();
                vec![Chunk { digest: fetch.digest, offset: fetch.offset, bytes }.into()]
            }
            _ => Vec::new(),
        };
        if let Some(tamper) = &mut self.tamper {
            tamper(message, &mut answers);
        }
        answers
    }
}

/// One connection of a device to a gateway.
pub struct Gateway {
    pub tls: ServerConnection,
    frames: FrameDecoder,
    introduced: bool,
    pub nonce: Option<Nonce>,
    /// Whether TLS or the stream failed.
    pub broken: Option<String>,
}

impl Gateway {
    pub fn new(fleet: &Fleet) -> Self {
        Self::with_config(config(&fleet.gateway, &fleet.gateway))
    }

    pub fn with_config(config: ServerConfig) -> Self {
        Self {
            tls: ServerConnection::new(Arc::new(config)).expect("a valid configuration"),
            frames: FrameDecoder::new(),
            introduced: false,
            nonce: None,
            broken: None,
        }
    }

    /// Takes in bytes of the device and answers what it says.
    pub fn receive(&mut self, mut bytes: &[u8], plan: &mut Plan) {
        while !bytes.is_empty() && self.broken.is_none() {
            self.tls.read_tls(&mut bytes).expect("reading from memory");
            match self.tls.process_new_packets() {
                Ok(_) => self.plaintext(plan),
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
    }

    /// Bytes for the device.
    pub fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out).expect("writing to memory");
        }
        out
    }

    pub fn say(&mut self, message: &GatewayMessage) {
        self.say_raw(&message.to_frame().expect("a message that fits"));
    }

    pub fn say_raw(&mut self, frame: &[u8]) {
        self.tls.writer().write_all(frame).expect("writing to memory");
    }

    fn plaintext(&mut self, plan: &mut Plan) {
        if !self.introduced && !self.tls.is_handshaking() {
            self.introduced = true;
            let introduction = plan.introduction.clone().unwrap_or_else(|| Introduction {
                keyset: plan.fleet.keyset(),
                credential: plan.fleet.credential(plan.fleet.gateway.public()),
            });
            self.say(&introduction.into());
        }
        let mut plaintext = Vec::new();
        // The end of the stream is an error to a reader; what came before it is here all the same.
        let _ = self.tls.reader().read_to_end(&mut plaintext);
        let mut rest = plaintext.as_slice();
        while let Some(frame) = self.frames.next(&mut rest).expect("a device sends good frames") {
            let message = DeviceMessage::decode(&frame).expect("a device sends good messages");
            if let DeviceMessage::Hello(hello) = &message {
                self.nonce = Some(hello.nonce);
            }
            let answers = plan.answer(&message);
            plan.heard.push(message);
            for answer in answers {
                self.say(&answer);
            }
        }
    }
}

/// A server that presents the raw key of `presented` and signs with `signer`.
pub fn config(presented: &SigningKey, signer: &SigningKey) -> ServerConfig {
    config_of(vec![presented.public()], signer)
}

/// A server that presents any number of raw keys.
pub fn config_of(presented: Vec<PublicKey>, signer: &SigningKey) -> ServerConfig {
    let pkcs8 = spki::pkcs8(&signer.seed());
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    let signing = aws_lc_rs::sign::any_eddsa_type(&match private {
        PrivateKeyDer::Pkcs8(key) => key,
        _ => unreachable!("it was made as PKCS#8"),
    })
    .expect("an Ed25519 key");
    let public = presented.iter().map(|key| CertificateDer::from(spki::encode(key).to_vec())).collect();
    let certified = CertifiedKey::new(public, signing);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(Arc::new(AnyClient {
            algorithms: provider().signature_verification_algorithms,
            refuses: false,
        }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(certified))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_fragment_size = Some(TLS_MAX_FRAGMENT);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A server that lets no device in.
pub fn config_that_refuses(key: &SigningKey) -> ServerConfig {
    let config = config(key, key);
    let refuse = Arc::new(AnyClient { algorithms: provider().signature_verification_algorithms, refuses: true });
    let mut refusing = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(refuse)
        .with_cert_resolver(config.cert_resolver.clone());
    refusing.alpn_protocols = config.alpn_protocols;
    refusing
}

/// Takes any device that proves its key, as gateways do: who it is comes after.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
    refuses: bool,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.refuses { Err(Error::General("no".into())) } else { Ok(ClientCertVerified::assertion()) }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(cert.as_ref()),
            dss,
            &self.algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
