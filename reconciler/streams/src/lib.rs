//! The streams between components: HTTP/2 with CBOR bodies.
//!
//! On one machine they run over Unix sockets of mode 0600; whoever can open the socket may speak. Between machines they run
//! over TLS 1.3: the server is known by its certificate, the caller by a token that the Kubernetes API knows, or by a client
//! certificate where the server has no rights at the API ([`Admission`]). Each stream is one HTTP/2 request whose body and response body are CBOR sequences (RFC 8742) of embedded data items
//! (byte strings), so that a reader knows an item's size before it has read it.
//!
//! A stream carries *changes to a level-triggered state*: after a reconnection both sides say again what they hold,
//! and nothing depends on an item having arrived.

mod admission;
mod client;
mod connector;
mod door;
mod endpoint;
mod error;
mod item;
pub mod live;
mod pem_files;
mod server;
mod server_certificate;
pub mod sessions;
mod tls_server;
mod token_review;

pub use admission::Admission;
pub use client::{open, read};
pub use connector::{Connector, Credentials};
pub use door::{Door, TlsDoor};
pub use endpoint::{Endpoint, EndpointError};
pub use error::StreamError;
pub use item::{MAX_ITEM, Receiver, Sender};
pub use server::{Server, bidirectional, respond, serve};
pub use token_review::TokenReviews;
