//! The COSE_Sign1 envelope that all signed objects share, and why one may be refused.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cbor::{DecodeError, EncodeError, Item, Reader, Writer};
use crate::id::PublicKey;
use crate::key::SigningKey;
use crate::limits::MAX_SIGNED;

/// The protected header of everything that is signed here: `{1: -8}`, the algorithm EdDSA.
const PROTECTED: &[u8] = &[0xA1, 0x01, 0x27];
/// Bytes that the envelope adds to a payload: tags, headers, lengths and the signature.
const ENVELOPE: usize = 80;
/// Bytes of what is signed besides the payload and the external data: a text, a header, lengths.
const TO_BE_SIGNED: usize = 24;

/// Why a signed object is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than a signed object may have.
    #[error("a signed object of {0} bytes, more than the {MAX_SIGNED} allowed")]
    Oversized(usize),
    /// Not a COSE_Sign1 with a payload.
    #[error("not a COSE_Sign1 object")]
    Envelope,
    /// A header other than `alg: EdDSA`, critical ones included.
    #[error("the header of a signed object holds something other than the algorithm EdDSA")]
    Header,
    /// No key that may sign this type made the signature, or it was made for another type.
    #[error("not signed as a {0} by a key that may")]
    Signature(&'static str),
    /// The payload is signed but cannot be read; unknown fields end up here.
    #[error("the payload of a signed object: {0}")]
    Payload(#[from] DecodeError),
    /// The payload is not in its one deterministic encoding.
    #[error("the payload of a signed object is not deterministic CBOR")]
    NotDeterministic,
    /// It belongs to another fleet.
    #[error("for the fleet \"{}\", not for \"{}\"", found.escape_default(), expected.escape_default())]
    OtherFleet {
        /// The fleet it names.
        found: String,
        /// The fleet it is needed for.
        expected: String,
    },
    /// A KeySet older than one that was believed before.
    #[error("a KeySet of epoch {found}, older than the stored epoch {stored}")]
    OldEpoch {
        /// Its epoch.
        found: u64,
        /// The highest epoch believed so far.
        stored: u64,
    },
    /// A gateway credential for another TLS key than this connection's.
    #[error("the gateway's credential is for another TLS key")]
    OtherTlsKey,
    /// An Assignment for another device.
    #[error("an Assignment for another device")]
    OtherDevice,
    /// An Assignment made for another session.
    #[error("an Assignment of another session")]
    OtherSession,
    /// An Assignment made for a session at another gateway.
    #[error("an Assignment through the gateway \"{}\", which is not this one", .0.escape_default())]
    OtherGateway(String),
    /// An Assignment that is not newer than the last of this session.
    #[error("Assignment {found} is not newer than {last}")]
    NotNewer {
        /// Its number.
        found: u64,
        /// The number of the last one.
        last: u64,
    },
    /// An Assignment that names one application twice.
    #[error("an Assignment that names \"{}\" twice", .0.escape_default())]
    DuplicateApplication(String),
    /// A Release other than the one asked for.
    #[error("another Release than the one asked for")]
    OtherRelease,
    /// A content rule of its type is broken.
    #[error("{0}")]
    Content(&'static str),
}

/// Why an object was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A field or the whole is too long for a device.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// Every receiver would refuse it.
    #[error("it would be refused: {0}")]
    WouldBeRefused(#[from] Refusal),
}

/// A type that is signed.
pub(super) trait Payload: Item {
    /// What it is called, in errors.
    const NAME: &'static str;
    /// The `external_aad` of its signatures.
    const AAD: &'static [u8];

    /// The rules on its content that need nothing but itself.
    fn check(&self) -> Result<(), Refusal>;

    /// Its deterministic CBOR, of which there are so many bytes, as far as is known.
    fn payload(&self, expected: usize) -> Result<Vec<u8>, EncodeError> {
        // A device has no memory for what a vector takes that grows.
        let mut w = Writer::with_capacity(expected);
        self.write(&mut w);
        w.finish(MAX_SIGNED - ENVELOPE)
    }
}

/// Signs an object; its own content rules hold for what comes out.
pub(super) fn sign<T: Payload>(object: &T, key: &SigningKey) -> Result<Vec<u8>, SignError> {
    object.check()?;
    let payload = object.payload(0)?;
    let signature = key.sign(&to_be_signed(T::AAD, &payload));
    let mut w = Writer::default();
    w.array(4);
    w.bytes(PROTECTED);
    w.map(0);
    w.bytes(&payload);
    w.bytes(&signature);
    Ok(w.finish(MAX_SIGNED)?)
}

/// Opens an object signed by any of `keys`.
pub(super) fn verify<T: Payload>(cose: &[u8], keys: &[PublicKey]) -> Result<T, Refusal> {
    let envelope = Envelope::open(cose)?;
    let message = to_be_signed(T::AAD, envelope.payload);
    if !keys.iter().any(|key| key.verify(&message, envelope.signature)) {
        return Err(Refusal::Signature(T::NAME));
    }
    drop(message);
    content(envelope.payload)
}

/// Opens an object without asking who signed it.
pub(super) fn read_unverified<T: Payload>(cose: &[u8]) -> Result<T, Refusal> {
    content(Envelope::open(cose)?.payload)
}

/// What is signed in an object, whoever signed it.
pub(super) fn payload(cose: &[u8]) -> Result<&[u8], Refusal> {
    Ok(Envelope::open(cose)?.payload)
}

/// What a COSE_Sign1 without its tag holds (RFC 9052, section 4.2): `[protected, {}, payload, signature]`.
struct Envelope<'a> {
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_SIGNED {
            return Err(Refusal::Oversized(bytes.len()));
        }
        let mut r = Reader::strict(bytes);
        let mut parse = || -> Result<Option<Self>, DecodeError> {
            if r.array()? != 4 {
                return Err(DecodeError::Syntax);
            }
            let protected = r.bytes()?;
            if protected != PROTECTED || r.map()?.len() > 0 {
                return Ok(None);
            }
            Ok(Some(Self { payload: r.bytes()?, signature: r.bytes()? }))
        };
        match parse() {
            Ok(Some(envelope)) => r.finish().map(|()| envelope).map_err(|_| Refusal::Envelope),
            Ok(None) => Err(Refusal::Header),
            Err(_) => Err(Refusal::Envelope),
        }
    }
}

/// What is signed (RFC 9052, section 4.4): `["Signature1", protected, external_aad, payload]`.
fn to_be_signed(aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::with_capacity(aad.len() + payload.len() + TO_BE_SIGNED);
    w.array(4);
    w.text("Signature1");
    w.bytes(PROTECTED);
    w.bytes(aad);
    w.bytes(payload);
    w.into_bytes()
}

fn content<T: Payload>(payload: &[u8]) -> Result<T, Refusal> {
    let mut r = Reader::strict(payload);
    let object = T::read(&mut r)?;
    r.finish()?;
    object.check()?;
    if object.payload(payload.len()).map_err(|_| Refusal::NotDeterministic)? != payload {
        return Err(Refusal::NotDeterministic);
    }
    Ok(object)
}
