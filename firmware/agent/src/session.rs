//! What is said on one connection, and what of it is believed.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmbed_protocol::message::{Chunk, EnrollmentState, Introduction};
use wasmbed_protocol::signed::Expected;
use wasmbed_protocol::{
    Assignment, Credential, GatewayMessage, KeySet, Nonce, PublicKey, Refusal, Release, ReleaseDigest,
};

/// From the open connection to the `Welcome`; a board without crypto hardware needs seconds for its part of TLS.
const INTRODUCTION_TIMEOUT_MS: u64 = 30_000;
/// Time between the heartbeats of a device that waits to be enrolled.
const PENDING_HEARTBEAT_MS: u64 = 30_000;
/// Bounds of what a gateway may ask for as time between heartbeats.
const HEARTBEAT_MS: core::ops::RangeInclusive<u64> = 500..=3_600_000;
/// Bounds of what a gateway may ask for as time before the next attempt.
const RETRY_MS: core::ops::RangeInclusive<u64> = 1_000..=3_600_000;
/// So long after a heartbeat's time without a word, in milliseconds, the gateway is taken for dead.
const SILENCE_GRACE_MS: u64 = 5_000;

/// Whom the device believes, from its provisioning and its store.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) key: PublicKey,
    pub(crate) root: PublicKey,
    pub(crate) fleet: String,
    /// Epoch of the newest KeySet believed so far.
    pub(crate) epoch: u64,
}

/// What a frame means to the device.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The gateway is one: time to say `Hello`, with the session's nonce.
    Introduced { epoch: u64, keyset: Vec<u8> },
    /// The device is known.
    Welcomed { name: String, time_ms: u64 },
    /// The device's key waits for a person.
    Pending { reason: String },
    /// A verified Release.
    Release { digest: ReleaseDigest, release: Release, cose: Vec<u8> },
    /// A verified Assignment of this session, and whether it is the first.
    Assigned { assignment: Assignment, cose: Vec<u8>, first: bool },
    /// A signed object that is not believed. Nothing changes.
    NotBelieved { what: &'static str, refusal: Refusal },
    /// Bytes of a module, which nothing vouches for yet.
    Chunk(Chunk),
    /// The gateway lives, and this is its clock.
    Alive { time_ms: u64 },
    /// A message of a newer protocol, or a Release the device has.
    Nothing,
}

/// The session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: String,
    /// When the gateway said to come again.
    pub(crate) retry_ms: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Session {
    nonce: Nonce,
    stage: Stage,
    keyset: Option<KeySet>,
    gateway: String,
    /// Number of the last Assignment.
    last: Option<u64>,
    opened: u64,
    heard: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is known of the server but its key.
    Introduction,
    /// `Hello` is said.
    Hello,
    /// The device's key is not known yet.
    Pending(Pulse),
    /// The device is known.
    Welcomed(Pulse),
}

/// When to say that the device lives.
#[derive(Debug, PartialEq, Eq)]
struct Pulse {
    interval: u64,
    next: u64,
}

impl Session {
    /// A session over a connection that just opened; `nonce` is fresh.
    pub(crate) fn new(nonce: Nonce, now: u64) -> Self {
        Self {
            nonce,
            stage: Stage::Introduction,
            keyset: None,
            gateway: String::new(),
            last: None,
            opened: now,
            heard: now,
        }
    }

    pub(crate) fn nonce(&self) -> Nonce {
        self.nonce
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        matches!(self.stage, Stage::Welcomed(_))
    }

    /// Name of the gateway, once it is believed.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Takes in the body of a frame. `server_key` is the key of this connection; Releases that are `known` need no
    /// second verification.
    pub(crate) fn receive(
        &mut self,
        frame: &[u8],
        server_key: Option<PublicKey>,
        trust: &Trust,
        known: impl Fn(&ReleaseDigest) -> bool,
        now: u64,
    ) -> Result<Heard, Ended> {
        self.heard = now;
        let message = match GatewayMessage::decode(frame) {
            Ok(message) => message,
            Err(wasmbed_protocol::DecodeError::UnknownKind(_)) if self.stage != Stage::Introduction => {
                return Ok(Heard::Nothing);
            }
            Err(error) => return Err(Ended::because(&error.to_string())),
        };
        match (message, &self.keyset) {
            (GatewayMessage::Introduction(introduction), None) => self.introduced(introduction, server_key, trust),
            (_, None) => Err(Ended::because("the gateway did not introduce itself first")),
            (GatewayMessage::Introduction(_), Some(_)) => Err(Ended::because("the gateway introduced itself twice")),
            (message, Some(_)) => self.said(message, trust, known, now),
        }
    }

    /// Whether it is time for a heartbeat; the next is planned then.
    pub(crate) fn heartbeat_due(&mut self, now: u64) -> bool {
        match &mut self.stage {
            Stage::Pending(pulse) | Stage::Welcomed(pulse) if now >= pulse.next => {
                pulse.next = now + pulse.interval;
                true
            }
            _ => false,
        }
    }

