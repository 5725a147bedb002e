//! What can go wrong on a stream.

use std::path::PathBuf;

/// Why a stream could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("cannot reach {}: {source}; is the component that serves it running?", socket.display())]
    Connect {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The socket cannot be served.
    #[error("cannot listen on {}: {source}", socket.display())]
    Listen {
        /// The socket.
        socket: PathBuf,
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
