//! Where a line is: a serial port, a pseudo-terminal, or a Unix socket.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::fcntl::OFlag;
use nix::sys::termios::{self, BaudRate, ControlFlags, FlushArg, SetArg};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::registered::Registered;

/// The speeds a port can have, in bits a second.
pub const BAUD_RATES: [u32; 13] = [
    9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_500_000,
    2_000_000,
];

/// Where a line is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Port {
    /// A serial port, a pseudo-terminal, or a Unix socket that is listened on.
    pub path: PathBuf,
    /// Bits a second, one of [`BAUD_RATES`]. Means nothing for a socket.
    pub baud: u32,
}

/// A port that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A speed that no port has.
    #[error("{0} baud is not a speed of a serial port: take one of {BAUD_RATES:?}")]
    Baud(u32),
    /// Neither a terminal nor a socket.
    #[error("{} is neither a serial port nor a Unix socket: `ls /dev/serial/by-id` shows those that are plugged in", .0.display())]
    NoPort(PathBuf),
    /// Another process holds it.
    #[error("{} is used by another `wasmbed link`", .0.display())]
    InUse(PathBuf),
    /// The system refuses it.
    #[error("cannot open {}: {source}{}", path.display(), hint(source))]
    Io {
        /// The port.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (is your user in the group of the port, `dialout` on Debian?)",
        io::ErrorKind::NotFound => " (is it plugged in?)",
        _ => "",
    }
}

impl PortError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::InUse(_))
    }
}

impl Port {
    /// Opens it, alone for this process where it is a serial port.
    ///
    /// # Errors
    /// When it is not there or no port, another process has it, or its speed cannot be set.
    pub async fn open(&self) -> Result<PortStream, PortError> {
        let failed = |source| PortError::Io { path: self.path.clone(), source };
        let kind = std::fs::metadata(&self.path).map_err(failed)?.file_type();
        if kind.is_socket() {
            return UnixStream::connect(&self.path)
                .await
                .map(|socket| PortStream(Kind::Socket(socket)))
                .map_err(failed);
        }
        if !kind.is_char_device() {
            return Err(PortError::NoPort(self.path.clone()));
        }
        let file = open_serial(&self.path, self.baud)?;
        Registered::new(file).map(|serial| PortStream(Kind::Serial(serial))).map_err(failed)
    }
}

fn open_serial(path: &Path, baud: u32) -> Result<File, PortError> {
    let failed = |source: io::Error| PortError::Io { path: path.to_owned(), source };
    let speed = speed(baud).ok_or(PortError::Baud(baud))?;
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(PortError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let mut settings = termios::tcgetattr(&file).map_err(|error| match error {
        nix::Error::ENOTTY | nix::Error::EINVAL => PortError::NoPort(path.to_owned()),
        error => failed(error.into()),
    })?;
    // Bytes as they are, and no modem to wait for.
    termios::cfmakeraw(&mut settings);
    settings.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
    settings.control_flags &= !(ControlFlags::CRTSCTS | ControlFlags::CSTOPB);
    termios::cfsetspeed(&mut settings, speed).map_err(|error| failed(error.into()))?;
    termios::tcsetattr(&file, SetArg::TCSANOW, &settings).map_err(|error| failed(error.into()))?;
    // What came before nobody was there for; both ends begin anew anyway.
    termios::tcflush(&file, FlushArg::TCIOFLUSH).map_err(|error| failed(error.into()))?;
    Ok(file)
}

fn speed(baud: u32) -> Option<BaudRate> {
    Some(match baud {
        9_600 => BaudRate::B9600,
        19_200 => BaudRate::B19200,
        38_400 => BaudRate::B38400,
        57_600 => BaudRate::B57600,
        115_200 => BaudRate::B115200,
        230_400 => BaudRate::B230400,
        460_800 => BaudRate::B460800,
        500_000 => BaudRate::B500000,
        576_000 => BaudRate::B576000,
        921_600 => BaudRate::B921600,
        1_000_000 => BaudRate::B1000000,
        1_500_000 => BaudRate::B1500000,
        2_000_000 => BaudRate::B2000000,
        _ => return None,
    })
}

/// An open port: a byte stream.
#[derive(Debug)]
pub struct PortStream(Kind);

#[derive(Debug)]
enum Kind {
    Serial(Registered),
    Socket(UnixStream),
}

impl AsyncRead for PortStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Serial(serial) => Pin::new(serial).poll_read(cx, buffer),
            Kind::Socket(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::Serial(serial) => Pin::new(serial).poll_write(cx, bytes),
            Kind::Socket(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Serial(serial) => Pin::new(serial).poll_flush(cx),
            Kind::Socket(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Serial(serial) => Pin::new(serial).poll_shutdown(cx),
            Kind::Socket(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_that_is_offered_can_be_set() {
        assert!(BAUD_RATES.iter().all(|&baud| speed(baud).is_some()));
        assert_eq!(speed(115_201), None);
    }

    #[tokio::test]
    async fn what_is_no_port_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        let open = |path: &Path, baud| {
            let port = Port { path: path.to_owned(), baud };
            async move { port.open().await.map(|_| ()).map_err(|error| error.to_string()) }
        };
        let said = open(file.path(), 9_600).await;
        assert!(said.as_ref().is_err_and(|said| said.contains("neither a serial port")), "{said:?}");
        let said = open(Path::new("/dev/null"), 9_600).await;
        assert!(said.as_ref().is_err_and(|said| said.contains("neither a serial port")), "{said:?}");
        let said = open(Path::new("/dev/ttyNONE"), 9_600).await;
        assert!(said.as_ref().is_err_and(|said| said.contains("plugged in")), "{said:?}");
    }
}
