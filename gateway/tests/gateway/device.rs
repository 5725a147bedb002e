//! A device for tests: a TLS client with a raw public key that speaks frames.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, KeyLog, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmbed_protocol::message::{DeviceMessage, GatewayMessage, Hello, Introduction, Welcome};
use wasmbed_protocol::pairing::{EXPORTER_LABEL, exporter_from_secret};
use wasmbed_protocol::{ALPN, FrameDecoder, Nonce, PublicKey, SigningKey, spki};

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Device {
    stream: TlsStream<TcpStream>,
    decoder: FrameDecoder,
    unread: Vec<u8>,
    secret: Arc<ExporterSecret>,
}

/// How a device connects; the fields that tests get wrong.
pub(crate) struct Connector {
    pub(crate) shown: PublicKey,
    pub(crate) proves: SigningKey,
    pub(crate) alpn: Vec<u8>,
}

impl Connector {
    pub(crate) fn new(key: &SigningKey) -> Self {
        Self { shown: key.public(), proves: key.clone(), alpn: ALPN.to_vec() }
    }

    pub(crate) async fn connect(self, address: &str) -> std::io::Result<Device> {
        let pkcs8 = spki::pkcs8(&self.proves.seed());
        let signing = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).unwrap();
        let shown = CertificateDer::from(spki::encode(&self.shown).to_vec());
        let certified = Arc::new(CertifiedKey::new(vec![shown], signing));
        self.connect_as(address, Some(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)))).await
    }

    pub(crate) async fn connect_without_key(self, address: &str) -> std::io::Result<Device> {
        self.connect_as(address, None).await
    }

    async fn connect_as(
        self,
        address: &str,
        key: Option<Arc<AlwaysResolvesClientRawPublicKeys>>,
    ) -> std::io::Result<Device> {
        // As a board: no hash but SHA-256.
        let cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
        let provider = Arc::new(CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() });
        let secret = Arc::new(ExporterSecret::default());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServerKey));
        let mut config = match key {
            Some(key) => config.with_client_cert_resolver(key),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![self.alpn];
        config.key_log = secret.clone();
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from("gateway").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Device { stream, decoder: FrameDecoder::new(), unread: Vec::new(), secret })
    }
}

impl Device {
    /// Connects and reads the gateway's introduction.
    pub(crate) async fn connect(address: &str, key: &SigningKey) -> (Self, Introduction) {
        let mut device = Connector::new(key).connect(address).await.unwrap();
        match device.receive().await {
            Some(GatewayMessage::Introduction(introduction)) => (device, introduction),
            other => panic!("the gateway did not introduce itself but said {other:?}"),
        }
    }

    /// Connects and says Hello.
    pub(crate) async fn hello(address: &str, key: &SigningKey, hello: Hello) -> Self {
        let (mut device, _) = Self::connect(address, key).await;
        device.send(hello).await;
        device
    }

    /// Connects as a known device.
    pub(crate) async fn join(address: &str, key: &SigningKey) -> (Self, Welcome) {
        let mut device = Self::hello(address, key, hello()).await;
        let welcome = device.welcome().await;
        (device, welcome)
    }

    pub(crate) async fn send(&mut self, message: impl Into<DeviceMessage>) {
        self.send_bytes(&message.into().to_frame().unwrap()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message; `None` when the gateway has closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<GatewayMessage> {
        let received = tokio::time::timeout(PATIENCE, async {
            loop {
                let mut input = self.unread.as_slice();
                let frame = self.decoder.next(&mut input).unwrap();
                self.unread = input.to_vec();
                if let Some(frame) = frame {
                    return Some(GatewayMessage::decode(&frame).unwrap());
                }
                let mut buffer = vec![0; 4096];
                match self.stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                }
            }
        });
        received.await.expect("the gateway says something or closes")
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        match self.receive().await {
            Some(GatewayMessage::Welcome(welcome)) => welcome,
            other => panic!("no Welcome but {other:?}"),
        }
    }

    /// Waits until the gateway closes the connection; gives what it said before.
    pub(crate) async fn closed(&mut self) -> Vec<GatewayMessage> {
        let mut said = Vec::new();
        while let Some(message) = self.receive().await {
            said.push(message);
        }
        said
    }

    /// The key that the gateway proved.
    pub(crate) fn gateway_key(&self) -> PublicKey {
        spki::decode(&self.stream.get_ref().1.peer_certificates().unwrap()[0]).unwrap()
    }

    /// The exporter value that a pairing proof covers, as TLS gives it.
    pub(crate) fn exporter(&self) -> [u8; 32] {
        self.stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None).unwrap()
    }

    /// The same computed from the secret that a `KeyLog` is told, as a device without an exporter must.
    pub(crate) fn exporter_from_key_log(&self) -> Option<[u8; 32]> {
        exporter_from_secret(&self.secret.0.lock().unwrap())
    }
}

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: vec![1],
        board: "Host".into(),
        memory: 1 << 20,
        features: vec!["wasm32".into()],
        nonce: Nonce([7; 16]),
        running: vec![],
        pairing: None,
    }
}

#[derive(Debug, Default)]
struct ExporterSecret(Mutex<Vec<u8>>);

impl KeyLog for ExporterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "EXPORTER_SECRET" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

/// A device records the gateway's key and judges it by the introduction.
#[derive(Debug)]
struct AnyServerKey;

impl ServerCertVerifier for AnyServerKey {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("only TLS 1.3 is offered")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
