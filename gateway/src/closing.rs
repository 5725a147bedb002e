//! Why a connection ended.

/// Why a connection ended. Each is counted and logged; what a device can be told, it is told before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Closing {
    #[error("the gateway stops")]
    Shutdown,
    #[error("the gateway is suspended")]
    Suspended,
    #[error("the gateway has no credential yet")]
    NoIdentity,
    #[error("too many connections of unknown keys, or handshakes under way")]
    Crowded,
    #[error("no TLS handshake in time")]
    NoHandshake,
    #[error("no TLS session: {0}")]
    Tls(String),
    #[error("no Hello in time")]
    NoHello,
    #[error("refused: {0}")]
    Refused(String),
    #[error("not of this protocol: {0}")]
    Garbage(String),
    #[error("{0}")]
    OutOfTurn(&'static str),
    #[error("a frame that does not end, or a reader that does not read")]
    Stalled,
    #[error("silent for longer than connectionTimeout")]
    Silent,
    #[error("a newer session of the device")]
    Superseded,
    #[error("the gateway has another KeySet or credential to show")]
    Reintroduced,
    #[error("the device is no longer declared here with this key")]
    Undeclared,
    #[error("the device closed the connection")]
    Left,
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Closing {
    /// A word for counting.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Suspended => "suspended",
            Self::NoIdentity => "no-identity",
            Self::Crowded => "crowded",
            Self::NoHandshake => "no-handshake",
            Self::Tls(_) => "tls",
            Self::NoHello => "no-hello",
            Self::Refused(_) => "refused",
            Self::Garbage(_) => "garbage",
            Self::OutOfTurn(_) => "out-of-turn",
            Self::Stalled => "stalled",
            Self::Silent => "silent",
            Self::Superseded => "superseded",
            Self::Reintroduced => "reintroduced",
            Self::Undeclared => "undeclared",
            Self::Left => "left",
            Self::Broken(_) => "broken",
        }
    }

    /// Whether the device fell silent rather than left.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::Silent | Self::Stalled)
    }
}
