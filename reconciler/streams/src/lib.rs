//! The streams between components: HTTP/2 with CBOR bodies.
//!
//! On one machine they run over Unix sockets of mode 0600; whoever can open the socket may speak. Each stream is
//! one HTTP/2 request whose body and response body are CBOR sequences (RFC 8742) of embedded data items
//! (byte strings), so that a reader knows an item's size before it has read it.
//!
//! A stream carries *changes to a level-triggered state*: after a reconnection both sides say again what they hold,
//! and nothing depends on an item having arrived.

mod client;
mod error;
mod item;
pub mod live;
mod server;
pub mod sessions;

pub use client::{open, read};
pub use error::StreamError;
pub use item::{MAX_ITEM, Receiver, Sender};
pub use server::{Server, bidirectional, respond, serve};
