//! One TLS connection: bytes of the network in, plaintext out, and back.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use wasmbed_protocol::limits::TLS_MAX_FRAGMENT;
use wasmbed_protocol::pairing::EXPORTER_LENGTH;
use wasmbed_protocol::{PublicKey, spki};

use super::exporter::Exporter;
use super::identity::TlsIdentity;
use super::reason::reason;

/// Most bytes held of what came but cannot be taken yet: three records of the largest size a gateway sends.
const MAX_INCOMING: usize = 3 * (TLS_MAX_FRAGMENT + 256);

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    /// The peer broke TLS, could not prove its key, or refused ours.
    #[error("TLS: {0}")]
    Refused(String),
    /// The peer sends records larger than the protocol allows.
    #[error("TLS: the gateway sent a record larger than {MAX_INCOMING} bytes")]
    TooLarge,
    /// The other end said goodbye.
    #[error("the gateway closed the session")]
    Closed,
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Refused(reason(&error).into_owned())
    }
}

/// A client's end of one connection, over rustls' unbuffered interface: no buffer but these.
pub(crate) struct TlsConnection {
    connection: UnbufferedClientConnection,
    exporter: Arc<Exporter>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    plaintext: Vec<u8>,
    established: bool,
    ended: Option<TlsError>,
}

impl TlsConnection {
    /// A connection whose first flight is in [`take_outgoing`](Self::take_outgoing).
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn open(identity: &TlsIdentity) -> Result<Self, TlsError> {
        identity.exporter.clear();
        let name = ServerName::try_from("gateway").expect("a valid name, which is never sent");
        let mut connection = Self {
            connection: UnbufferedClientConnection::new(identity.config.clone(), name)?,
            exporter: identity.exporter.clone(),
            // At once and for good: what grows leaves holes in a small heap.
            incoming: Vec::with_capacity(MAX_INCOMING),
            outgoing: Vec::new(),
            plaintext: Vec::new(),
            established: false,
            ended: None,
        };
        connection.advance();
        Ok(connection)
    }