    /// Whether the gateway was silent for too long.
    pub(crate) fn expired(&self, now: u64) -> Option<Ended> {
        let reason = match self.stage {
            Stage::Introduction | Stage::Hello => "the gateway said too little for too long",
            Stage::Pending(_) | Stage::Welcomed(_) => "the gateway is silent",
        };
        (now >= self.silent_at()).then(|| Ended::because(reason))
    }

    pub(crate) fn next_deadline(&self) -> u64 {
        match &self.stage {
            Stage::Pending(pulse) | Stage::Welcomed(pulse) => pulse.next.min(self.silent_at()),
            Stage::Introduction | Stage::Hello => self.silent_at(),
        }
    }

    fn silent_at(&self) -> u64 {
        match &self.stage {
            Stage::Introduction | Stage::Hello => self.opened + INTRODUCTION_TIMEOUT_MS,
            // Every heartbeat is answered, so two that are not say enough.
            Stage::Pending(pulse) | Stage::Welcomed(pulse) => self.heard + 2 * pulse.interval + SILENCE_GRACE_MS,
        }
    }

    fn introduced(
        &mut self,
        introduction: Introduction,
        server_key: Option<PublicKey>,
        trust: &Trust,
    ) -> Result<Heard, Ended> {
        let believe = || -> Result<(KeySet, Credential), Refusal> {
            let keyset = KeySet::verify(&introduction.keyset, &trust.root, &trust.fleet, trust.epoch)?;
            let tls_key = server_key.ok_or(Refusal::OtherTlsKey)?;
            let credential = Credential::verify(&introduction.credential, &keyset, &tls_key)?;
            Ok((keyset, credential))
        };
        let (keyset, credential) = believe().map_err(|refusal| Ended::because(&refusal.to_string()))?;
        let epoch = keyset.epoch;
        self.gateway = credential.gateway;
        self.keyset = Some(keyset);
        self.stage = Stage::Hello;
        Ok(Heard::Introduced { epoch, keyset: introduction.keyset })
    }

    fn said(
        &mut self,
        message: GatewayMessage,
        trust: &Trust,
        known: impl Fn(&ReleaseDigest) -> bool,
        now: u64,
    ) -> Result<Heard, Ended> {
        match message {
            GatewayMessage::Introduction(_) => Err(Ended::because("the gateway introduced itself twice")),
            GatewayMessage::Welcome(welcome) => {
                if welcome.version != u32::from(wasmbed_protocol::VERSION) {
                    return Err(Ended::because("the gateway chose a protocol version this device does not speak"));
                }
                let interval = clamp(u64::from(welcome.heartbeat_ms), HEARTBEAT_MS);
                self.stage = Stage::Welcomed(Pulse { interval, next: now + interval });
                Ok(Heard::Welcomed { name: welcome.name, time_ms: welcome.time_ms })
            }
            GatewayMessage::Enrollment(enrollment) => match enrollment.state {
                EnrollmentState::Pending => {
                    let interval = PENDING_HEARTBEAT_MS;
                    self.stage = Stage::Pending(Pulse { interval, next: now + interval });
                    Ok(Heard::Pending { reason: enrollment.reason })
                }
                EnrollmentState::Refused => Err(Ended {
                    reason: enrollment.reason,
                    retry_ms: Some(clamp(u64::from(enrollment.retry_ms), RETRY_MS)),
                }),
            },
            GatewayMessage::HeartbeatAck(ack) => Ok(Heard::Alive { time_ms: ack.time_ms }),
            _ if !self.is_welcomed() => Err(Ended::because("the gateway gave work before it said Welcome")),
            GatewayMessage::SignedRelease(signed) => Ok(self.release(signed.cose, known)),
            GatewayMessage::SignedAssignment(signed) => Ok(self.assignment(signed.cose, trust)),
            GatewayMessage::Chunk(chunk) => Ok(Heard::Chunk(chunk)),
        }
    }

    fn release(&self, cose: Vec<u8>, known: impl Fn(&ReleaseDigest) -> bool) -> Heard {
        // Every session brings all Releases; verifying one costs a small processor a tenth of a second.
        if Release::name_of(&cose).is_ok_and(|digest| known(&digest)) {
            return Heard::Nothing;
        }
        match Release::verify(&cose, self.keys()) {
            Ok((digest, release)) => Heard::Release { digest, release, cose },
            Err(refusal) => Heard::NotBelieved { what: "a Release", refusal },
        }
    }

    fn assignment(&mut self, cose: Vec<u8>, trust: &Trust) -> Heard {
        let expected = Expected { device: &trust.key, nonce: &self.nonce, gateway: &self.gateway, last: self.last };
        match Assignment::verify(&cose, self.keys(), &expected) {
            Ok(assignment) => {
                let first = self.last.replace(assignment.n).is_none();
                Heard::Assigned { assignment, cose, first }
            }
            Err(refusal) => Heard::NotBelieved { what: "an Assignment", refusal },
        }
    }

    fn keys(&self) -> &KeySet {
        self.keyset.as_ref().expect("only an introduced gateway gets here")
    }
}

impl Ended {
    pub(crate) fn because(reason: &str) -> Self {
        Self { reason: reason.to_string(), retry_ms: None }
    }
}

fn clamp(value: u64, range: core::ops::RangeInclusive<u64>) -> u64 {
    value.clamp(*range.start(), *range.end())
}
