//! The wire protocol between a device and a gateway, and the objects that are signed end to end.
//!
//! A session is a TLS 1.3 byte stream. On it go [frames](frame): two bytes of length, then one CBOR item, the envelope
//! `[version, kind, body]`. Bodies are maps with small integer keys. What a device says is a [`DeviceMessage`], what a
//! gateway says is a [`GatewayMessage`]; in both, unknown fields are skipped.
//!
//! What must be believed across a gateway is [signed]: [`KeySet`], [`Credential`], [`Release`] and [`Assignment`] are
//! COSE_Sign1 objects over deterministic CBOR, in which anything unknown means refuse.
//!
//! Over a serial line, a [link] carries the session's byte stream.
//!
//! The first two are described in `wasmbed.cddl`, and every message is tested against it. Nothing here allocates more than a
//! frame's worth at the word of a peer, recurses, or panics on any input.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod cbor;
pub mod crc;
pub mod frame;
mod hex;
pub mod id;
pub mod key;
pub mod limits;
pub mod link;
pub mod message;
pub mod pairing;
pub mod signed;
pub mod spki;

pub use cbor::{DecodeError, EncodeError};
pub use crc::Crc32;
pub use frame::{FrameDecoder, FrameError};
pub use id::{ModuleDigest, Nonce, PublicKey, ReleaseDigest, Thumbprint};
pub use key::SigningKey;
pub use message::{DeviceMessage, GatewayMessage};
pub use signed::{Assignment, Credential, KeySet, Refusal, Release, SignError};

/// The one protocol version there is. It stands in every envelope and in `Hello.versions`.
pub const VERSION: u8 = 1;

/// ALPN protocol name of a session, offered by the device and required by the gateway.
pub const ALPN: &[u8] = b"wasmbed/1";