    /// Takes in what the network brought. After an error there may still be an alert in
    /// [`take_outgoing`](Self::take_outgoing), and plaintext that came before the error.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) -> Result<(), TlsError> {
        while self.ended.is_none() && !bytes.is_empty() {
            let room = MAX_INCOMING - self.incoming.len();
            if room == 0 {
                self.ended = Some(TlsError::TooLarge);
                break;
            }
            let (taken, rest) = bytes.split_at(room.min(bytes.len()));
            self.incoming.extend_from_slice(taken);
            bytes = rest;
            self.advance();
        }
        self.ended.clone().map_or(Ok(()), Err)
    }

    /// Encrypts `plaintext` for the gateway.
    ///
    /// # Errors
    /// The handshake is not done, or the connection is over.
    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let outgoing = &mut self.outgoing;
        let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
        let result = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => grow(outgoing, |room| {
                traffic.encrypt(plaintext, room).map_err(|error| match error {
                    EncryptError::InsufficientSize(needed) => Short::Needs(needed.required_size),
                    EncryptError::EncryptExhausted => Short::Failed("the keys of this session are used up"),
                })
            }),
            Ok(_) => Err(TlsError::Refused("the handshake is not done".into())),
            Err(error) => Err(error.into()),
        };
        self.incoming.drain(..discard);
        result
    }

    /// Says goodbye; [`take_outgoing`](Self::take_outgoing) has the words.
    pub(crate) fn close(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let outgoing = &mut self.outgoing;
        let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            // A goodbye that cannot be said changes nothing: the connection ends either way.
            let _ = grow(outgoing, |room| {
                traffic.queue_close_notify(room).map_err(|error| match error {
                    EncryptError::InsufficientSize(needed) => Short::Needs(needed.required_size),
                    EncryptError::EncryptExhausted => Short::Failed("the keys of this session are used up"),
                })
            });
        }
        self.incoming.drain(..discard);
        self.ended = Some(TlsError::Closed);
    }

    /// The next bytes for the network, at most `most`; each comes out once.
    pub(crate) fn take_outgoing(&mut self, most: usize) -> Vec<u8> {
        if self.outgoing.len() <= most {
            return mem::take(&mut self.outgoing);
        }
        let rest = self.outgoing.split_off(most);
        mem::replace(&mut self.outgoing, rest)
    }

    /// Whether there are bytes for the network.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What the gateway said, decrypted.
    pub(crate) fn take_plaintext(&mut self) -> Vec<u8> {
        mem::take(&mut self.plaintext)
    }

    /// Whether our side of the handshake is done. The gateway may still refuse our key; the first plaintext from it
    /// says that it did not.
    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    /// The key that the gateway proved to hold.
    pub(crate) fn server_key(&self) -> Option<PublicKey> {
        let [key] = self.connection.peer_certificates()? else {
            return None;
        };
        spki::decode(key)
    }

    /// Whether both ends agreed to speak this protocol.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Keying material of this session for a pairing proof, once the handshake is done.
    pub(crate) fn pairing_exporter(&self) -> Option<[u8; EXPORTER_LENGTH]> {
        self.exporter.pairing()
    }

    fn advance(&mut self) {
        while self.ended.is_none() && self.step() {}
        if self.ended.is_some() {
            self.encode_alert();
        }
    }

    /// One state of rustls' machine; whether there may be another one now.
    fn step(&mut self) -> bool {
        let (outgoing, plaintext) = (&mut self.outgoing, &mut self.plaintext);
        let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
        let mut ended = None;
        let more = match state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                ended = grow(outgoing, |room| data.encode(room).map_err(short)).err();
                true
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // They are in `outgoing`, which goes out whole and in order.
                data.done();
                true
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plaintext.reserve_exact(record.payload.len());
                            plaintext.extend_from_slice(record.payload);
                        }
                        Err(error) => ended = Some(error.into()),
                    }
                }
                true
            }
            Ok(ConnectionState::WriteTraffic(_)) => {
                self.established = true;
                false
            }
            Ok(ConnectionState::BlockedHandshake) => false,
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                ended = Some(TlsError::Closed);
                false
            }
            Ok(_) => {
                ended = Some(TlsError::Refused("early data, which was not offered".into()));
                false
            }
            Err(error) => {
                ended = Some(error.into());
                false
            }
        };
        self.incoming.drain(..discard);
        if self.ended.is_none() {
            self.ended = ended;
        }
        more
    }

    /// After an error rustls may hold an alert. It is asked with the very buffer that the last discard left: another
    /// one does not fit its idea of where it stopped, and it panics.
    fn encode_alert(&mut self) {
        let outgoing = &mut self.outgoing;
        let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = state {
            // An alert that cannot be encoded changes nothing: the connection ends either way.
            let _ = grow(outgoing, |room| data.encode(room).map_err(short));
        }
        self.incoming.drain(..discard);
    }
}

impl core::fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TlsConnection")
            .field("established", &self.established)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

enum Short {
    Needs(usize),
    Failed(&'static str),
}

fn short(error: EncodeError) -> Short {
    match error {
        EncodeError::InsufficientSize(needed) => Short::Needs(needed.required_size),
        EncodeError::AlreadyEncoded => Short::Failed("encoded twice"),
    }
}

/// Appends to `buffer` what `write` puts into a slice that is large enough, which it says if it is not.
fn grow(buffer: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, Short>) -> Result<(), TlsError> {
    let start = buffer.len();
    let mut room = 0;
    loop {
        buffer.resize(start + room, 0);
        match write(&mut buffer[start..]) {
            Ok(written) => {
                buffer.truncate(start + written);
                return Ok(());
            }
            Err(Short::Needs(needed)) if needed > room => room = needed,
            Err(Short::Needs(_)) => {
                buffer.truncate(start);
                return Err(TlsError::Refused("rustls needs no more room than it has".into()));
            }
            Err(Short::Failed(problem)) => {
                buffer.truncate(start);
                return Err(TlsError::Refused(problem.into()));
            }
        }
    }
}
