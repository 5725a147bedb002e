//! Why a stream ended, or never began.

use core::fmt;

/// What one end tells the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Whoever used the stream is done with it.
    Finished,
    /// The host does not let this device reach that address.
    NotAllowed,
    /// The host could not connect to the gateway.
    Unreachable,
    /// The connection between host and gateway broke.
    Broken,
    /// The host's end is being shut down.
    ShuttingDown,
    /// The host speaks no such version of the link.
    Version,
    /// A code of a later version.
    Other(u8),
}

impl Reason {
    /// The byte that says it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::NotAllowed => 1,
            Self::Unreachable => 2,
            Self::Broken => 3,
            Self::ShuttingDown => 4,
            Self::Version => 5,
            Self::Other(code) => code,
        }
    }

    /// What a byte says.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Finished,
            1 => Self::NotAllowed,
            2 => Self::Unreachable,
            3 => Self::Broken,
            4 => Self::ShuttingDown,
            5 => Self::Version,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("it was closed"),
            Self::NotAllowed => f.write_str("the link may not reach that address: start it with --gateway"),
            Self::Unreachable => f.write_str("the gateway cannot be reached"),
            Self::Broken => f.write_str("the connection to the gateway broke"),
            Self::ShuttingDown => f.write_str("the link is being shut down"),
            Self::Version => f.write_str("the link speaks another version: update both ends"),
            Self::Other(code) => write!(f, "reason {code}, which this version does not know"),
        }
    }
}

/// How a stream ended at this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This end closed it; the other has taken all.
    Closed,
    /// The other end closed it; everything it sent was taken.
    ClosedByPeer(Reason),
    /// The host would not open it.
    Refused(Reason),
    /// The other end began anew, or had given the stream up.
    PeerReset,
    /// The device opened another.
    Replaced,
    /// No answer for [`SILENCE_MS`](super::SILENCE_MS), or none to OPEN for [`OPEN_MS`](super::OPEN_MS).
    Silent,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("it was closed"),
            Self::ClosedByPeer(reason) | Self::Refused(reason) => reason.fmt(f),
            Self::PeerReset => f.write_str("the other end of the link began anew"),
            Self::Replaced => f.write_str("the device opened another"),
            Self::Silent => f.write_str("the other end of the link does not answer"),
        }
    }
}
