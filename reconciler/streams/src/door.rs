//! Where streams are served, and to whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admission::Admission;

/// The longest life of a stream that is served to other machines.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where streams are served, and to whom.
#[derive(Clone, Debug)]
pub enum Door {
    /// A Unix socket of mode 0600: to its owner.
    Owner(PathBuf),
    /// A port that speaks TLS 1.3: to whom it admits.
    Tls(Box<TlsDoor>),
}

/// A port that speaks TLS 1.3.
#[derive(Clone, Debug)]
pub struct TlsDoor {
    /// Where to listen.
    pub listen: SocketAddr,
    /// A folder with `tls.crt` and `tls.key` (PEM), read anew when they change.
    pub certificate: PathBuf,
    /// Who may speak.
    pub admission: Admission,
    /// A connection ends after at most this, some of them up to a quarter earlier, so that an identity that was taken away
    /// does not live on; an hour is usual.
    pub longest: Duration,
}

impl TlsDoor {
    /// A port with connections of the usual length.
    #[must_use]
    pub fn new(listen: SocketAddr, certificate: PathBuf, admission: Admission) -> Self {
        Self { listen, certificate, admission, longest: LONGEST }
    }
}

impl From<&Path> for Door {
    fn from(socket: &Path) -> Self {
        Self::Owner(socket.to_owned())
    }
}

impl From<&PathBuf> for Door {
    fn from(socket: &PathBuf) -> Self {
        Self::Owner(socket.clone())
    }
}

impl From<PathBuf> for Door {
    fn from(socket: PathBuf) -> Self {
        Self::Owner(socket)
    }
}

impl From<TlsDoor> for Door {
    fn from(door: TlsDoor) -> Self {
        Self::Tls(Box::new(door))
    }
}
