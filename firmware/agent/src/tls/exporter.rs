//! Keying material bound to one session (RFC 8446, section 7.5), for pairing.
//!
//! rustls' unbuffered connection has no exporter, but it tells the exporter secret to the key log, from which the
//! same material follows. A gateway calls `export_keying_material` and gets equal bytes.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustls::KeyLog;
use wasmbed_protocol::pairing;
use zeroize::Zeroizing;

const LABEL: &str = "EXPORTER_SECRET";
const WORDS: usize = 8;

/// The exporter secret of the current session, once its handshake got that far.
#[derive(Default)]
pub(super) struct Exporter {
    known: AtomicBool,
    secret: [AtomicU32; WORDS],
}

impl Exporter {
    /// Forgets the last session's.
    pub(super) fn clear(&self) {
        self.known.store(false, Ordering::Release);
        for word in &self.secret {
            word.store(0, Ordering::Release);
        }
    }

    /// What both ends of this session, and nobody else, can derive to prove a pairing code.
    pub(super) fn pairing(&self) -> Option<[u8; pairing::EXPORTER_LENGTH]> {
        if !self.known.load(Ordering::Acquire) {
            return None;
        }
        let mut secret = Zeroizing::new([0; 4 * WORDS]);
        for (bytes, word) in secret.chunks_exact_mut(4).zip(&self.secret) {
            bytes.copy_from_slice(&word.load(Ordering::Acquire).to_le_bytes());
        }
        pairing::exporter_from_secret(secret.as_slice())
    }
}

impl KeyLog for Exporter {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label != LABEL || secret.len() != 4 * WORDS {
            return;
        }
        for (word, bytes) in self.secret.iter().zip(secret.chunks_exact(4)) {
            let bytes = bytes.try_into().expect("chunks of four");
            word.store(u32::from_le_bytes(bytes), Ordering::Release);
        }
        self.known.store(true, Ordering::Release);
    }

    fn will_log(&self, label: &str) -> bool {
        label == LABEL
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}
