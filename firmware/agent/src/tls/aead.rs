//! ChaCha20-Poly1305 for TLS 1.3 records.

use alloc::boxed::Box;

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit, Tag};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

const KEY: usize = 32;
const TAG: usize = 16;

/// The record protection of `TLS13_CHACHA20_POLY1305_SHA256`.
pub(super) struct ChaCha20Poly1305Aead;

impl Tls13AeadAlgorithm for ChaCha20Poly1305Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(RecordCipher::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(RecordCipher::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        KEY
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv })
    }
}

struct RecordCipher {
    cipher: ChaCha20Poly1305,
    iv: Iv,
}

impl RecordCipher {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        let cipher = ChaCha20Poly1305::new_from_slice(key.as_ref()).expect("rustls asked key_len for the length");
        Self { cipher, iv }
    }
}

impl MessageEncrypter for RecordCipher {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, seq);
        let tag = self
            .cipher
            .encrypt_in_place_detached((&nonce.0).into(), &make_tls13_aad(length), payload.as_mut())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // RFC 8446, section 5.2: what is really inside is hidden behind these two.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, payload: usize) -> usize {
        payload + 1 + TAG
    }
}

impl MessageDecrypter for RecordCipher {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let length = message.payload.len();
        let Some(body) = length.checked_sub(TAG) else {
            return Err(Error::DecryptError);
        };
        let (text, tag) = message.payload.split_at_mut(body);
        let tag = Tag::clone_from_slice(tag);
        let nonce = Nonce::new(&self.iv, seq);
        self.cipher
            .decrypt_in_place_detached((&nonce.0).into(), &make_tls13_aad(length), text, &tag)
            .map_err(|_| Error::DecryptError)?;
        message.payload.truncate(body);
        message.into_tls13_unpadded_message()
    }
}
