//! X25519.

use alloc::boxed::Box;

use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use super::entropy::Random;

/// X25519 with secrets from an agent's own source of randomness.
#[derive(Debug)]
pub(super) struct X25519(pub(super) &'static Random);

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        (self.0.0)(secret.as_mut_slice()).map_err(|_| Error::FailedToGetRandomBytes)?;
        let public = x25519(*secret, X25519_BASEPOINT_BYTES);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let refused = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let peer: [u8; 32] = peer.try_into().map_err(|_| refused())?;
        let shared = Zeroizing::new(x25519(*self.secret, peer));
        // RFC 8446, section 7.4.2: a peer that chose a point of small order would know the secret.
        if shared.iter().all(|byte| *byte == 0) {
            return Err(refused());
        }
        Ok(SharedSecret::from(shared.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
