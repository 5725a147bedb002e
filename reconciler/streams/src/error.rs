//! What can go wrong on a stream.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::endpoint::Endpoint;

/// Why a stream could not be opened, served, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Nobody listens there, or it may not be opened.
    #[error("cannot reach {endpoint}: {source}; is the component that serves it running?")]
    Connect {
        /// What was tried.
        endpoint: Endpoint,
        /// What the system answered.
        source: std::io::Error,
    },
    /// No TLS session with whoever listens there.
    #[error(
        "no TLS session with {endpoint}: {reason}; is its certificate for that name, and signed by the CA of --streams-ca?"
    )]
    Tls {
        /// What was tried.
        endpoint: Endpoint,
        /// What TLS says.
        reason: String,
    },
    /// A server that speaks TLS is known by its certificate, and a certificate by its CA.
    #[error("{endpoint} cannot be known without the CA of its certificate: give --streams-ca FILE")]
    NoCa {
        /// What is to be reached.
        endpoint: Endpoint,
    },
    /// A certificate, a key or a token cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The socket cannot be served.
    #[error("cannot listen on {}: {source}", socket.display())]
    Listen {
        /// The socket.
        socket: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The port cannot be served.
    #[error("cannot listen on {address}: {source}; is another process there?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Another process serves this socket already.
    #[error("{} is served by another process already; stop that one first", socket.display())]
    InUse {
        /// The socket.
        socket: PathBuf,
    },
    /// HTTP failed below the items.
    #[error("the stream broke: {0}")]
    Http(String),
    /// The other side refused the request.
    #[error("the other side answered {status}: {message}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// The body, at most 1 KiB of it.
        message: String,
    },
    /// An item that is not what this stream carries.
    #[error("an item of this stream is not what it should be: {0}")]
    Malformed(String),
    /// An item above [`crate::MAX_ITEM`].
    #[error("an item of {size} bytes is larger than a stream carries ({} bytes)", crate::MAX_ITEM)]
    TooLarge {
        /// Size in bytes.
        size: u64,
    },
    /// The other side is gone.
    #[error("the other side closed the stream")]
    Closed,
}
